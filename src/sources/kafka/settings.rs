//! What a user says about a Kafka source. No I/O.

use crate::kafka::Connection;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A Kafka source as it stands in the configuration.
///
/// ```
/// use tidemark::sources::kafka::{Settings, Start};
/// let settings: Settings = toml::from_str(r#"
///     topic = "clicks"
///     connection = { "bootstrap.servers" = "localhost:9092", "fetch.min.bytes" = 1 }
///     start = { timestamp = 1700000000000 }
/// "#).unwrap();
/// assert_eq!(settings.start, Start::Timestamp(1_700_000_000_000));
/// assert!(!settings.bounded);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The topic.
    pub topic: String,
    /// The brokers and librdkafka's options.
    pub connection: Connection,
    /// Where a job that never read the topic begins. Partitions that appear later begin at their earliest offset.
    #[serde(default)]
    pub start: Start,
    /// Whether to stop at the end that each partition has when the process first looks. Partitions that appear later are not read.
    #[serde(default)]
    pub bounded: bool,
    /// Whether rows of open and aborted transactions are read.
    #[serde(default)]
    pub isolation: Isolation,
    /// The consumer group to which next offsets are committed for lag tools. Nothing depends on it; without it nothing is committed.
    #[serde(default)]
    pub group: Option<String>,
    /// The time limit of one look at the topic, in milliseconds.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
}

fn timeout_ms() -> u64 {
    10_000
}

impl Settings {
    /// `topic` from its earliest offset, endless, committed rows only.
    pub fn new(topic: impl Into<String>, connection: Connection) -> Settings {
        Settings {
            topic: topic.into(),
            connection,
            start: Start::default(),
            bounded: false,
            isolation: Isolation::default(),
            group: None,
            timeout_ms: timeout_ms(),
        }
    }

    /// The time limit of one look at the topic.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// Where a job that never read the topic begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// At the earliest offset that each partition has.
    #[default]
    Earliest,
    /// At the end that each partition has when the job first looks.
    Latest,
    /// At given offsets. They must exist: nothing is clamped.
    Offset(Offsets),
    /// At the first record whose Kafka timestamp is not before this one, in milliseconds since the Unix epoch; at the end if there is none.
    Timestamp(i64),
}

/// Offsets at which to begin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Offsets {
    /// The same for every partition.
    All(u64),
    /// By the partition's number; others begin at their earliest offset.
    Each(BTreeMap<String, u64>),
}

/// Whether rows of open and aborted transactions are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Only rows of committed transactions, and rows outside of any.
    #[default]
    ReadCommitted,
    /// Every row. A replay may then read rows that were aborted in between, exactly as the first reading did.
    ReadUncommitted,
}

impl Isolation {
    /// As librdkafka calls it.
    pub(super) fn option(self) -> &'static str {
        match self {
            Isolation::ReadCommitted => "read_committed",
            Isolation::ReadUncommitted => "read_uncommitted",
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn start(text: &str) -> Start {
        let head = "topic = 't'\nconnection = { 'bootstrap.servers' = 'a:1' }\n";
        toml::from_str::<Settings>(&format!("{head}start = {text}")).unwrap().start
    }

    #[test]
    fn every_start_can_be_written() {
        assert_eq!(start("'earliest'"), Start::Earliest);
        assert_eq!(start("'latest'"), Start::Latest);
        assert_eq!(start("{ offset = 5 }"), Start::Offset(Offsets::All(5)));
        let each = BTreeMap::from([("0".to_owned(), 5), ("3".to_owned(), 7)]);
        assert_eq!(start("{ offset = { 0 = 5, 3 = 7 } }"), Start::Offset(Offsets::Each(each)));
        assert_eq!(start("{ timestamp = 9 }"), Start::Timestamp(9));
    }

    #[test]
    fn a_wrong_key_is_named() {
        let error =
            toml::from_str::<Settings>("topic = 't'\nconnection = {}\nbound = true").unwrap_err();
        assert!(error.to_string().contains("bound"), "{error}");
    }
}
