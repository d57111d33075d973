//! The records of the tick log, as they are stored: JSON objects, one a record, framed by the log's backend.
//!
//! Whoever reads must ignore fields that it does not know; whoever adds a field gives it a default.
//! `doc/formats/tick-log.md` is the description for other programs.

use crate::error::{Error, Result};
use crate::ids::{Generation, Inlet, Nonce, Tick};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One record of the tick log. Whether it *counts* is decided by reading in order (PROTOCOL, "What counts").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record {
    /// A generation begins.
    Open(Open),
    /// A tick: everything that its output depends on.
    Tick(TickRecord),
    /// A snapshot exists.
    Snapshot(SnapshotRecord),
    /// Snapshots below a tick are given up; their objects may be deleted once this counts.
    Drop(DropRecord),
    /// A record of the input is left out, since nobody has seen a tick with it.
    Skip(SkipRecord),
    /// All that a reader must know if the log is cut here.
    State(StateRecord),
}

impl Record {
    /// The generation that wrote the record.
    pub fn generation(&self) -> Generation {
        match self {
            Record::Open(r) => r.generation,
            Record::Tick(r) => r.generation,
            Record::Snapshot(r) => r.generation,
            Record::Drop(r) => r.generation,
            Record::Skip(r) => r.generation,
            Record::State(r) => r.generation,
        }
    }

    /// The record as the log stores it: one JSON object without line breaks.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("records have string keys and numbers only")
    }

    /// The record in `json`. This is the only right way to read one: `serde_json::from_slice` can't, since a tagged enum
    /// buffers numbers, which it gives in a form of their own where it keeps their precision.
    ///
    /// # Errors
    /// `Corrupt` if it is not a record; the caller adds the place.
    pub fn from_json(json: &[u8]) -> Result<Record> {
        serde_json::from_slice::<serde_json::Value>(json)
            .and_then(serde_json::from_value)
            .map_err(|e| Error::corrupt(format!("not a record of the tick log: {e}")))
    }

    /// "tick 7 of generation 3", for messages.
    pub fn describe(&self) -> String {
        let generation = self.generation();
        match self {
            Record::Open(_) => format!("open of generation {generation}"),
            Record::Tick(r) => format!("tick {} of generation {generation}", r.decision.tick),
            Record::Snapshot(r) => format!("snapshot {} of generation {generation}", r.tick),
            Record::Drop(r) => format!("drop below {} of generation {generation}", r.below),
            Record::Skip(r) => format!(
                "skip of {} {} {} of generation {generation}",
                r.source, r.partition, r.offset
            ),
            Record::State(r) => format!("state at {} of generation {generation}", r.tick),
        }
    }
}

/// A generation begins: who leads, with which program, and which sinks there are or were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The generation, one more than the newest claimed.
    pub generation: Generation,
    /// Drawn by the claimant.
    pub nonce: Nonce,
    /// Identity of this log, drawn when it was made; a foreign or lost log is noticed by it.
    pub log_id: Nonce,
    /// Fingerprint of the program.
    pub program: String,
    /// For a program that differs from its predecessor: the tick E that it saw, at which it starts.
    pub base: Option<Tick>,
    /// Kept state that this program has given up by its uid, and the tick: what the snapshot of that tick has of it is not restored.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, Tick>,
    /// Every sink, also removed ones whose lanes must stay fenced.
    pub sinks: Vec<SinkDecl>,
}

/// A sink as the log knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkDecl {
    /// The sink's name.
    pub name: String,
    /// The number of its lanes, fixed for its life.
    pub lanes: u16,
    /// The first tick that it is owed. Progress before it is "nothing written", never "unknown".
    pub first_tick: Tick,
    /// Whether the running program still has the sink.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub live: bool,
    /// What a connector needs to fence a sink that the program no longer has (connector name and address; never secrets).
    #[serde(default)]
    pub address: BTreeMap<String, String>,
    /// The newest tick at which the sink of a table begins again with the whole table. Absent: it only ever had changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
}

/// A tick at which a sink is given a whole table, not only what changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The tick. The changes of all ticks up to it are written as one.
    pub tick: Tick,
    /// Whether what the sink has written before is subtracted: rows that are equal are not written again, others are taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub less_written: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_true(value: &bool) -> bool {
    *value
}

/// A source partition gets its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InletDecl {
    /// The number.
    pub inlet: Inlet,
    /// The source's name.
    pub source: String,
    /// The partition as the transport names it: a number for Kafka, a path for files.
    pub partition: String,
    /// The next offset at which reading begins.
    pub start: u64,
    /// What the transport tells the source apart by, as a topic's id: offsets mean something only as long as it is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// What is decided before a tick is read: broadcast to all workers, then part of the tick's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The tick that this decision opens.
    pub tick: Tick,
    /// Wall clock in microseconds since the Unix epoch.
    pub wall: i64,
    /// The watermark in force, by source, in microseconds of event time; sources without one are absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub watermarks: BTreeMap<String, i64>,
    /// Whether a snapshot is taken at this tick.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub snapshot: bool,
    /// Partitions that appear with this tick.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inlets: Vec<InletDecl>,
    /// Commands that act at this tick.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Command>,
}

/// A command that takes effect at a tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Keep the snapshot of this tick under a name, until the user deletes it.
    Savepoint {
        /// The name that the user gave.
        name: String,
        /// Recognises a repeated request.
        id: String,
    },
    /// This is the last tick of the job's present run; a snapshot is taken at it.
    Stop,
}

/// Whether a partition takes part in the watermark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// Has or may have records: it holds the watermark.
    #[default]
    Active,
    /// Caught up with nothing to read for the idle time: it holds nothing.
    Idle,
    /// Bounded and at its end: it holds nothing and never returns.
    Finished,
}

/// What one tick read of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The partition.
    pub inlet: Inlet,
    /// The next offset before the tick.
    pub from: u64,
    /// The next offset after it.
    pub to: u64,
    /// The number of records, rejected ones included.
    pub records: u64,
    /// Chained XXH3-64 over the records' keys and payloads (`doc/formats/tick-log.md`).
    pub checksum: u64,
    /// The greatest event time of the partition so far, in microseconds; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time_max: Option<i64>,
    /// How many of the records were rejected.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejected: u64,
    /// Whether the partition takes part in the watermark from the next decision on.
    #[serde(default)]
    pub activity: Activity,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A tick: its decision and the ranges that were read, in the order of inlets. A partition of which nothing was read
/// and whose activity did not change is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickRecord {
    /// The generation that led.
    pub generation: Generation,
    /// What was decided before it was read.
    #[serde(flatten)]
    pub decision: Decision,
    /// What was read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
}

/// A snapshot exists: its segments and manifest are in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// The generation that wrote it.
    pub generation: Generation,
    /// The tick whose end it shows.
    pub tick: Tick,
    /// The manifest's place in the store.
    pub manifest: String,
    /// The name of the savepoint, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savepoint: Option<String>,
}

/// Snapshots below `below` are no roots any more, savepoints and `base` excepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropRecord {
    /// The generation that gives them up.
    pub generation: Generation,
    /// Snapshots of lower ticks are given up.
    pub below: Tick,
    /// Savepoints given up by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub savepoints: Vec<String>,
}

/// What the record at this place says is left out, from the step behind its source on, wherever the tick is read again. It was counted, and
/// holds watermarks, as before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkipRecord {
    /// The generation that had fenced all lanes and found the tick in no sink.
    pub generation: Generation,
    /// The tick that read the record; absent if none had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tick: Option<Tick>,
    /// The source's name.
    pub source: String,
    /// The partition as the transport names it.
    pub partition: String,
    /// The record's offset.
    pub offset: u64,
}

/// All that a reader must know if everything before this record was cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRecord {
    /// The generation that wrote it.
    pub generation: Generation,
    /// The newest open that counts.
    pub open: Open,
    /// The last counted tick before this record.
    pub tick: Tick,
    /// Every snapshot that counts and was not dropped.
    pub snapshots: Vec<SnapshotRecord>,
    /// Every inlet so far.
    pub inlets: Vec<InletDecl>,
    /// What is left out once it is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skips: Vec<SkipRecord>,
}

#[cfg(test)]
mod tests;
