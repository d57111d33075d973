//! Settings of connections, sources and sinks: plain data, one struct a connector. They open nothing.

use super::units;
use super::value::Secret;
use crate::error::Result;
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

impl Connection {
    /// All options in plain text, secrets read now: what a client is made of, to be kept nowhere else.
    ///
    /// # Errors
    /// `Config` if a secret can't be read, with the option's name.
    pub fn reveal(&self) -> Result<BTreeMap<String, String>> {
        let mut plain = self.options.clone();
        for (option, secret) in &self.secrets {
            let revealed = secret.reveal().map_err(|e| e.at(option))?;
            plain.insert(option.clone(), revealed.expose().to_owned());
        }
        Ok(plain)
    }
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
    /// Whether rows of open and aborted transactions are read.
    pub isolation: Isolation,
    /// Consumer group to which next offsets are committed for lag tools.
    pub group: Option<String>,
    /// Time limit of one look at the topic.
    #[serde(serialize_with = "units::serialize_duration")]
    pub timeout: Duration,
    /// Format of a record.
    pub format: Format,
    /// What stands between the fields of CSV, an ASCII character.
    pub delimiter: char,
}

/// Whether rows of open and aborted transactions are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Only rows of committed transactions, and rows outside of any.
    ReadCommitted,
    /// Every row.
    ReadUncommitted,
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
    /// Whether a CSV file begins with a line of names.
    pub header: bool,
    /// What stands between the fields of CSV, an ASCII character.
    pub delimiter: char,
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
    /// Events for a second of event time, over all partitions.
    pub event_time_rate: u64,
    /// Events of a million that are late.
    pub stragglers_per_million: u32,
    /// How late they are in event time.
    #[serde(serialize_with = "units::serialize_duration")]
    pub straggler_delay: Duration,
}

/// Where a partition that the job never read begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// With the first record that is there.
    Earliest,
    /// After the last record that is there.
    Latest,
    /// At this offset in every partition.
    Offset(u64),
    /// At these offsets by partition; others begin with the first record that is there.
    Offsets(BTreeMap<String, u64>),
    /// With the first record whose Kafka timestamp, in milliseconds since the Unix epoch, is this or later.
    TimestampMs(i64),
}

impl Start {
    /// What `earliest`, `latest`, `offset:N`, `offset:PARTITION=N,PARTITION=N` or `timestamp-ms:N` says.
    pub fn parse(text: &str) -> Option<Start> {
        match text.split_once(':') {
            None if text == "earliest" => Some(Start::Earliest),
            None if text == "latest" => Some(Start::Latest),
            Some(("offset", offsets)) if offsets.contains('=') => {
                let each = offsets.split(',').map(|each| {
                    let (partition, offset) = each.split_once('=')?;
                    let number: u32 = partition.trim().parse().ok()?;
                    Some((number.to_string(), offset.trim().parse().ok()?))
                });
                each.collect::<Option<BTreeMap<_, _>>>().map(Start::Offsets)
            }
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
    /// Whether it keeps what it has written, so that `on_change = "reconcile"` is possible later.
    pub reconcile: bool,
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
    /// Nowhere: rows are thrown away.
    Blackhole,
}

/// A Kafka topic to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KafkaSink {
    /// Name of the connection.
    pub connection: String,
    /// The topic.
    pub topic: String,
    /// Partitions with which the topic is made if it does not exist; if absent, it must exist.
    pub partitions: Option<u16>,
    /// Replicas of the progress topic, and of the topic of rows where it is made.
    pub replication: u16,
    /// Topic of the sink's progress.
    pub progress_topic: String,
    /// Rows in one transaction.
    pub transaction_rows_max: usize,
    /// How long the broker lets a transaction stand open.
    #[serde(serialize_with = "units::serialize_duration")]
    pub transaction_time_max: Duration,
    /// Time limit of one step.
    #[serde(serialize_with = "units::serialize_duration")]
    pub timeout: Duration,
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
