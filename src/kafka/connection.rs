//! Where the brokers are, and how to make a client that tells why it fails.

use super::codes::kind_of;
use crate::{Error, Kind, Result};
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A connection to Kafka: librdkafka's options, among them `bootstrap.servers`, given to every client unchanged.
///
/// In configuration it is a table of options; numbers and booleans need no quotes. Values may be secrets: they are never
/// printed, and [`fmt::Debug`] shows the brokers and the names of the other options only.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection(BTreeMap<String, String>);

impl Connection {
    /// A connection to `servers`: `host:port`, separated by commas.
    pub fn new(servers: impl Into<String>) -> Connection {
        Connection(BTreeMap::from([("bootstrap.servers".to_owned(), servers.into())]))
    }

    /// A connection with these librdkafka options.
    pub fn from_options(options: BTreeMap<String, String>) -> Connection {
        Connection(options)
    }

    /// The same connection with one more librdkafka option.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Connection {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The brokers: `host:port`, separated by commas.
    pub fn servers(&self) -> &str {
        self.0.get("bootstrap.servers").map_or("", String::as_str)
    }

    /// A client's configuration: `defaults`, which the connection's options override, and `fixed`, which they must not contradict.
    ///
    /// # Errors
    /// `Config` if there are no brokers or an option contradicts `fixed`.
    pub(crate) fn client(
        &self,
        defaults: &[(&str, &str)],
        fixed: &[(&str, &str)],
    ) -> Result<ClientConfig> {
        if self.servers().is_empty() {
            return Err(Error::config("a Kafka connection needs the option bootstrap.servers"));
        }
        let mut config = ClientConfig::new();
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, value) in &self.0 {
            config.set(name, value);
        }
        for (name, value) in fixed {
            match self.0.get(*name) {
                Some(given) if given != value => {
                    return Err(Error::config(format!(
                        "the Kafka option {name} is {value} here and can't be set: remove it from the connection"
                    )));
                }
                _ => config.set(*name, *value),
            };
        }
        config.set_log_level(RDKafkaLogLevel::Info);
        Ok(config)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others: Vec<&String> = self.0.keys().filter(|k| *k != "bootstrap.servers").collect();
        f.debug_struct("Connection")
            .field("servers", &self.servers())
            .field("options", &others)
            .finish()
    }
}

impl<'de> Deserialize<'de> for Connection {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Value {
            Text(String),
            Number(i64),
            Flag(bool),
        }
        let options = BTreeMap::<String, Value>::deserialize(deserializer)?;
        Ok(Connection(
            options
                .into_iter()
                .map(|(name, value)| match value {
                    Value::Text(text) => (name, text),
                    Value::Number(number) => (name, number.to_string()),
                    Value::Flag(flag) => (name, flag.to_string()),
                })
                .collect(),
        ))
    }
}

/// Hears what a client says: its log lines go to `tracing`, its last complaint is kept for error messages.
#[derive(Debug, Default)]
pub(crate) struct Context {
    complaint: Mutex<Option<String>>,
}

impl Context {
    /// What the client complained about last, as an addition to a message.
    pub(crate) fn complaint(&self) -> String {
        let last = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref()
            .map_or_else(String::new, |text| format!(" (the client's last complaint: {text})"))
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // librdkafka calls a broker that restarts an error and then goes on by itself, so none of this is one of ours.
        match level {
            RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                tracing::debug!(target: "librdkafka", facility, "{message}");
            }
            _ => tracing::info!(target: "librdkafka", facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if matches!(
            error.rdkafka_error_code(),
            Some(rdkafka::types::RDKafkaErrorCode::PartitionEOF)
        ) {
            return;
        }
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
        let mut last = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(if reason.is_empty() { error.to_string() } else { reason.to_owned() });
    }
}

impl ConsumerContext for Context {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(target: "librdkafka", "offsets for lag tools were not committed: {error}");
        }
    }
}

/// The error of a call that failed while `doing`, of the kind that its code stands for.
pub(crate) fn failed(doing: impl fmt::Display, error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, reason, name, _) => {
            let secret =
                ["password", "secret", "pem", "token", "key"].iter().any(|s| name.contains(s));
            let reason = if secret { "its value is refused" } else { reason.as_str() };
            Error::config(format!("{doing}: Kafka option {name}: {reason}"))
        }
        KafkaError::ClientCreation(reason) => Error::config(format!("{doing}: {reason}")),
        other => {
            let kind = other.rdkafka_error_code().map_or(Kind::Retry, kind_of);
            Error::new(kind, format!("{doing}: {other}"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn options_pass_through_and_contradictions_are_refused() {
        let connection: Connection = toml::from_str(
            "'bootstrap.servers' = 'a:1'\n'fetch.min.bytes' = 7\n'check.crcs' = true",
        )
        .unwrap();
        let config = connection
            .client(&[("fetch.min.bytes", "1"), ("linger.ms", "3")], &[("acks", "all")])
            .unwrap();
        for (name, value) in
            [("fetch.min.bytes", "7"), ("check.crcs", "true"), ("linger.ms", "3"), ("acks", "all")]
        {
            assert_eq!(config.get(name), Some(value));
        }
        let error = connection.option("acks", "1").client(&[], &[("acks", "all")]).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.message().contains("acks"), "{error}");
    }

    #[test]
    fn secrets_are_not_printed() {
        let connection = Connection::new("a:1").option("sasl.password", "hunter2");
        assert_eq!(
            format!("{connection:?}"),
            r#"Connection { servers: "a:1", options: ["sasl.password"] }"#
        );
    }

    #[test]
    fn brokers_are_required() {
        let connection: Connection = toml::from_str("'linger.ms' = 1").unwrap();
        assert!(connection.client(&[], &[]).unwrap_err().message().contains("bootstrap.servers"));
    }
}
