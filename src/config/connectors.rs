//! Settings of connections, sources and sinks: plain data, one struct a connector. They open nothing.

use super::units;
use super::value::Secret;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// `[connection.NAME]` of kind `kafka`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// librdkafka options, as text, unchanged: `bootstrap.servers` and whatever else is written.
    pub options: BTreeMap<String, String>,
    /// Options whose value is a secret, by place.
    pub secrets: BTreeMap<String, Secret>,
}

/// `[source.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// What it reads from.
    pub connector: SourceConnector,
    /// What happens to a record that can't be decoded or breaks a limit.
    pub on_error: OnError,
    /// The sink that rejected records go to under [`OnError::DeadLetter`].
    pub dead_letter: String,
    /// How long a partition must be caught up and silent until it no longer holds the watermark.
    #[serde(serialize_with = "units::serialize_duration")]
    pub idle: Duration,
    /// Greatest record, in bytes.
    pub record_bytes_max: u64,
    /// Deepest nesting of a record.
    pub nesting_max: u64,
}

/// What a source reads from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceConnector {
    /// A Kafka topic.
    Kafka(KafkaSource),
    /// Files.
    File(FileSource),
    /// The Nexmark generator.
    Nexmark(NexmarkSource),
}

/// A Kafka topic to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KafkaSource {
    /// Name of the connection.
    pub connection: String,
    /// The topic.
    pub topic: String,
    /// Where a partition that the job never read begins.
    pub start: Start,
    /// Whether it ends where the topic ended at the first start.
    pub bounded: bool,
    /// How often new partitions are looked for.
    #[serde(serialize_with = "units::serialize_duration")]
    pub discovery: Duration,
    /// Format of a record.
    pub format: Format,
}

/// Files to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileSource {
    /// A file, or a directory whose files are partitions.
    pub path: String,
    /// Whether files are read on as they grow and new ones are taken up.
    pub follow: bool,
    /// Format of a record.
    pub format: Format,
}

/// Events of the Nexmark generator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NexmarkSource {
    /// Events over all partitions; endless if absent.
    pub events: Option<u64>,
    /// Events a second over all partitions; flat out if absent.
    pub rate: Option<u64>,
    /// Partitions.
    pub partitions: u16,
    /// Seed.
    pub seed: u64,
}

/// Where a partition that the job never read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// With the first record that is there.
    Earliest,
    /// After the last record that is there.
    Latest,
    /// At this offset.
    Offset(u64),
    /// With the first record whose Kafka timestamp, in milliseconds since the Unix epoch, is this or later.
    TimestampMs(i64),
}

impl Start {
    /// What `earliest`, `latest`, `offset:N` or `timestamp-ms:N` says.
    pub fn parse(text: &str) -> Option<Start> {
        match text.split_once(':') {
            None if text == "earliest" => Some(Start::Earliest),
            None if text == "latest" => Some(Start::Latest),
            Some(("offset", offset)) => offset.parse().ok().map(Start::Offset),
            Some(("timestamp-ms", at)) => {
                at.parse().ok().filter(|at| *at >= 0).map(Start::TimestampMs)
            }
            _ => None,
        }
    }
}

/// How bytes become rows and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON, in files one value a line.
    Json,
    /// Comma separated values with a line of names at the head.
    Csv,
}

/// What happens to a record that can't be decoded or breaks a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The job stops and names it.
    Fail,
    /// It is counted and left out.
    Skip,
    /// It goes to a sink, with the place and the reason.
    DeadLetter,
}

/// `[sink.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sink {
    /// What it writes to.
    pub connector: SinkConnector,
    /// Format of a row.
    pub format: Format,
    /// What a row in the output means.
    pub mode: Mode,
    /// Writers.
    pub lanes: u16,
    /// What to do when the program above the sink has changed.
    pub on_change: OnChange,
    /// What a slow sink does to the job.
    pub when_behind: WhenBehind,
}

/// What a sink writes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkConnector {
    /// A Kafka topic.
    Kafka(KafkaSink),
    /// Files.
    File(FileSink),
    /// Standard output of the process.
    Stdout,
}

/// A Kafka topic to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KafkaSink {
    /// Name of the connection.
    pub connection: String,
    /// The topic.
    pub topic: String,
}

/// Files to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileSink {
    /// The directory.
    pub path: String,
}

/// What a row in the output means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Rows are only ever added.
    Append,
    /// The last value of a key holds; a tombstone takes it away.
    Upsert,
    /// Rows are inserted and retracted.
    Changelog,
}

/// What to do when the program above an incremental sink has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnChange {
    /// Do not start.
    Refuse,
    /// Write the difference to what is there.
    Reconcile,
    /// Write the whole image.
    Rewrite,
    /// Write what changes from now on.
    FromNow,
}

/// What a slow sink does to the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenBehind {
    /// The clock stops.
    Stall,
    /// Ticks go to an outbox in the store.
    Spool,
}
