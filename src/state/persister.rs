//! The persister: a thread of each process that turns changes into snapshots. It decides nothing about ticks and never
//! reads the log; whoever follows the log tells it when a snapshot is due.
//!
//! ```text
//! workers: expect(S) .. hand_over .. hand_over .. finished(worker, S)      follower of the log: facts(S)
//! thread:  consolidate -> [spill] -> segments -> manifest -> Event::Written -> ... -> counted(S)
//! ```
//! Steps of a snapshot at S:
//! 1. `expect(S)` splits what comes: changes of ticks up to S go into the snapshot, later ones wait for the next.
//! 2. When every worker has `finished` S and the facts of S are there (they are given once S counts, PROTOCOL 7), what is
//!    in memory is written as segments, never proportional work on a worker.
//! 3. Then the manifest, then [`Event::Written`]; the snapshot exists once its record in the log counts (PROTOCOL 12).
//!
//! In a job of several processes each has a persister, which writes the segments of its own workers' changes. Only the first process's
//! merges and writes manifests: the others tell it the names ([`Event::Part`], [`Handle::part`]).

mod queue;
mod writing;

use crate::error::{Error, Result};
use crate::ids::{Generation, Tick};
use crate::state::changes::Changes;
use crate::state::manifest::ManifestFacts;
use crate::state::restore::Snapshot;
use crate::state::segment::SegmentRef;
use crate::state::store::Store;
use queue::{Message, Queue};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use writing::Writing;

/// How a persister works. The defaults are for production.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The generation in whose name it writes.
    pub generation: Generation,
    /// Bytes of changes that may wait for the thread; a worker that hands over more waits.
    pub queue_bytes_max: usize,
    /// Bytes of consolidated changes in memory at which they are written before the snapshot is due.
    pub spill_bytes: usize,
    /// Bytes at which a segment ends and another begins.
    pub segment_bytes: usize,
    /// Bytes at which a block of a segment ends: what is read and verified at once.
    pub block_bytes: usize,
    /// Whether segments are merged beside.
    pub compaction: bool,
    /// What of the snapshots it writes.
    pub role: Role,
}

/// What of a job's snapshots a persister writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Manifests, which name the segments of so many other processes too.
    Whole {
        /// How many.
        others: usize,
    },
    /// The segments of this process.
    Part {
        /// Its number.
        process: usize,
    },
}

/// What one process has written of a snapshot: the segments of its own workers' changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The snapshot's tick.
    pub tick: Tick,
    /// The process.
    pub process: usize,
    /// The place of a uid in the plan, and a segment of it; oldest first.
    pub segments: Vec<(usize, SegmentRef)>,
    /// Their bytes.
    pub bytes: u64,
    /// Their entries.
    pub rows: u64,
}

impl Settings {
    /// The defaults for a generation.
    pub fn new(generation: Generation) -> Settings {
        Settings {
            generation,
            queue_bytes_max: 64 << 20,
            spill_bytes: 32 << 20,
            segment_bytes: 64 << 20,
            block_bytes: crate::state::segment::BLOCK_BYTES,
            compaction: true,
            role: Role::Whole { others: 0 },
        }
    }
}

/// A uid whose rows are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The uid.
    pub uid: String,
    /// The readable schema of key and value.
    pub schema: serde_json::Value,
    /// The schema's fingerprint.
    pub fingerprint: u64,
    /// Whether it begins empty whatever the base has under this uid.
    pub anew: bool,
}

/// What the persister tells; called on its thread, which waits for the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Segments and manifest of a snapshot are in the store: append its record to the log, and call
    /// [`Handle::counted`] when it counts.
    Written {
        /// The snapshot's tick.
        tick: Tick,
        /// The manifest's name.
        manifest: String,
        /// The savepoint's name, if it is one.
        savepoint: Option<String>,
        /// Bytes of segments and manifest that this snapshot wrote.
        bytes: u64,
        /// Entries that it wrote.
        rows: u64,
        /// From the moment that all was there to be written, in seconds.
        seconds: f64,
        /// Whether a merge is under way now: a later snapshot, even one without changes, will need fewer bytes.
        merging: bool,
    },
    /// This process's part of a snapshot is in the store.
    Part(Part),
    /// Segments of a uid were merged; the next manifest will use the outcome.
    Merged {
        /// The uid.
        uid: String,
        /// Segments that were merged.
        inputs: u64,
        /// Bytes of the segments that take their place.
        bytes: u64,
    },
    /// The store failed; the same is tried again.
    Retrying(Error),
    /// It can't go on: no further snapshot will be written and changes are thrown away.
    Failed(Error),
}

/// Figures of a persister; all count from its start unless said otherwise.
#[derive(Debug, Default)]
pub struct Counters {
    /// Changes handed over.
    pub changes: AtomicU64,
    /// Bytes that wait for the thread now.
    pub queued_bytes: AtomicU64,
    /// Bytes of consolidated changes in memory now, roughly.
    pub memory_bytes: AtomicU64,
    /// Hand-overs that wait now.
    pub waiting: AtomicU64,
    /// Hand-overs that had to wait.
    pub waits: AtomicU64,
    /// How long they waited, in microseconds.
    pub waited_us: AtomicU64,
    /// Entries written into segments of snapshots, merges not counted.
    pub rows_written: AtomicU64,
    /// Bytes written for snapshots, merges not counted.
    pub bytes_written: AtomicU64,
    /// Snapshots written.
    pub snapshots: AtomicU64,
    /// Merges done.
    pub merges: AtomicU64,
    /// Bytes written by merges.
    pub merged_bytes: AtomicU64,
    /// Merges under way now: 0 or 1.
    pub merges_open: AtomicU64,
    /// Bytes of the segments that the next manifest would name if there were no change.
    pub live_bytes: AtomicU64,
}

/// The thread and what belongs to it. Dropping it ends the thread; what no manifest names by then is lost, as in a crash.
#[derive(Debug)]
pub struct Persister {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Persister {
    /// A running persister for `kept`, for changes of `workers` workers, that goes on from `base`. The snapshots that it
    /// writes hold base's rows of these uids and all changes since; a uid that base lacks, or has with another fingerprint,
    /// or that is to be kept `anew`, begins empty: migrated rows must be handed over like new ones, as changes of base's own tick.
    ///
    /// # Errors
    /// `Config` if a uid is there twice or there are more than 65,536; `Corrupt` or `Retry` if base's segments can't be opened.
    pub fn spawn(
        store: Store,
        settings: Settings,
        kept: Vec<Kept>,
        workers: usize,
        base: Option<Snapshot>,
        events: Box<dyn Fn(Event) + Send>,
    ) -> Result<Persister> {
        let distinct: BTreeSet<&str> = kept.iter().map(|k| k.uid.as_str()).collect();
        if distinct.len() != kept.len() || kept.len() > usize::from(u16::MAX) + 1 {
            return Err(Error::config(
                "the uids of kept tables must differ, and be at most 65,536".to_string(),
            ));
        }
        let counters = Arc::new(Counters::default());
        let queue = Arc::new(Queue::new(settings.queue_bytes_max, Arc::clone(&counters)));
        let handle = Handle { queue: Arc::clone(&queue), counters };
        let writing = Writing::new(store, settings, kept, workers, base, events, handle.clone())?;
        let thread = std::thread::Builder::new()
            .name("persister".to_string())
            .spawn(move || writing.run())
            .map_err(|e| Error::internal(format!("no thread for the persister: {e}")))?;
        Ok(Persister { handle, thread: Some(thread) })
    }

    /// What workers and others hold.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for Persister {
    fn drop(&mut self) {
        self.handle.queue.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Speaks to a persister. A clone speaks to the same; all calls of one thread arrive in their order.
#[derive(Clone, Debug)]
pub struct Handle {
    queue: Arc<Queue>,
    counters: Arc<Counters>,
}

impl Handle {
    /// Gives changes over and returns memory for the next ones. Waits while more than the queue's bytes are there already,
    /// which is how a slow store holds workers up.
    pub fn hand_over(&self, changes: Changes) -> Vec<u8> {
        if changes.is_empty() {
            return changes.into_bytes();
        }
        self.counters.changes.fetch_add(changes.count(), Ordering::Relaxed);
        self.queue.push_changes(changes)
    }

    /// Says that a snapshot at `tick` will be taken. Called by each worker on the decision that asks for it, hence before any
    /// change of a later tick is handed over; repeating is harmless. Ticks of snapshots ascend.
    pub fn expect(&self, tick: Tick) {
        self.queue.push(Message::Expect(tick));
    }

    /// Says that this worker has handed over every change of ticks up to `tick`, at which a snapshot is due.
    pub fn finished(&self, worker: usize, tick: Tick) {
        self.queue.push(Message::Finished(worker, tick));
    }

    /// Gives another process's part of a snapshot.
    pub fn part(&self, part: Part) {
        self.queue.push(Message::Part(Box::new(part)));
    }

    /// Gives what the log says about a snapshot's tick; only once that tick counts.
    pub fn facts(&self, facts: ManifestFacts) {
        self.queue.push(Message::Facts(Box::new(facts)));
    }

    /// Says that the snapshot record of `tick` counts: what only older manifests name is no longer held. (Not those of `tick`
    /// itself: they are held until a later one counts.) Call it where the roots of the next collection are kept, once `tick` is
    /// among them; else a collection could miss it in both.
    pub fn counted(&self, tick: Tick) {
        self.queue.uncounted_until(tick);
    }

    /// The segments and manifests that no counted snapshot need name yet and that must stay: uploads under way, the list that
    /// the next manifest builds on, and manifests written whose record is not known to count. To collect garbage take, in
    /// this order: the store's listing, this, the roots by the log.
    pub fn held(&self) -> BTreeSet<String> {
        self.queue.held()
    }

    /// Ends the persister, as dropping it does but without waiting for its thread: hand-overs that wait return, later changes
    /// are thrown away. A job that fails calls it before it waits for its workers, one of which a dead store may hold up.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Its figures.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[cfg(test)]
mod tests;
