//! Errors that tell the caller what to do. Few kinds; the cause and the place are in the text.

use std::fmt;

/// What went wrong, by what the caller should do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A passing fault of something outside (network, broker, store). It did not happen; try again.
    Retry,
    /// The answer was lost: it may have happened. Look before you try again.
    Undecided,
    /// The input can't be decoded or breaks a limit: fix the input, or choose `skip` or `dead-letter`.
    Input,
    /// The configuration, the command line or the dataflow is wrong: fix it.
    Config,
    /// A newer generation leads: end.
    Fenced,
    /// Stored bytes are not what was written. Restore them, or start from an older snapshot.
    Corrupt,
    /// A source gives other bytes than it gave before, or has lost what a replay needs.
    SourceChanged,
    /// A replay computed other rows than those already committed.
    Nondeterministic,
    /// A defect of Tidemark.
    Internal,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 9] = [
        Kind::Retry,
        Kind::Undecided,
        Kind::Input,
        Kind::Config,
        Kind::Fenced,
        Kind::Corrupt,
        Kind::SourceChanged,
        Kind::Nondeterministic,
        Kind::Internal,
    ];

    /// The kind as it stands in messages, status and HTTP error codes.
    pub fn code(self) -> &'static str {
        match self {
            Kind::Retry => "retry",
            Kind::Undecided => "undecided",
            Kind::Input => "input",
            Kind::Config => "config",
            Kind::Fenced => "fenced",
            Kind::Corrupt => "corrupt",
            Kind::SourceChanged => "source-changed",
            Kind::Nondeterministic => "nondeterministic",
            Kind::Internal => "internal",
        }
    }
}

/// An error: its kind, and a message that says what happened, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
}

/// A result with Tidemark's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; `message` is one or more plain sentences without a final full stop.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into() }
    }

    /// A [`Kind::Config`] error.
    pub fn config(message: impl Into<String>) -> Error {
        Error::new(Kind::Config, message)
    }

    /// A [`Kind::Corrupt`] error.
    pub fn corrupt(message: impl Into<String>) -> Error {
        Error::new(Kind::Corrupt, message)
    }

    /// A [`Kind::Internal`] error.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(Kind::Internal, message)
    }

    /// What the caller should do.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message without the kind.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same error with `place` before its message.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Error {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.message)
    }
}

impl std::error::Error for Error {}
