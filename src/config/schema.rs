//! Every key that the configuration knows, as data: the check of a value, the typed settings and the reference page
//! (`doc/operating/configuration.md`) are all derived from this table.

use super::kinds::Kind;

/// A section of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectionSpec {
    /// Its word in the file; empty for the keys above all sections.
    pub(crate) kind: &'static str,
    /// Whether it carries a name of the user's: `[source.NAME]`.
    pub(crate) named: bool,
    /// The key that selects one of several variants, each with keys of its own.
    pub(crate) selector: Option<&'static str>,
    /// Whether keys that the table does not know are taken as they are.
    pub(crate) open: bool,
    /// What it is for.
    pub(crate) doc: &'static str,
}

/// A key of a section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// The section's word.
    pub(crate) section: &'static str,
    /// The variants that have it; none named means all.
    pub(crate) variants: &'static [&'static str],
    /// Its name.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// What holds when nobody says anything. `<dataflow>`, `<job>` and `<name>` (of the section) are replaced.
    pub(crate) default: Absent,
    /// One sentence.
    pub(crate) doc: &'static str,
}

/// What holds when nobody says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// This, as it would be written.
    Is(&'static str),
    /// Nothing; in words, what that means.
    Unset(&'static str),
    /// It must be said.
    Required,
}

use Absent::{Is, Required, Unset};

const fn section(kind: &'static str, doc: &'static str) -> SectionSpec {
    SectionSpec { kind, named: false, selector: None, open: false, doc }
}

/// All sections, in the order in which they are shown.
pub(crate) const SECTIONS: &[SectionSpec] = &[
    section("", "Keys above all sections."),
    section("job", "The job."),
    section(
        "http",
        "The HTTP server of the job, and where commands such as `tidemark status` look for it.",
    ),
    section("tick", "How input is cut into ticks."),
    section("snapshots", "How often state is made durable; it bounds how much a recovery replays."),
    SectionSpec { selector: Some("kind"), ..section("log", "The tick log.") },
    section(
        "cluster",
        "Several processes that run one job together. All have the same configuration but for `process`, `listen` and `http.addr`. See [clusters](cluster.md).",
    ),
    section(
        "s3",
        "The server of `state = \"s3://..\"`. See [object stores](objectstore.md) for what is used where nothing is said.",
    ),
    section("memory", "Memory of the process."),
    section("limits", "Bounds on queues, bodies and times."),
    SectionSpec {
        named: true,
        selector: Some("kind"),
        open: true,
        ..section(
            "connection",
            "A connection that sources, sinks and the tick log name. Keys other than `kind` are librdkafka options, \
             passed through unchanged as text; passwords are given as `{ env = \"..\" }` or `{ file = \"..\" }`.",
        )
    },
    SectionSpec {
        named: true,
        selector: Some("connector"),
        ..section("source", "Where the source that the dataflow calls NAME reads from.")
    },
    SectionSpec {
        named: true,
        selector: Some("connector"),
        ..section("sink", "Where the sink that the dataflow calls NAME writes to.")
    },
    SectionSpec { named: true, ..section("view", "The served view that the dataflow calls NAME.") },
];

const ALL: &[&str] = &[];
const KAFKA: &[&str] = &["kafka"];
const FILE: &[&str] = &["file"];
const NEXMARK: &[&str] = &["nexmark"];
const KAFKA_OR_FILE: &[&str] = &["kafka", "file"];
const FORMATS: Kind = Kind::Choice(&["json", "csv"]);

const fn key(
    section: &'static str,
    variants: &'static [&'static str],
    name: &'static str,
    kind: Kind,
    default: Absent,
    doc: &'static str,
) -> Key {
    Key { section, variants, name, kind, default, doc }
}

/// All keys, in the order in which they are shown.
#[rustfmt::skip]
pub(crate) const KEYS: &[Key] = &[
    key("", ALL, "workers", Kind::Integer(1, 256), Is("1"), "Worker threads. May differ at every start."),
    key("", ALL, "state", Kind::Text, Is("./tidemark-state/<dataflow>"), "The store of snapshots and generations: a directory, or `s3://BUCKET/PREFIX` with `[s3]`."),

    key("job", ALL, "name", Kind::Name, Is("<dataflow>"), "The job's name. With the store it is the job's identity: progress of sinks is kept under it."),
    key("job", ALL, "program", Kind::Text, Unset("computed from the dataflow"), "Says the program's fingerprint instead of computing it. Only for those who know that two programs give the same output."),
    key("job", ALL, "drop_state", Kind::Text, Unset("nothing"), "Uids of kept state that this program gives up, with commas between them; `--drop-state UID` does the same. Each is given up once: a program that has done it keeps what it has gathered since."),

    key("http", ALL, "addr", Kind::Address, Is("127.0.0.1:8090"), "Address and port to listen on; port 0 takes a free one."),
    key("http", ALL, "token", Kind::Secret, Unset("no token is asked for"), "Bearer token that every request but health and readiness must carry."),

    key("tick", ALL, "interval_min", Kind::Duration("100us", "10s"), Is("1ms"), "Least time between two ticks."),
    key("tick", ALL, "interval_max", Kind::Duration("1ms", "1m"), Is("100ms"), "Greatest time that waiting input is gathered into one tick."),
    key("tick", ALL, "heartbeat", Kind::Duration("1ms", "1m"), Is("100ms"), "A tick is opened after this time though no input waits."),
    key("tick", ALL, "records_max", Kind::Integer(1, 1_000_000_000), Is("1000000"), "Records in one tick, over all workers."),
    key("tick", ALL, "bytes_max", Kind::Size("1KiB", "16GiB"), Is("64MiB"), "Bytes of input in one tick, over all workers."),
    key("tick", ALL, "ahead_max", Kind::Integer(1, 100_000), Is("16"), "Ticks that may be open beyond the last one whose output is complete; then the clock stops."),
    key("tick", ALL, "durable_ahead_max", Kind::Integer(1, 100_000), Is("256"), "Ticks that may be open beyond the last one whose record is durable; then the clock stops."),

    key("snapshots", ALL, "interval", Kind::Duration("100ms", "1d"), Is("10s"), "Time between two snapshots."),
    key("snapshots", ALL, "kept", Kind::Integer(1, 1_000), Is("3"), "Snapshots that are kept; savepoints are not counted and stay until they are deleted."),

    key("log", ALL, "kind", Kind::Choice(&["file", "kafka", "store"]), Is("file"), "Where the tick log is: a file, which serves one process on one machine, a Kafka topic, or the store that `state` names. See [the tick log's place](ticklog.md)."),
    key("log", FILE, "path", Kind::Text, Unset("inside `state`"), "Directory of the log. Must be said where `state` is a URL."),
    key("log", KAFKA, "connection", Kind::Name, Required, "Name of a `[connection.NAME]`."),
    key("log", KAFKA, "topic", Kind::Topic, Is("tidemark-<job>-log"), "The topic; it is made if it does not exist."),
    key("log", KAFKA, "replication", Kind::Integer(1, 32), Is("3"), "Replicas of the topic when it is made. 1 loses the job's order with one disk, and warns."),

    key("cluster", ALL, "hosts", Kind::Text, Unset("one process"), "`host:port` of each process, in order, with commas between: where the others reach it. `--hosts` does the same."),
    key("cluster", ALL, "process", Kind::Integer(0, 1023), Is("0"), "Which of them this process is. 0 leads: it has the tick log, the sinks and the HTTP server. `--process` does the same."),
    key("cluster", ALL, "listen", Kind::Address, Unset("its entry in `hosts`"), "Where this process listens for the others, if it can't bind the name under which they reach it."),
    key("cluster", ALL, "name", Kind::Name, Is("<job>"), "The cluster's name: processes of another one are refused."),
    key("cluster", ALL, "secret", Kind::Secret, Unset("must be said with `hosts`"), "What proves that a process belongs to the cluster: at least 16 bytes drawn at random. It is never sent."),
    key("cluster", ALL, "tls_certificate", Kind::Text, Unset("connections are not encrypted"), "Path of this process's certificate in PEM, then those between it and the authority. With it the processes encrypt all that they say (TLS 1.3), and each shows its certificate. See [secure](secure.md)."),
    key("cluster", ALL, "tls_key", Kind::Secret, Unset("must be said with `tls_certificate`"), "The private key of the certificate, in PEM."),
    key("cluster", ALL, "tls_authority", Kind::Text, Unset("must be said with `tls_certificate`"), "Path of the certificates, in PEM, of the authorities that certify the processes: no other certificate is taken."),
    key("cluster", ALL, "join_time_max", Kind::Duration("1s", "1h"), Is("1m"), "How long a process waits for the others at a start."),
    key("cluster", ALL, "heartbeat_limit", Kind::Duration("200ms", "10m"), Is("10s"), "A process of which nothing is heard for so long is lost, and the others end with it. How long a tick takes does not matter."),
    key("s3", ALL, "endpoint", Kind::Text, Unset("Amazon's for the region"), "URL of the server, `https://HOST[:PORT]`."),
    key("s3", ALL, "region", Kind::Text, Unset("`AWS_REGION`, else `AWS_DEFAULT_REGION`, else us-east-1"), "Region that requests are signed for."),
    key("s3", ALL, "access_key_id", Kind::Secret, Unset("from the process's surroundings"), "The key's public part. With it nothing is taken from the process's surroundings."),
    key("s3", ALL, "secret_access_key", Kind::Secret, Unset("as `access_key_id`"), "The key's secret part."),
    key("s3", ALL, "session_token", Kind::Secret, Unset("none"), "The token of a session, for a key that ends with it."),
    key("s3", ALL, "allow_http", Kind::Bool, Is("false"), "Allow an endpoint without encryption."),
    key("s3", ALL, "path_style", Kind::Bool, Is("true"), "Put the bucket into the path of a URL; false puts it before the host name."),
    key("s3", ALL, "timeout", Kind::Duration("100ms", "10m"), Is("30s"), "Limit of one request with its answer. A segment of 64 MiB must fit."),
    key("s3", ALL, "retry_time", Kind::Duration("0s", "5m"), Is("10s"), "How long one read, listing or deletion is tried again before it counts as failed. Creating an object is asked once, and cleared up by reading."),

    key("memory", ALL, "budget", Kind::Size("16MiB", "16TiB"), Unset("no bound"), "Bytes that the process may use: a warning at 80 %, at 95 % the clock stops and says why."),

    key("limits", ALL, "record_bytes_max", Kind::Size("16B", "16MiB"), Is("1MiB"), "Greatest input record; greater ones are rejected."),
    key("limits", ALL, "nesting_max", Kind::Integer(1, 128), Is("64"), "Deepest nesting of an input record; deeper ones are rejected."),
    key("limits", ALL, "sink_bytes_max", Kind::Size("1MiB", "64GiB"), Is("256MiB"), "Bytes released to a sink and not yet committed; then the clock stops."),
    key("limits", ALL, "persist_bytes_max", Kind::Size("1MiB", "64GiB"), Is("256MiB"), "Bytes of changes that wait to be written to segments."),
    key("limits", ALL, "http_body_bytes_max", Kind::Size("1KiB", "1GiB"), Is("1MiB"), "Greatest body of a request."),
    key("limits", ALL, "http_connections_max", Kind::Integer(1, 100_000), Is("1024"), "Connections at a time."),
    key("limits", ALL, "query_rows_max", Kind::Integer(1, 10_000_000), Is("10000"), "Most rows in one answer; a scan goes on from the answer's `next`."),
    key("limits", ALL, "query_rows_default", Kind::Integer(1, 10_000_000), Is("100"), "Rows in the answer to a query that names no limit."),
    key("limits", ALL, "query_time_max", Kind::Duration("1ms", "1h"), Is("10s"), "Longest wait of a query for its tick."),
    key("limits", ALL, "follow_ring_bytes_max", Kind::Size("4KiB", "16GiB"), Is("8MiB"), "Bytes of events kept for each view that is followed, from which slow subscribers catch up."),
    key("limits", ALL, "follow_feed_bytes_max", Kind::Size("4KiB", "16GiB"), Is("32MiB"), "Bytes of changes on their way from one worker to subscribers."),
    key("limits", ALL, "command_time_max", Kind::Duration("1s", "1h"), Is("1m"), "Longest wait of a savepoint or stop for its answer."),
    key("limits", ALL, "stop_time_max", Kind::Duration("1s", "1h"), Is("30s"), "Longest wait for sinks and a last snapshot at a clean stop."),

    key("connection", ALL, "kind", Kind::Choice(KAFKA), Is("kafka"), "What it connects to."),
    key("connection", KAFKA, "bootstrap.servers", Kind::Text, Required, "Brokers, `host:port` with commas between."),

    key("source", ALL, "connector", Kind::Choice(&["kafka", "file", "nexmark"]), Required, "What it reads from."),
    key("source", KAFKA, "connection", Kind::Name, Is("kafka"), "Name of a `[connection.NAME]`."),
    key("source", KAFKA, "topic", Kind::Topic, Is("<name>"), "The topic; all its partitions are read."),
    key("source", KAFKA, "start", Kind::Start, Is("earliest"), "Where a partition that the job never read begins."),
    key("source", KAFKA, "bounded", Kind::Bool, Is("false"), "Whether it ends where the topic ended at the first start."),
    key("source", KAFKA, "discovery", Kind::Duration("100ms", "1d"), Is("10s"), "How often new partitions are looked for."),
    key("source", KAFKA, "isolation", Kind::Choice(&["read-committed", "read-uncommitted"]), Is("read-committed"), "Whether rows of open and aborted transactions are read."),
    key("source", KAFKA, "group", Kind::Text, Unset("the job's name"), "Consumer group to which next offsets are committed for lag tools. Nothing depends on it."),
    key("source", KAFKA, "timeout", Kind::Duration("100ms", "10m"), Is("10s"), "Time limit of one look at the topic."),
    key("source", FILE, "path", Kind::Text, Required, "A file, or a directory whose files are partitions."),
    key("source", FILE, "follow", Kind::Bool, Is("false"), "Whether files are read on as they grow and new ones are taken up."),
    key("source", KAFKA_OR_FILE, "format", FORMATS, Is("json"), "Format of a record (`json`: in files one value a line)."),
    key("source", FILE, "header", Kind::Bool, Is("true"), "Whether a CSV file begins with a line of names."),
    key("source", KAFKA_OR_FILE, "delimiter", Kind::Character, Is(","), "What stands between the fields of CSV."),
    key("source", NEXMARK, "events", Kind::Integer(1, 1 << 47), Unset("endless"), "Events over all partitions, after which it ends."),
    key("source", NEXMARK, "rate", Kind::Integer(1, 1_000_000_000), Unset("flat out"), "Events a second over all partitions."),
    key("source", NEXMARK, "partitions", Kind::Integer(1, 1_024), Is("4"), "Partitions."),
    key("source", NEXMARK, "seed", Kind::Integer(0, 65_535), Is("0"), "Seed; the same seed gives the same events."),
    key("source", NEXMARK, "event_time_rate", Kind::Integer(1, 1_000_000), Is("10000"), "Events for a second of event time, over all partitions."),
    key("source", NEXMARK, "stragglers_per_million", Kind::Integer(0, 1_000_000), Is("0"), "Events of a million that are late in event time."),
    key("source", NEXMARK, "straggler_delay", Kind::Duration("1ms", "365d"), Is("1m"), "How late they are."),
    key("source", ALL, "on_error", Kind::Choice(&["fail", "skip", "dead-letter"]), Is("fail"), "What happens to a record that can't be decoded or breaks a limit."),
    key("source", ALL, "dead_letter", Kind::Name, Is("<name>-rejected"), "Name of the `[sink.NAME]` that rejected records go to when `on_error` is `dead-letter`."),
    key("source", ALL, "idle", Kind::Duration("1ms", "365d"), Is("30s"), "A partition that is caught up and gives nothing for this long no longer holds the watermark."),
    key("source", ALL, "record_bytes_max", Kind::Size("16B", "16MiB"), Unset("as in `[limits]`"), "Greatest record of this source."),
    key("source", ALL, "nesting_max", Kind::Integer(1, 128), Unset("as in `[limits]`"), "Deepest nesting of a record of this source."),

    key("sink", ALL, "connector", Kind::Choice(&["kafka", "file", "stdout", "blackhole"]), Required, "What it writes to."),
    key("sink", KAFKA, "connection", Kind::Name, Is("kafka"), "Name of a `[connection.NAME]`."),
    key("sink", KAFKA, "topic", Kind::Topic, Is("<name>"), "The topic."),
    key("sink", KAFKA, "partitions", Kind::Integer(1, 10_000), Unset("the topic must exist"), "Partitions with which the topic is made if it does not exist."),
    key("sink", KAFKA, "replication", Kind::Integer(1, 32), Is("3"), "Replicas of the progress topic, and of the topic of rows where it is made. With 1 exactly once ends with that disk, and it warns."),
    key("sink", KAFKA, "progress_topic", Kind::Topic, Is("<job>.<name>.progress"), "Topic of the sink's progress; one sink has it alone."),
    key("sink", KAFKA, "transaction_rows_max", Kind::Integer(1, 10_000_000), Is("50000"), "Rows in one transaction; a larger tick is written in several."),
    key("sink", KAFKA, "transaction_time_max", Kind::Duration("1s", "15m"), Is("1m"), "How long the broker lets a transaction stand open."),
    key("sink", KAFKA, "timeout", Kind::Duration("100ms", "10m"), Is("30s"), "Time limit of one step: taking a lane over, sending, committing, reading progress."),
    key("sink", FILE, "path", Kind::Text, Required, "Directory that the files go to."),
    key("sink", ALL, "format", FORMATS, Is("json"), "Format of a row."),
    key("sink", ALL, "mode", Kind::Choice(&["append", "upsert", "changelog"]), Is("append"), "What a row in the output means: append only, last value per key, or inserted and retracted rows."),
    key("sink", ALL, "lanes", Kind::Integer(1, 256), Is("1"), "Writers; fixed for the sink's life."),
    key("sink", ALL, "on_change", Kind::Choice(&["refuse", "reconcile", "rewrite", "from-now"]), Is("refuse"), "What the sink of a table does when another program goes on: do not start, write the difference to what it has written, write the whole table, or go on with changes. See [upgrade](upgrade.md)."),
    key("sink", ALL, "reconcile", Kind::Bool, Is("false"), "Keep what the sink writes, so that `on_change = \"reconcile\"` is possible at a later change of program. Only sinks of tables with mode upsert or changelog; `on_change = \"reconcile\"` implies it."),
    key("sink", ALL, "when_behind", Kind::Choice(&["stall", "spool"]), Is("stall"), "What a slow sink does to the job: stop the clock, or spool to the store."),

    key("view", ALL, "history", Kind::Integer(1, 1_000_000), Is("64"), "Ticks back to which `as_of` can ask."),
];

/// The section called `kind`.
pub(crate) fn section_named(kind: &str) -> Option<&'static SectionSpec> {
    SECTIONS.iter().find(|section| section.kind == kind)
}

/// The keys of a section that `variant` has; all of them if no variant is given.
pub(crate) fn keys_of<'a>(
    section: &'a str,
    variant: Option<&'a str>,
) -> impl Iterator<Item = &'static Key> + 'a {
    KEYS.iter().filter(move |key| {
        key.section == section
            && (key.variants.is_empty() || variant.is_none_or(|v| key.variants.contains(&v)))
    })
}

#[cfg(test)]
mod tests;
