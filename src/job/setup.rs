//! What the threads of one generation share, fixed before its workers start.

use super::deaths::Deaths;
use super::failure::Failure;
use super::pace::Bounds;
use super::peers::{Line, Report};
use super::shared::Ordered;
use super::slow::Rounds;
use super::upgrade::Begins;
use super::writers::SinkHand;
use crate::flow::{Build, SinkOptions, SourceOptions};
use crate::hash::Map;
use crate::ids::{Inlet, Tick};
use crate::sinks::Identity;
use crate::sources::Transport;
use crate::state::manifest::InletState;
use crate::state::persister::Handle as PersisterHandle;
use crate::state::restore::Snapshot;
use crate::ticks::log::thread::{Appender, Event as LogEvent};
use crate::ticks::record::{Image, SkipRecord, TickRecord};
use crate::time::clock::Wall;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

/// What is known of a counted or coming tick beside its rows: what a sink's progress says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TickFacts {
    /// Source -> partition -> next offset, after the tick.
    pub(crate) next_offsets: BTreeMap<String, BTreeMap<String, u64>>,
    /// Watermarks in force at the tick.
    pub(crate) watermarks: BTreeMap<String, i64>,
}

/// Facts of ticks that are not yet released everywhere. Filled by worker 0 before a tick can be released.
#[derive(Default)]
pub(crate) struct Board {
    ticks: Mutex<BTreeMap<Tick, Arc<TickFacts>>>,
}

impl Board {
    /// Notes the facts of `tick`, and forgets ticks below `oldest`.
    pub(crate) fn note(&self, tick: Tick, facts: TickFacts, oldest: Tick) {
        let mut ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        while ticks.first_key_value().is_some_and(|(first, _)| *first < oldest) {
            ticks.pop_first();
        }
        ticks.insert(tick, Arc::new(facts));
    }

    /// The facts of the newest tick that is composed.
    pub(crate) fn newest(&self) -> Option<Arc<TickFacts>> {
        let ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        ticks.last_key_value().map(|(_, facts)| Arc::clone(facts))
    }

    /// The facts of `tick`; `None` if worker 0 has not composed it, as may be while the log is followed, where all is durable.
    pub(crate) fn facts(&self, tick: Tick) -> Option<Arc<TickFacts>> {
        let ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        ticks.get(&tick).map(Arc::clone)
    }
}

/// What reaches the coordinator from other threads.
pub(crate) enum JobEvent {
    /// The tick log tells.
    Log(LogEvent),
    /// A snapshot's segments and manifest are in the store.
    SnapshotWritten {
        /// Its tick.
        tick: Tick,
        /// The manifest's name.
        manifest: String,
        /// The savepoint's name, if it is one.
        savepoint: Option<String>,
        /// Whether segments are being merged: a later snapshot will need fewer bytes.
        merging: bool,
    },
    /// Segments were merged: the next manifest names fewer bytes.
    Merged,
    /// A snapshot could not be written.
    SnapshotFailed(crate::Error),
    /// Partitions that exist now.
    Discovered {
        /// The source.
        source: String,
        /// Its partitions.
        partitions: Vec<crate::sources::Partition>,
    },
    /// End cleanly.
    Stop,
    /// Manual pacing: these ticks, of which at most `open` are open at once, that is, not yet read by all workers.
    Ticks {
        /// In their order.
        ticks: Vec<ManualTick>,
        /// At least 1.
        open: u64,
    },
}

/// Manual pacing: one tick.
#[derive(Default)]
pub(crate) struct ManualTick {
    /// What it reads up to: (source, partition, next offset).
    pub(crate) ends: Vec<(String, String, u64)>,
    /// Watermarks that are at least this.
    pub(crate) watermarks: BTreeMap<String, i64>,
    /// Whether a snapshot is taken.
    pub(crate) snapshot: bool,
}

/// Who decides when a tick is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// The clock.
    Clock,
    /// A test, tick by tick.
    Manual,
}

/// The workers of a job: threads of processes, numbered through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Worker threads of each process.
    pub workers: usize,
    /// Processes of the job.
    pub processes: usize,
    /// Which of them this is.
    pub process: usize,
}

impl Size {
    /// The workers of this process, of [`Size::peers`].
    pub(crate) fn own(self) -> Range<usize> {
        let first = self.process * self.workers;
        first..first + self.workers
    }

    /// All workers in this process.
    pub fn alone(workers: usize) -> Size {
        Size { workers, processes: 1, process: 0 }
    }

    /// All workers of the job.
    pub(crate) fn peers(self) -> usize {
        self.workers * self.processes
    }

    /// Whether worker 0, and with it the tick log, the sinks and the queries, is in this process.
    pub(crate) fn is_first(self) -> bool {
        self.process == 0
    }

    /// Which worker of this process worker `index` of the job is.
    pub(crate) fn local(self, index: usize) -> usize {
        index - self.process * self.workers
    }
}

/// From where a generation goes on. The same on every process.
#[derive(Clone, Default)]
pub(crate) struct Start {
    /// The restored tick; 0 if nothing was.
    pub(crate) tick: Tick,
    pub(crate) snapshot: Option<Snapshot>,
    /// How each kept state begins, in the plan's order.
    pub(crate) begins: Vec<Begins>,
    /// Where partitions stand at the restored tick.
    pub(crate) inlets: Vec<InletState>,
    /// Watermarks at the restored tick.
    pub(crate) watermarks: BTreeMap<String, i64>,
    /// For each sink that is given a whole table at a tick after the restored one, that tick.
    pub(crate) images: Map<String, Image>,
    /// For each sink, the tick through which all of it is written.
    pub(crate) written: Map<String, Tick>,
    /// The lanes of each sink.
    pub(crate) lanes: Map<String, u16>,
    /// Records that are left out of ticks after the restored one.
    pub(crate) skips: Vec<SkipRecord>,
}

/// What only worker 0 has.
pub(crate) struct Lead {
    /// Counted ticks above the restored one.
    pub(crate) follow: Vec<TickRecord>,
    pub(crate) events: Receiver<JobEvent>,
    pub(crate) commands: Receiver<Ordered>,
    pub(crate) appender: Appender,
}

/// What the threads of one generation share in one process.
pub(crate) struct Setup {
    pub(crate) build: Build,
    pub(crate) identity: Identity,
    pub(crate) size: Size,
    pub(crate) start: Start,
    /// Taken by worker 0; no other process has it.
    pub(crate) lead: Mutex<Option<Lead>>,
    pub(crate) transports: BTreeMap<String, Arc<dyn Transport>>,
    /// Lag of each source with event time, in microseconds.
    pub(crate) lags: BTreeMap<String, i64>,
    pub(crate) source_options: Map<String, SourceOptions>,
    pub(crate) sink_options: Map<String, SinkOptions>,
    pub(crate) view_history: Map<String, u64>,
    /// Threads of sinks; all are in the first process.
    pub(crate) sinks: BTreeMap<String, SinkHand>,
    pub(crate) persister: PersisterHandle,
    pub(crate) board: Board,
    /// What each worker of this process has released.
    pub(crate) released: Vec<AtomicU64>,
    pub(crate) failure: Failure,
    pub(crate) deaths: Deaths,
    pub(crate) ended: Arc<AtomicBool>,
    /// A worker stands still behind a panic from which it could not unwind: nobody waits for it.
    pub(crate) stuck: AtomicBool,
    /// The way to process 0, on the other processes.
    pub(crate) up: Option<Line<Report>>,
    pub(crate) bounds: Bounds,
    pub(crate) budget: crate::sources::Budget,
    pub(crate) pacing: Pacing,
    pub(crate) snapshot_interval: Duration,
    pub(crate) snapshots_kept: usize,
    pub(crate) memory_budget: Option<u64>,
    pub(crate) traces: Option<super::traces::TraceMeter>,
    pub(crate) stop_time_max: Duration,
    pub(crate) exit_when_finished: bool,
    pub(crate) wall: Arc<dyn Wall>,
    pub(crate) wake: Wake,
    pub(crate) idle: Idle,
    pub(crate) rounds: Rounds,
    pub(crate) observer: Arc<super::observe::Observer>,
}

/// For how long each worker has been parked, or would have been.
pub(crate) struct Idle {
    micros: Vec<AtomicU64>,
}

impl Idle {
    /// Nobody was idle yet.
    pub(crate) fn new(workers: usize) -> Idle {
        Idle { micros: std::iter::repeat_with(AtomicU64::default).take(workers).collect() }
    }

    /// Worker `index` of this process was idle for so long.
    pub(crate) fn add(&self, index: usize, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.micros[index].fetch_add(micros, Ordering::Relaxed);
    }

    /// All of them, by worker.
    pub(crate) fn all(&self) -> Vec<Duration> {
        let all = self.micros.iter().map(|m| Duration::from_micros(m.load(Ordering::Relaxed)));
        all.collect()
    }
}

/// Wakes the workers of a process.
#[derive(Clone, Default)]
pub(crate) struct Wake {
    threads: Arc<Mutex<Vec<Thread>>>,
}

impl Wake {
    /// Adds the calling thread.
    pub(crate) fn join(&self) {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(std::thread::current());
    }

    /// Wakes all.
    pub(crate) fn all(&self) {
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            thread.unpark();
        }
    }
}

impl Setup {
    /// Whether the generation ends.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.load(Ordering::Acquire) || self.failure.is_set()
    }

    /// The tick through which every worker of this process has released.
    pub(crate) fn released_by_all(&self) -> Tick {
        self.released.iter().map(|tick| tick.load(Ordering::Acquire)).min().unwrap_or(0)
    }

    /// Whether worker `index` reads `inlet`.
    pub(crate) fn owns(&self, inlet: Inlet, index: usize) -> bool {
        usize::from(inlet.0) % self.size.peers() == index
    }
}
