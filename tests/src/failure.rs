//! Why a part of a test could not do its work. A message for people, no kinds: nobody acts on it but the reader.

use std::fmt;

/// What went wrong, in words. `Debug` shows the plain message, so that a failed test prints it as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(pub String);

/// A result with [`Failure`].
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure with this message.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure(message.into())
    }

    /// The same failure with `place` before its message.
    #[must_use]
    pub fn at(self, place: impl fmt::Display) -> Failure {
        Failure(format!("{place}: {}", self.0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure(error.to_string())
    }
}

impl From<rdkafka::error::KafkaError> for Failure {
    fn from(error: rdkafka::error::KafkaError) -> Failure {
        Failure(format!("kafka: {error}"))
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        Failure(format!("not the JSON that was expected: {error}"))
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Failure {
        Failure(format!("http: {error}"))
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Failure {
        Failure(message)
    }
}
