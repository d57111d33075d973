//! The typed settings of a job: plain data, taken from a checked configuration.

use super::connectors::{
    Connection, FileSink, FileSource, Format, Isolation, KafkaSink, KafkaSource, Mode,
    NexmarkSource, OnChange, OnError, Sink, SinkConnector, Source, SourceConnector, Start,
    WhenBehind,
};
use super::kinds::Typed;
use super::layers::Section;
use super::resolve::{Resolved, option_of};
use super::s3::S3;
use super::units::serialize_duration;
use super::value::Secret;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// All settings of a job. The reference is `doc/operating/configuration.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Worker threads.
    pub workers: usize,
    /// The store: a directory or an object store URL.
    pub state: String,
    /// The job.
    pub job: Job,
    /// The HTTP server.
    pub http: Http,
    /// How input is cut into ticks.
    pub tick: Tick,
    /// Snapshots.
    pub snapshots: Snapshots,
    /// The tick log.
    pub log: Log,
    /// The processes of the job.
    pub cluster: Cluster,
    /// The server of a store in S3.
    pub s3: S3,
    /// Memory.
    pub memory: Memory,
    /// Bounds.
    pub limits: Limits,
    /// Connections by name.
    pub connections: BTreeMap<String, Connection>,
    /// Sources by name.
    pub sources: BTreeMap<String, Source>,
    /// Sinks by name.
    pub sinks: BTreeMap<String, Sink>,
    /// Served views by name, those that are configured or declared.
    pub views: BTreeMap<String, View>,
}

/// `[job]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Job {
    /// The job's name.
    pub name: String,
    /// The program's fingerprint, if it is said instead of computed.
    pub program: Option<String>,
    /// Uids of kept state that is given up.
    pub drop_state: Vec<String>,
}

/// `[http]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Http {
    /// `host:port`; port 0 takes a free one.
    pub addr: String,
    /// The bearer token.
    pub token: Option<Secret>,
}

/// `[tick]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tick {
    /// Least time between two ticks.
    #[serde(serialize_with = "serialize_duration")]
    pub interval_min: Duration,
    /// Greatest time that waiting input is gathered into one tick.
    #[serde(serialize_with = "serialize_duration")]
    pub interval_max: Duration,
    /// A tick is opened after this time though no input waits.
    #[serde(serialize_with = "serialize_duration")]
    pub heartbeat: Duration,
    /// Records in one tick, over all workers.
    pub records_max: u64,
    /// Bytes of input in one tick, over all workers.
    pub bytes_max: u64,
    /// Ticks beyond the output probe.
    pub ahead_max: u64,
    /// Ticks beyond the durable frontier.
    pub durable_ahead_max: u64,
}

/// `[snapshots]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snapshots {
    /// Time between two snapshots.
    #[serde(serialize_with = "serialize_duration")]
    pub interval: Duration,
    /// Snapshots that are kept.
    pub kept: usize,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Log {
    /// Files in a directory.
    File {
        /// The directory; inside the store if absent.
        path: Option<String>,
    },
    /// A Kafka topic of one partition.
    Kafka {
        /// Name of the connection.
        connection: String,
        /// The topic.
        topic: String,
        /// Replicas when it is made.
        replication: u16,
    },
    /// The store of the state.
    Store,
}

/// `[cluster]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// `host:port` of each process, in order; empty if there is one.
    pub hosts: Vec<String>,
    /// Which of them this is.
    pub process: usize,
    /// Where it listens, if not at its entry.
    pub listen: Option<String>,
    /// The cluster's name.
    pub name: String,
    /// What the processes prove to each other.
    pub secret: Option<Secret>,
    /// Path of its certificate.
    pub tls_certificate: Option<String>,
    /// The certificate's private key.
    pub tls_key: Option<Secret>,
    /// Path of the authorities' certificates.
    pub tls_authority: Option<String>,
    /// How long a process waits for the others.
    #[serde(serialize_with = "serialize_duration")]
    pub join_time_max: Duration,
    /// How long a process may be silent.
    #[serde(serialize_with = "serialize_duration")]
    pub heartbeat_limit: Duration,
}

/// `[memory]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Bytes that the process may use; no bound if absent.
    pub budget: Option<u64>,
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Greatest input record, in bytes.
    pub record_bytes_max: u64,
    /// Deepest nesting of an input record.
    pub nesting_max: u64,
    /// Bytes released to a sink and not committed.
    pub sink_bytes_max: u64,
    /// Bytes of changes that wait to be written to segments.
    pub persist_bytes_max: u64,
    /// Greatest body of a request.
    pub http_body_bytes_max: u64,
    /// HTTP connections at a time.
    pub http_connections_max: usize,
    /// Most rows in one answer.
    pub query_rows_max: usize,
    /// Longest wait of a query for its tick.
    #[serde(serialize_with = "serialize_duration")]
    pub query_time_max: Duration,
    /// Rows in the answer to a query that names no limit.
    pub query_rows_default: usize,
    /// Bytes of events kept for each view that is followed.
    pub follow_ring_bytes_max: usize,
    /// Bytes of changes on their way from one worker to subscribers.
    pub follow_feed_bytes_max: usize,
    /// Longest wait of a savepoint or stop for its answer.
    #[serde(serialize_with = "serialize_duration")]
    pub command_time_max: Duration,
    /// Longest wait at a clean stop.
    #[serde(serialize_with = "serialize_duration")]
    pub stop_time_max: Duration,
}

/// `[view.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct View {
    /// Ticks back to which `as_of` can ask.
    pub history: u64,
}

impl Settings {
    /// What is allowed and still worth a warning at the start, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let host = self.http.addr.rsplit_once(':').map_or("", |(host, _)| host);
        let loopback = host == "localhost" || host == "[::1]" || host.starts_with("127.");
        if !loopback && self.http.token.is_none() {
            warnings.push(format!(
                "http.addr = {} is reachable from other machines and http.token is not set: anyone can query and stop the job",
                self.http.addr
            ));
        }
        if let Log::Kafka { topic, replication: 1, .. } = &self.log {
            warnings.push(format!(
                "log.replication = 1: the tick log {topic} is lost with one disk, and exactly once with it"
            ));
        }
        for (name, sink) in &self.sinks {
            if let SinkConnector::Kafka(KafkaSink { replication: 1, progress_topic, .. }) =
                &sink.connector
            {
                warnings.push(format!(
                    "sink.{name}.replication = 1: progress in {progress_topic} is lost with one disk, and exactly once with it"
                ));
            }
        }
        warnings
    }

    pub(crate) fn from_resolved(resolved: &Resolved) -> Settings {
        let at = |kind: &str| Of { resolved, section: Section::new(kind, None) };
        let (top, job, http) = (at(""), at("job"), at("http"));
        let limits = limits(&at("limits"));
        Settings {
            workers: top.number("workers"),
            state: top.text("state"),
            job: Job {
                name: job.text("name"),
                program: job.text_if("program"),
                drop_state: listed(job.text_if("drop_state")),
            },
            http: Http { addr: http.text("addr"), token: http.secret_if("token") },
            tick: tick(&at("tick")),
            snapshots: Snapshots {
                interval: at("snapshots").duration("interval"),
                kept: at("snapshots").number("kept"),
            },
            log: log(&at("log")),
            cluster: cluster(&at("cluster")),
            s3: s3(&at("s3")),
            memory: Memory { budget: at("memory").number_if("budget") },
            connections: named(resolved, "connection", connection),
            sources: named(resolved, "source", |of| source(of, &limits)),
            sinks: named(resolved, "sink", sink),
            views: named(resolved, "view", |of| View { history: of.number("history") }),
            limits,
        }
    }
}

/// One section of a checked configuration. What the table of keys gives a default or requires is there.
struct Of<'a> {
    resolved: &'a Resolved,
    section: Section,
}

const CHECKED: &str = "the key is in the table with this type and a default, or it is required";

impl Of<'_> {
    fn typed(&self, key: &str) -> Option<&Typed> {
        self.resolved.typed(&self.section, key)
    }

    fn text_if(&self, key: &str) -> Option<String> {
        match self.typed(key)? {
            Typed::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn text(&self, key: &str) -> String {
        self.text_if(key).expect(CHECKED)
    }

    fn number_if<N: TryFrom<u64>>(&self, key: &str) -> Option<N> {
        match self.typed(key)? {
            Typed::Integer(number) => N::try_from(*number).ok(),
            _ => None,
        }
    }

    fn number<N: TryFrom<u64>>(&self, key: &str) -> N {
        self.number_if(key).expect(CHECKED)
    }

    fn duration(&self, key: &str) -> Duration {
        match self.typed(key) {
            Some(Typed::Duration(duration)) => Some(*duration),
            _ => None,
        }
        .expect(CHECKED)
    }

    fn yes(&self, key: &str) -> bool {
        self.typed(key) == Some(&Typed::Bool(true))
    }

    fn secret_if(&self, key: &str) -> Option<Secret> {
        match self.typed(key)? {
            Typed::Secret(secret) => Some(secret.clone()),
            _ => None,
        }
    }

    /// The choice that the word at `key` names.
    fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> T {
        let word = self.text(key);
        choices.iter().find(|(name, _)| *name == word).map(|(_, choice)| *choice).expect(CHECKED)
    }

    fn character(&self, key: &str) -> char {
        self.text(key).chars().next().expect(CHECKED)
    }

    fn format(&self) -> Format {
        self.choice("format", &[("json", Format::Json), ("csv", Format::Csv)])
    }
}

fn named<T>(resolved: &Resolved, kind: &str, of: impl Fn(&Of<'_>) -> T) -> BTreeMap<String, T> {
    let section = |name: &str| Of { resolved, section: Section::new(kind, Some(name)) };
    resolved.names(kind).map(|name| (name.to_owned(), of(&section(name)))).collect()
}

fn tick(of: &Of<'_>) -> Tick {
    Tick {
        interval_min: of.duration("interval_min"),
        interval_max: of.duration("interval_max"),
        heartbeat: of.duration("heartbeat"),
        records_max: of.number("records_max"),
        bytes_max: of.number("bytes_max"),
        ahead_max: of.number("ahead_max"),
        durable_ahead_max: of.number("durable_ahead_max"),
    }
}

fn log(of: &Of<'_>) -> Log {
    match of.text("kind").as_str() {
        "kafka" => Log::Kafka {
            connection: of.text("connection"),
            topic: of.text("topic"),
            replication: of.number("replication"),
        },
        "store" => Log::Store,
        _ => Log::File { path: of.text_if("path") },
    }
}

fn cluster(of: &Of<'_>) -> Cluster {
    Cluster {
        hosts: listed(of.text_if("hosts")),
        process: of.number("process"),
        listen: of.text_if("listen"),
        name: of.text("name"),
        secret: of.secret_if("secret"),
        tls_certificate: of.text_if("tls_certificate"),
        tls_key: of.secret_if("tls_key"),
        tls_authority: of.text_if("tls_authority"),
        join_time_max: of.duration("join_time_max"),
        heartbeat_limit: of.duration("heartbeat_limit"),
    }
}

fn s3(of: &Of<'_>) -> S3 {
    S3 {
        endpoint: of.text_if("endpoint"),
        region: of.text_if("region"),
        access_key_id: of.secret_if("access_key_id"),
        secret_access_key: of.secret_if("secret_access_key"),
        session_token: of.secret_if("session_token"),
        allow_http: of.yes("allow_http"),
        path_style: of.yes("path_style"),
        timeout: of.duration("timeout"),
        retry_time: of.duration("retry_time"),
    }
}

fn limits(of: &Of<'_>) -> Limits {
    Limits {
        record_bytes_max: of.number("record_bytes_max"),
        nesting_max: of.number("nesting_max"),
        sink_bytes_max: of.number("sink_bytes_max"),
        persist_bytes_max: of.number("persist_bytes_max"),
        http_body_bytes_max: of.number("http_body_bytes_max"),
        http_connections_max: of.number("http_connections_max"),
        query_rows_max: of.number("query_rows_max"),
        query_time_max: of.duration("query_time_max"),
        query_rows_default: of.number("query_rows_default"),
        follow_ring_bytes_max: of.number("follow_ring_bytes_max"),
        follow_feed_bytes_max: of.number("follow_feed_bytes_max"),
        command_time_max: of.duration("command_time_max"),
        stop_time_max: of.duration("stop_time_max"),
    }
}

fn connection(of: &Of<'_>) -> Connection {
    let (mut options, mut secrets) = (BTreeMap::new(), BTreeMap::new());
    let entries = of.resolved.entries(&of.section).into_iter().flatten();
    for (key, entry) in entries.filter(|(key, _)| *key != "kind") {
        match option_of(&entry.value) {
            Ok(text) => drop(options.insert(key.clone(), text)),
            Err(secret) => drop(secrets.insert(key.clone(), secret)),
        }
    }
    Connection { options, secrets }
}

fn source(of: &Of<'_>, limits: &Limits) -> Source {
    let isolations = [
        ("read-committed", Isolation::ReadCommitted),
        ("read-uncommitted", Isolation::ReadUncommitted),
    ];
    let connector = match of.text("connector").as_str() {
        "kafka" => SourceConnector::Kafka(KafkaSource {
            connection: of.text("connection"),
            topic: of.text("topic"),
            start: Start::parse(&of.text("start")).expect(CHECKED),
            bounded: of.yes("bounded"),
            discovery: of.duration("discovery"),
            isolation: of.choice("isolation", &isolations),
            group: of.text_if("group"),
            timeout: of.duration("timeout"),
            format: of.format(),
            delimiter: of.character("delimiter"),
        }),
        "file" => SourceConnector::File(FileSource {
            path: of.text("path"),
            follow: of.yes("follow"),
            format: of.format(),
            header: of.yes("header"),
            delimiter: of.character("delimiter"),
        }),
        _ => SourceConnector::Nexmark(NexmarkSource {
            events: of.number_if("events"),
            rate: of.number_if("rate"),
            partitions: of.number("partitions"),
            seed: of.number("seed"),
            event_time_rate: of.number("event_time_rate"),
            stragglers_per_million: of.number("stragglers_per_million"),
            straggler_delay: of.duration("straggler_delay"),
        }),
    };
    let on_error =
        [("fail", OnError::Fail), ("skip", OnError::Skip), ("dead-letter", OnError::DeadLetter)];
    Source {
        connector,
        on_error: of.choice("on_error", &on_error),
        dead_letter: of.text("dead_letter"),
        idle: of.duration("idle"),
        record_bytes_max: of.number_if("record_bytes_max").unwrap_or(limits.record_bytes_max),
        nesting_max: of.number_if("nesting_max").unwrap_or(limits.nesting_max),
    }
}

fn sink(of: &Of<'_>) -> Sink {
    let connector = match of.text("connector").as_str() {
        "kafka" => SinkConnector::Kafka(KafkaSink {
            connection: of.text("connection"),
            topic: of.text("topic"),
            partitions: of.number_if("partitions"),
            replication: of.number("replication"),
            progress_topic: of.text("progress_topic"),
            transaction_rows_max: of.number("transaction_rows_max"),
            transaction_time_max: of.duration("transaction_time_max"),
            timeout: of.duration("timeout"),
        }),
        "file" => SinkConnector::File(FileSink { path: of.text("path") }),
        "blackhole" => SinkConnector::Blackhole,
        _ => SinkConnector::Stdout,
    };
    let modes =
        [("append", Mode::Append), ("upsert", Mode::Upsert), ("changelog", Mode::Changelog)];
    let changes = [
        ("refuse", OnChange::Refuse),
        ("reconcile", OnChange::Reconcile),
        ("rewrite", OnChange::Rewrite),
        ("from-now", OnChange::FromNow),
    ];
    Sink {
        connector,
        format: of.format(),
        mode: of.choice("mode", &modes),
        lanes: of.number("lanes"),
        on_change: of.choice("on_change", &changes),
        reconcile: of.yes("reconcile"),
        when_behind: of
            .choice("when_behind", &[("stall", WhenBehind::Stall), ("spool", WhenBehind::Spool)]),
    }
}

/// The words of a list with commas.
fn listed(text: Option<String>) -> Vec<String> {
    let text = text.unwrap_or_default();
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
