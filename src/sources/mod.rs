//! Sources: transports that give records, partition by partition. No transport knows a format, an operator or a sink.
//!
//! ```text
//! discover (any time, own thread, may block) -> partitions
//! open (once a worker) -> Reader -> assign(inlet, partition, next offset) -> poll, poll, ...   (worker thread, never blocks)
//! ```

pub mod file;
pub mod generator;
pub mod kafka;
pub mod memory;
mod ticker;

use crate::error::Result;
use crate::ids::Inlet;
use std::sync::Arc;

/// A partition that exists, and where a job that never read it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The name: a number for Kafka, a path for files. Stable over restarts.
    pub name: String,
    /// The next offset at which reading begins.
    pub start: u64,
}

/// The greatest payload in bytes that a transport has to give whole: 16 MiB. Of a longer one it may give only the first
/// `PAYLOAD_BYTES_MAX + 1` bytes, so that a record takes bounded memory; every format's own limit is at or below this, so such a
/// record is always rejected as too large, never taken for a shorter one.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// One record as the transport holds it; valid during the call that gives it.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// Its offset in the partition.
    pub offset: u64,
    /// The next offset after it.
    pub next: u64,
    /// The message key, where the transport has one.
    pub key: Option<&'a [u8]>,
    /// The bytes; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// The transport's own time in microseconds since the Unix epoch, if it has one.
    pub timestamp: Option<i64>,
}

/// How much one poll may give.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Records.
    pub records: usize,
    /// Bytes of payload; the first record is given however large it is.
    pub bytes: usize,
}

/// What a poll found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// The budget was used up, or more is on its way: poll again without waiting.
    More,
    /// Nothing more at present although the partition is known to have more (a fetch is under way).
    Waiting,
    /// At the partition's end at present.
    CaughtUp,
    /// Everything below the limit was given.
    Limit,
    /// At the end of a bounded partition; nothing will ever follow.
    Finished,
}

/// What a source reads from. Shared by all workers of a process.
///
/// Offsets grow strictly within a partition, and reading a partition again from an offset gives the same records
/// unless the source has changed, which is reported as [`crate::Kind::SourceChanged`].
pub trait Transport: Send + Sync {
    /// The connector's name for messages: "kafka topic clicks".
    fn describe(&self) -> String;

    /// The partitions that exist now. May block up to the transport's own time limit. Called before the first tick and then
    /// from time to time, never on a worker.
    ///
    /// # Errors
    /// `Retry` if the other side can't be reached at present, `Config` if it refuses, `SourceChanged` if it is not what it was.
    fn discover(&self) -> Result<Vec<Partition>>;

    /// Told, before the first [`Transport::discover`], that an earlier run of the job has read this source: partitions that it did not
    /// know then begin at their earliest offset, as those that appear later do.
    fn resumed(&self) {}

    /// What tells this source from another of the same name, as of the last [`Transport::discover`]: a Kafka topic's id. It is
    /// recorded with each partition; a job that finds another one at a restart refuses.
    fn identity(&self) -> Option<String> {
        None
    }

    /// A reader for one worker. `waker` is called from any thread when there may be something to poll.
    ///
    /// # Errors
    /// As [`Transport::discover`].
    fn open(&self, waker: Waker) -> Result<Box<dyn Reader>>;

    /// Told from time to time which next offsets are covered by the log, for lag tools. Nothing depends on it. Called on a thread
    /// that may block.
    fn commit_hint(&self, _next: &[(String, u64)]) {}
}

/// Wakes a worker; cheap, callable from any thread.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// A worker's hold on its partitions of one source. Lives on the worker's thread and never blocks.
pub trait Reader {
    /// Begins to read `partition` at offset `next`. Called once an inlet.
    ///
    /// # Errors
    /// `SourceChanged` if the offset is gone, naming partition, wanted, earliest and latest.
    fn assign(&mut self, inlet: Inlet, partition: &str, next: u64) -> Result<()>;

    /// Gives records with offsets below `limit`, in order, to `each`, within `budget`. A record at or beyond the limit is kept for later.
    /// In the same call nothing is given after an error of `each`, and the record that it failed on counts as given.
    ///
    /// # Errors
    /// `SourceChanged`, `Retry` (transports retry on their own first), or whatever `each` returned.
    fn poll(
        &mut self,
        inlet: Inlet,
        limit: u64,
        budget: Budget,
        each: &mut dyn FnMut(Raw<'_>) -> Result<()>,
    ) -> Result<Polled>;

    /// Records behind the partition's end, if the transport knows.
    fn lag(&self, inlet: Inlet) -> Option<u64>;
}
