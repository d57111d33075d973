//! What a user says about a Kafka sink. No I/O.

use crate::kafka::Connection;
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A Kafka sink as it stands in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The topic of the rows.
    pub topic: String,
    /// The brokers and librdkafka's options.
    pub connection: Connection,
    /// The topic of progress, `<job>.<sink>.progress` if absent. One sink has it alone. It is made if it does not exist.
    #[serde(default)]
    pub progress_topic: Option<String>,
    /// Replicas of the progress topic, and of the topic of rows where that is made. 1 must be chosen: exactly once ends with that disk.
    #[serde(default = "replication")]
    pub replication: u16,
    /// Partitions with which the topic of rows is made if it does not exist; if absent, it must exist.
    #[serde(default)]
    pub partitions: Option<u16>,
    /// Greatest number of rows of a transaction. A larger tick is written in several.
    #[serde(default = "chunk_rows")]
    pub chunk_rows: usize,
    /// How long the broker lets a transaction stand open, in milliseconds.
    #[serde(default = "transaction_timeout_ms")]
    pub transaction_timeout_ms: u64,
    /// The time limit of one step (taking a lane over, sending, committing, reading progress), in milliseconds.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
}

fn replication() -> u16 {
    3
}

fn chunk_rows() -> usize {
    50_000
}

fn transaction_timeout_ms() -> u64 {
    60_000
}

fn timeout_ms() -> u64 {
    30_000
}

impl Settings {
    /// A sink to `topic`, with the defaults of everything else.
    pub fn new(topic: impl Into<String>, connection: Connection) -> Settings {
        Settings {
            topic: topic.into(),
            connection,
            progress_topic: None,
            replication: replication(),
            partitions: None,
            chunk_rows: chunk_rows(),
            transaction_timeout_ms: transaction_timeout_ms(),
            timeout_ms: timeout_ms(),
        }
    }

    /// The topic of progress of `sink` in `job`.
    pub fn progress_topic(&self, job: &str, sink: &str) -> String {
        self.progress_topic.clone().unwrap_or_else(|| format!("{job}.{sink}.progress"))
    }

    /// What the tick log keeps of the sink, so that its lanes can be fenced when the program no longer has it. No secrets.
    pub fn address(&self, job: &str, sink: &str) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("connector".to_owned(), "kafka".to_owned()),
            ("topic".to_owned(), self.topic.clone()),
            ("progress-topic".to_owned(), self.progress_topic(job, sink)),
            ("bootstrap.servers".to_owned(), self.connection.servers().to_owned()),
        ])
    }

    /// The settings of a sink of which only its [`Settings::address`] is left; secrets come with `connection`, if there is one to
    /// the same brokers.
    ///
    /// # Errors
    /// `Corrupt` if the address lacks something.
    pub fn from_address(
        address: &BTreeMap<String, String>,
        connection: Option<Connection>,
    ) -> Result<Settings> {
        let part = |name: &str| {
            address.get(name).cloned().ok_or_else(|| {
                Error::corrupt(format!("the address of a Kafka sink in the tick log has no {name}"))
            })
        };
        let connection = match connection {
            Some(connection) => connection,
            None => Connection::new(part("bootstrap.servers")?),
        };
        let mut settings = Settings::new(part("topic")?, connection);
        settings.progress_topic = Some(part("progress-topic")?);
        // The topic exists; with how many replicas is not asked again.
        settings.replication = 1;
        Ok(settings)
    }

    /// The time limit of one step.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<()> {
        for (name, zero) in [
            ("replication", self.replication == 0),
            ("partitions", self.partitions == Some(0)),
            ("chunk-rows", self.chunk_rows == 0),
            ("transaction-timeout-ms", self.transaction_timeout_ms == 0),
            ("timeout-ms", self.timeout_ms == 0),
        ] {
            if zero {
                return Err(Error::config(format!(
                    "kafka topic {}: {name} must not be 0",
                    self.topic
                )));
            }
        }
        if self.progress_topic.as_ref() == Some(&self.topic) {
            return Err(Error::config(format!(
                "kafka topic {}: progress needs a topic of its own",
                self.topic
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_address_is_enough_to_fence() {
        let connection = Connection::new("a:1").option("sasl.password", "hunter2");
        let settings = Settings::new("visits", connection);
        let address = settings.address("job", "out");
        assert!(!format!("{address:?}").contains("hunter2"));
        let again = Settings::from_address(&address, None).unwrap();
        assert_eq!(again.progress_topic("other", "other"), "job.out.progress");
        assert_eq!((again.topic.as_str(), again.connection.servers()), ("visits", "a:1"));
        assert!(Settings::from_address(&BTreeMap::new(), None).is_err());
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let good = Settings::new("t", Connection::new("a:1"));
        assert_eq!(good.check(), Ok(()));
        let error = Settings { chunk_rows: 0, ..good.clone() }.check().unwrap_err();
        assert!(error.message().contains("chunk-rows"), "{error}");
        assert!(Settings { progress_topic: Some("t".into()), ..good }.check().is_err());
    }
}
