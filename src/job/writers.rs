//! Sink threads: each has one sink's writer, takes released ticks, commits them, and fences again after anything but a positive commit.
//!
//! ```text
//! released ticks -> bounded queue -> group (several ticks, or the first one with rows) -> write
//!                                       ^ undecided or retry: fence, read progress, drop what is written, write again
//! ```

use super::failure::Failure;
use crate::error::{Error, Kind, Result};
use crate::hash::Map;
use crate::ids::{Lane, Tick};
use crate::sinks::{Identity, LaneTick, Progress, Row, Writer};
use crate::telemetry::registry::{Counter, Gauge, Histogram, Registry, SECONDS};
use crate::time::clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the thread waits for a tick before it looks around: between these.
const IDLE_MIN: Duration = Duration::from_millis(1);
const IDLE_MAX: Duration = Duration::from_millis(20);
/// Ticks in one call of a writer at most.
const GROUP_TICKS: usize = 512;
/// Bytes in one call of a writer, roughly.
const GROUP_BYTES: usize = 8 << 20;
/// Waits between attempts after a failure.
const BACK_OFF: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// What workers hold of a sink. Clones share it.
#[derive(Clone)]
pub(crate) struct SinkHand {
    sender: Sender<LaneTick>,
    state: Arc<State>,
}

struct State {
    outstanding: AtomicU64,
    committed: AtomicU64,
    commit_ms: AtomicU64,
    ended: AtomicBool,
}

impl SinkHand {
    /// Hands a released tick over. The clock's window bounds what waits.
    pub(crate) fn send(&self, tick: LaneTick) -> Result<()> {
        self.state.outstanding.fetch_add(bytes(&tick), Ordering::AcqRel);
        self.sender.send(tick).map_err(|_| Error::internal("a sink's thread has ended"))
    }

    /// Bytes that are released and not committed.
    pub(crate) fn outstanding(&self) -> u64 {
        self.state.outstanding.load(Ordering::Acquire)
    }

    /// The tick through which every lane is committed.
    pub(crate) fn committed(&self) -> Tick {
        self.state.committed.load(Ordering::Acquire)
    }

    /// How long the last commit took, in milliseconds.
    pub(crate) fn commit_ms(&self) -> u64 {
        self.state.commit_ms.load(Ordering::Acquire)
    }
}

/// What a tick takes in the queue beside its rows, roughly: it bounds how many ticks wait for a sink that is away.
const TICK_BYTES: usize = 256;

fn bytes(tick: &LaneTick) -> u64 {
    (TICK_BYTES + tick.rows.iter().map(Row::bytes).sum::<usize>()) as u64
}

/// What a sink's thread begins with.
pub(crate) struct Start<'a> {
    /// The outside, fenced.
    pub(crate) writer: Box<dyn Writer>,
    /// In whose name it writes.
    pub(crate) identity: Identity,
    /// What each lane has.
    pub(crate) progress: &'a [Option<Progress>],
    /// The first tick that the sink is owed.
    pub(crate) first_tick: Tick,
    /// After so long ticks without rows are committed.
    pub(crate) empty_for: Duration,
    /// Whether the generation leads still, asked before a lane is taken over again: the log knows before any sink does.
    pub(crate) leads: Box<dyn Fn() -> Result<()> + Send>,
    /// Where it leaves the error that ends it.
    pub(crate) failure: Failure,
    /// Called after each commit.
    pub(crate) on_commit: Box<dyn Fn() + Send>,
    /// Where its metrics are.
    pub(crate) registry: &'a Registry,
}

/// A sink's thread.
pub(crate) struct SinkThread {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl SinkThread {
    /// Starts the thread of a sink that was fenced and whose lanes have reached `progress`.
    pub(crate) fn start(name: &str, start: Start<'_>) -> (SinkHand, SinkThread) {
        let Start {
            writer,
            identity,
            progress,
            first_tick,
            empty_for,
            leads,
            failure,
            on_commit,
            registry,
        } = start;
        let (sender, queue) = channel();
        let state = Arc::new(State {
            outstanding: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            commit_ms: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let labels: &[(&str, &str)] = &[("sink", name)];
        let mut worker = Running {
            name: name.to_owned(),
            writer,
            identity,
            first_tick,
            empty_for,
            leads,
            lanes: Map::default(),
            count: u16::try_from(progress.len()).expect("lanes are counted in 16 bits"),
            state: Arc::clone(&state),
            rows: registry.counter("sink_rows_total", "Rows committed.", labels),
            seconds: registry.histogram(
                "sink_commit_seconds",
                "Time of a commit.",
                labels,
                SECONDS,
            ),
            tick: registry.gauge(
                "sink_committed_tick",
                "The tick through which all lanes are committed.",
                labels,
            ),
            undecided: registry.counter(
                "sink_transactions_aborted_total",
                "Writes without a positive answer.",
                labels,
            ),
            on_commit,
        };
        worker.take(progress);
        let thread = std::thread::Builder::new()
            .name(format!("sink {name}"))
            .spawn(move || worker.run(&queue, &failure))
            .expect("the system gives a thread");
        let hand = SinkHand { sender, state: Arc::clone(&state) };
        (hand, SinkThread { state, thread: Some(thread) })
    }

    /// Tells the thread to end after the write under way.
    pub(crate) fn end(&self) {
        self.state.ended.store(true, Ordering::Release);
    }
}

impl Drop for SinkThread {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            // A panic there has already been reported by the hook.
            let _ = thread.join();
        }
    }
}

struct Running {
    name: String,
    writer: Box<dyn Writer>,
    identity: Identity,
    first_tick: Tick,
    /// Ticks without rows are committed together after so long, so that progress follows without a transaction a tick.
    empty_for: Duration,
    leads: Box<dyn Fn() -> Result<()> + Send>,
    /// What each lane has reached; a tick whose progress is not its last is not reached.
    lanes: Map<Lane, Tick>,
    count: u16,
    state: Arc<State>,
    rows: Counter,
    seconds: Histogram,
    tick: Gauge,
    undecided: Counter,
    on_commit: Box<dyn Fn() + Send>,
}

/// PROTOCOL 4: the tick through which a lane is written; a lane without progress begins before the sink's first tick.
pub(crate) fn reached(progress: Option<&Progress>, first_tick: Tick) -> Tick {
    match progress {
        Some(progress) if progress.last => progress.tick,
        Some(progress) => progress.tick.saturating_sub(1),
        None => first_tick.saturating_sub(1),
    }
}

impl Running {
    fn take(&mut self, progress: &[Option<Progress>]) {
        for (lane, progress) in (0..).zip(progress) {
            self.lanes.insert(Lane(lane), reached(progress.as_ref(), self.first_tick));
        }
        self.publish();
    }

    fn publish(&self) {
        let least = self.lanes.values().copied().min().unwrap_or(0);
        self.state.committed.store(least, Ordering::Release);
        self.tick.set_u64(least);
    }

    fn run(&mut self, queue: &Receiver<LaneTick>, failure: &Failure) {
        loop {
            let group = self.gather(queue);
            if self.state.ended.load(Ordering::Acquire) {
                return;
            }
            let held: u64 = group.iter().map(bytes).sum();
            if let Err(error) = self.commit(group) {
                failure.fail(error.at(format_args!("sink {}", self.name)));
                (self.on_commit)();
                return;
            }
            self.state.outstanding.fetch_sub(held, Ordering::AcqRel);
            (self.on_commit)();
        }
    }

    /// The next ticks: what waits, once there are rows; ticks without rows after a while.
    fn gather(&self, queue: &Receiver<LaneTick>) -> Vec<LaneTick> {
        let mut group: Vec<LaneTick> = Vec::new();
        let mut size = 0;
        let mut rows = false;
        let since = clock::instant();
        loop {
            let wait = if rows { Duration::ZERO } else { self.empty_for.clamp(IDLE_MIN, IDLE_MAX) };
            match queue.recv_timeout(wait) {
                Ok(tick) => {
                    size += bytes(&tick);
                    rows |= !tick.rows.is_empty();
                    group.push(tick);
                }
                Err(RecvTimeoutError::Timeout) if rows => return group,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    if group.is_empty() {
                        self.state.ended.store(true, Ordering::Release);
                    }
                    return group;
                }
            }
            let old = !group.is_empty() && clock::instant() - since >= self.empty_for;
            if group.len() >= GROUP_TICKS || size >= GROUP_BYTES as u64 || (old && !rows) {
                return group;
            }
            if self.state.ended.load(Ordering::Acquire) {
                return group;
            }
        }
    }

    fn commit(&mut self, mut group: Vec<LaneTick>) -> Result<()> {
        let mut attempt = 0;
        loop {
            group.retain(|tick| tick.tick > self.lanes[&tick.lane]);
            if group.is_empty() {
                return Ok(());
            }
            let begun = clock::instant();
            let error = match self.writer.write(&group) {
                Ok(()) => {
                    for tick in &group {
                        self.lanes.insert(tick.lane, tick.tick);
                        self.rows.add(tick.rows.len() as u64);
                    }
                    let took = clock::instant() - begun;
                    self.seconds.observe_time(took);
                    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                    self.state.commit_ms.store(ms, Ordering::Release);
                    self.publish();
                    return Ok(());
                }
                Err(error) => error,
            };
            if !matches!(error.kind(), Kind::Retry | Kind::Undecided) {
                return Err(error);
            }
            self.undecided.inc();
            tracing::warn!(sink = self.name, %error, "a write was not committed; the lane is taken over again");
            loop {
                if self.state.ended.load(Ordering::Acquire) {
                    return Ok(());
                }
                std::thread::sleep(BACK_OFF[attempt.min(BACK_OFF.len() - 1)]);
                attempt += 1;
                let fenced =
                    (self.leads)().and_then(|()| self.writer.fence(&self.identity, self.count));
                match fenced {
                    Ok(progress) => {
                        self.take(&progress);
                        break;
                    }
                    Err(error) if matches!(error.kind(), Kind::Retry | Kind::Undecided) => {
                        tracing::warn!(sink = self.name, %error, "the sink can't be taken over yet");
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
}
