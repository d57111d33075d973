//! Sinks: writers of released ticks, exactly once. No sink knows a source, a format or an operator.
//!
//! ```text
//! fence -> progress of each lane -> write, write, ...      (own thread, may block)
//!            ^                        | anything but a positive commit
//!            +------------------------+
//! ```

pub mod blackhole;
pub mod contract;
pub mod file;
pub mod kafka;
mod lines;
pub mod memory;
pub mod resume;
pub mod stdout;

use crate::error::Result;
use crate::ids::{Generation, Lane, Nonce, Tick};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a lane's writer commits together with its rows: the exact place up to which the lane is written.
///
/// Stored as a JSON object (`doc/formats/progress.md`). One progress record is written for each tick, also for a tick
/// without rows in a transaction that has others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The job's name.
    pub job: String,
    /// The sink's name.
    pub sink: String,
    /// The lane.
    pub lane: Lane,
    /// Fingerprint of the program.
    pub program: String,
    /// The generation that wrote it.
    pub generation: Generation,
    /// The generation's nonce.
    pub nonce: Nonce,
    /// The tick.
    pub tick: Tick,
    /// Rows of the tick committed so far in this lane.
    pub rows: u64,
    /// XXH3-64 over those rows in their order.
    pub digest: u64,
    /// Whether these are all rows of the tick in this lane.
    pub last: bool,
    /// The next offset of each source partition after the tick: source -> partition -> next offset.
    pub next_offsets: BTreeMap<String, BTreeMap<String, u64>>,
    /// Watermarks in force at the tick, in microseconds of event time, by source.
    pub watermarks: BTreeMap<String, i64>,
}

impl Progress {
    /// The progress of a lane once the first `rows` rows of `tick`, whose digest is `digest`, are committed.
    pub(crate) fn of(
        identity: &Identity,
        sink: &str,
        tick: &LaneTick,
        rows: usize,
        digest: u64,
    ) -> Progress {
        Progress {
            job: identity.job.clone(),
            sink: sink.to_owned(),
            lane: tick.lane,
            program: identity.program.clone(),
            generation: identity.generation,
            nonce: identity.nonce,
            tick: tick.tick,
            rows: rows as u64,
            digest,
            last: rows == tick.rows.len(),
            next_offsets: tick.next_offsets.clone(),
            watermarks: tick.watermarks.clone(),
        }
    }

    /// The progress of a lane of which only is known that it has everything through `tick`.
    pub(crate) fn whole(identity: &Identity, tick: Tick) -> Progress {
        Progress {
            job: identity.job.clone(),
            sink: String::new(),
            lane: Lane(0),
            program: identity.program.clone(),
            generation: identity.generation,
            nonce: identity.nonce,
            tick,
            rows: 0,
            digest: 0,
            last: true,
            next_offsets: BTreeMap::new(),
            watermarks: BTreeMap::new(),
        }
    }
}

/// The generation under which a sink writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The job's name.
    pub job: String,
    /// Fingerprint of the program.
    pub program: String,
    /// The generation.
    pub generation: Generation,
    /// Its nonce.
    pub nonce: Nonce,
}

/// One row as it goes out. Rows of a tick and lane come in their canonical order. Their bytes are parts of buffers that they share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The fixed hash of the key (of the row, if it has none) modulo the number of virtual shards.
    pub shard: u16,
    /// The key's bytes.
    pub key: Option<Bytes>,
    /// -1 for a retraction, 1 otherwise. Retractions come before insertions of the same key.
    pub diff: i8,
    /// The row's bytes; `None` is a tombstone.
    pub value: Option<Bytes>,
}

impl Row {
    /// Bytes of key and value.
    pub fn payload(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len)
    }

    /// Bytes that the row holds, for bounds.
    pub fn bytes(&self) -> usize {
        self.payload() + 64
    }
}

/// All rows of one lane in one released tick.
#[derive(Clone, Debug)]
pub struct LaneTick {
    /// The lane.
    pub lane: Lane,
    /// The tick.
    pub tick: Tick,
    /// The rows, sorted.
    pub rows: Vec<Row>,
    /// As in [`Progress`].
    pub next_offsets: BTreeMap<String, BTreeMap<String, u64>>,
    /// As in [`Progress`].
    pub watermarks: BTreeMap<String, i64>,
}

/// The outside of a sink. Lives on its own thread, which may block.
pub trait Writer: Send {
    /// The connector's name for messages: "kafka topic visits".
    fn describe(&self) -> String;

    /// Takes every lane over from whoever had it and commits a mark there (PROTOCOL 3), then gives the progress of each lane up to
    /// that mark (PROTOCOL 4), in the order of lanes; `None` for a lane in which nothing was ever committed.
    ///
    /// # Errors
    /// `Fenced` if a higher generation's mark is found, `Retry` if the other side can't be reached in time, `Config` if it refuses.
    fn fence(&mut self, identity: &Identity, lanes: u16) -> Result<Vec<Option<Progress>>>;

    /// Whether progress outlives the process. A sink that does not remember is at least once.
    fn remembers(&self) -> bool {
        true
    }

    /// Commits these ticks, one after the other, each with its progress, whole or not at all as far as the chunk limit allows.
    /// Ticks of a lane ascend. Called only after [`Writer::fence`].
    ///
    /// # Errors
    /// `Undecided` or `Retry` after anything but a positive commit: the caller fences again, reads progress and goes on from there.
    /// `Fenced`: another generation has the lane. `Nondeterministic`: the first rows of a tick are not those already committed.
    fn write(&mut self, ticks: &[LaneTick]) -> Result<()>;
}
