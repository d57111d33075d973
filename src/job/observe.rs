//! What the generation tells people: status, metrics, kept tick records. Nothing in the job depends on it.

mod sizes;

use self::sizes::Sizes;
use super::inlets::Inlets;
use super::pace::{self, Pace, Window};
use super::peers::WorkerFacts;
use super::shared::Shared;
use super::writers::SinkHand;
use crate::ids::{Inlet, Tick};
use crate::telemetry::holding::{ClockHeld, Facts, WatermarkHeld, holding};
use crate::telemetry::registry::{Counter, Gauge, Histogram, Registry, SECONDS};
use crate::telemetry::status::{Replay, SinkStatus, SlowWorker, State, WatermarkStatus};
use crate::ticks::record::{Activity, TickRecord};
use crate::time::clock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often status texts are made anew.
const STATUS_EVERY: Duration = Duration::from_millis(200);

/// The observer of one generation. Called by worker 0, read by all.
pub(crate) struct Observer {
    shared: Arc<Shared>,
    released: AtomicU64,
    inner: Mutex<Inner>,
    records: Counter,
    replayed: Counter,
    recovery: Gauge,
    tick_current: Gauge,
    latency: Histogram,
    sources: Mutex<BTreeMap<String, (Counter, Counter)>>,
    sizes: Mutex<Sizes>,
    /// By process.
    slow: Mutex<BTreeMap<usize, Vec<SlowWorker>>>,
    /// Per cent of the memory's budget that each process uses.
    memory: Mutex<BTreeMap<usize, u64>>,
    snapshot_seconds: Histogram,
    snapshot_bytes: Gauge,
}

#[derive(Default)]
struct Inner {
    /// Records composed and not released, with the time at which they were composed.
    waiting: BTreeMap<Tick, (TickRecord, Option<Instant>)>,
    replay: Option<Replay>,
    clock: Option<ClockHeld>,
    shown: Option<Instant>,
    since_snapshot: u64,
    lags: BTreeMap<Inlet, u64>,
}

impl Observer {
    pub(crate) fn new(shared: Arc<Shared>) -> Observer {
        let registry: &Registry = shared.registry();
        Observer {
            released: AtomicU64::new(0),
            inner: Mutex::default(),
            records: registry.counter("records_total", "Records read, over all sources.", &[]),
            replayed: registry.counter(
                "replayed_records_total",
                "Records read again after a start.",
                &[],
            ),
            recovery: registry.gauge(
                "recovery_replay_records",
                "Records that a crash now would have read again.",
                &[],
            ),
            tick_current: registry.gauge("tick_current", "The newest tick that is composed.", &[]),
            latency: registry.histogram(
                "tick_latency_seconds",
                "From the moment that a tick was read by all workers until it was released.",
                &[],
                SECONDS,
            ),
            sources: Mutex::default(),
            sizes: Mutex::default(),
            slow: Mutex::default(),
            memory: Mutex::default(),
            snapshot_seconds: registry.histogram(
                "snapshot_duration_seconds",
                "From the moment that all of a snapshot was there to be written until it was in the store.",
                &[],
                SECONDS,
            ),
            snapshot_bytes: registry.gauge(
                "snapshot_bytes",
                "Bytes that the newest snapshot wrote.",
                &[],
            ),
            shared,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The newest released tick.
    pub(crate) fn released_tick(&self) -> Tick {
        self.released.load(Ordering::Acquire)
    }

    /// A restored tick counts as released.
    pub(crate) fn restored(&self, tick: Tick) {
        self.released.store(tick, Ordering::Release);
        self.shared.released().advance(tick);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tick's record is composed.
    pub(crate) fn composed(&self, record: TickRecord, inlets: &Inlets, replaying: Option<Tick>) {
        let tick = record.decision.tick;
        let read: u64 = record.ranges.iter().map(|range| range.records).sum();
        self.records.add(read);
        self.tick_current.set_u64(tick);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        for range in &record.ranges {
            let Some(source) = inlets.source(range.inlet) else { continue };
            let counters = sources.entry(source.to_owned()).or_insert_with(|| {
                let registry = self.shared.registry();
                let labels: &[(&str, &str)] = &[("source", source)];
                (
                    registry.counter("source_records_total", "Records read.", labels),
                    registry.counter("source_rejected_total", "Records rejected.", labels),
                )
            });
            counters.0.add(range.records);
            counters.1.add(range.rejected);
        }
        drop(sources);
        let mut inner = self.lock();
        inner.since_snapshot += read;
        self.recovery.set_u64(inner.since_snapshot);
        let live = replaying.is_none().then(clock::instant);
        if let Some(end) = replaying {
            self.replayed.add(read);
            let replay = inner.replay.get_or_insert_default();
            replay.replayed += 1;
            replay.of = replay.replayed + end.saturating_sub(tick);
        }
        inner.waiting.insert(tick, (record, live));
    }

    /// Worker 0 has released ticks through `tick`.
    pub(crate) fn released(&self, tick: Tick) {
        if tick <= self.released_tick() {
            return;
        }
        let mut inner = self.lock();
        while let Some(first) = inner.waiting.first_entry().filter(|first| *first.key() <= tick) {
            let (record, since) = first.remove();
            if let Some(since) = since {
                self.latency.observe_time(clock::instant() - since);
            }
            self.shared.release(record);
        }
        drop(inner);
        self.released.store(tick, Ordering::Release);
    }

    /// Ticks read again by this generation.
    pub(crate) fn replayed_ticks(&self) -> u64 {
        self.lock().replay.map_or(0, |replay| replay.replayed)
    }

    /// Replay is over.
    pub(crate) fn leading(&self) {
        self.shared.set_state(State::Running);
    }

    /// A clean end begins.
    pub(crate) fn stopping(&self) {
        self.shared.set_state(State::Stopping);
    }

    /// A snapshot exists.
    pub(crate) fn snapshot(&self, tick: Tick) {
        self.lock().since_snapshot = 0;
        self.shared.update(|status| status.snapshot = Some(tick));
    }

    /// A snapshot's segments and manifest are in the store.
    pub(crate) fn snapshot_written(&self, bytes: u64, seconds: f64) {
        self.snapshot_bytes.set_u64(bytes);
        self.snapshot_seconds.observe(seconds);
        self.snapshots("written").inc();
    }

    /// A snapshot can't be written.
    pub(crate) fn snapshot_failed(&self) {
        self.snapshots("failed").inc();
    }

    fn snapshots(&self, outcome: &str) -> Counter {
        let labels: &[(&str, &str)] = &[("outcome", outcome)];
        self.shared.registry().counter("snapshots_total", "Snapshots by outcome.", labels)
    }

    fn sizes(&self) -> MutexGuard<'_, Sizes> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a worker has and has done.
    pub(crate) fn worker(&self, facts: &WorkerFacts) {
        self.lock().lags.extend(facts.lags.iter().copied());
        self.sizes().worker(self.shared.registry(), facts);
    }

    /// The workers of a process that do not come round now.
    pub(crate) fn slow(&self, process: usize, workers: Vec<SlowWorker>) {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        slow.insert(process, workers);
        let all = slow.values().flatten().cloned().collect();
        self.shared.update(|status| status.slow = all);
    }

    /// Per cent of the memory's budget that a process uses.
    pub(crate) fn memory(&self, process: usize, percent: u64) {
        self.percents().insert(process, percent);
    }

    /// How much of its memory's budget is used by the process that uses most of it, in per cent; and which one it is, if there are
    /// several.
    pub(crate) fn fullest(&self) -> (u64, Option<usize>) {
        let percents = self.percents();
        let fullest = percents.iter().max_by_key(|(_, percent)| **percent);
        let several = percents.len() > 1;
        fullest.map_or((0, None), |(process, percent)| (*percent, several.then_some(*process)))
    }

    fn percents(&self) -> MutexGuard<'_, BTreeMap<usize, u64>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The largest kept states and views, for a message.
    pub(crate) fn largest(&self) -> String {
        self.sizes().largest()
    }

    /// What the clock decided.
    pub(crate) fn paced(
        &self,
        pace: Pace,
        facts: &pace::Facts,
        sinks: &BTreeMap<String, SinkHand>,
    ) {
        self.lock().clock = match pace {
            Pace::Open | Pace::Wait(_) => None,
            Pace::Held(Window::Dataflow) => Some(ClockHeld::Output { ticks: facts.ahead }),
            Pace::Held(Window::Log) => {
                Some(ClockHeld::Durable { ticks: facts.durable_ahead, append_ms: 0 })
            }
            Pace::Held(Window::Memory) => {
                let (percent, process) = self.fullest();
                Some(ClockHeld::Memory { percent, process })
            }
            Pace::Held(Window::Sink) => {
                sinks.iter().max_by_key(|(_, sink)| sink.outstanding()).map(|(name, sink)| {
                    ClockHeld::Sink { name: name.clone(), commit_ms: sink.commit_ms() }
                })
            }
        };
    }

    /// Makes the status anew, if it is old.
    pub(crate) fn show(
        &self,
        opened: Tick,
        durable: Tick,
        inlets: &Inlets,
        watermarks: &BTreeMap<String, i64>,
        sinks: &BTreeMap<String, SinkHand>,
    ) {
        let mut inner = self.lock();
        let now = clock::instant();
        if inner.shown.is_some_and(|at| now - at < STATUS_EVERY) {
            return;
        }
        inner.shown = Some(now);
        let (replay, clock, lags) = (inner.replay, inner.clock.clone(), inner.lags.clone());
        drop(inner);
        let held = |source: &String| {
            let mut of = inlets.all().filter(|at| at.decl.source == *source).peekable();
            of.peek()?;
            if of.clone().all(|at| at.activity == Activity::Finished) {
                return None;
            }
            let all_idle = of.all(|at| at.activity != Activity::Active);
            Some(match inlets.holder(source) {
                None if all_idle => WatermarkHeld::AllIdle,
                None => return None,
                Some(at) => {
                    let lag_records = lags.get(&at.decl.inlet).copied();
                    WatermarkHeld::By { partition: at.decl.partition.clone(), lag_records }
                }
            })
        };
        let replaying = replay.filter(|r| r.replayed < r.of).map(|r| (r.replayed, r.of));
        let facts = Facts {
            replay: replaying,
            watermarks: inlets.sources().filter_map(|s| Some((s.clone(), held(s)?))).collect(),
            clock,
        };
        self.show_partitions(inlets, &lags);
        let released = self.released_tick();
        self.shared.update(|status| {
            status.tick_current = opened;
            status.tick_durable = durable;
            status.replay = replay;
            status.holding = holding(&facts);
            for source in inlets.sources() {
                let holding = inlets.holder(source).map(|at| at.decl.partition.clone());
                let watermark = watermarks.get(source).copied();
                let of_source = inlets.all().filter(|at| at.decl.source == *source);
                let lag_records = of_source
                    .filter_map(|at| lags.get(&at.decl.inlet))
                    .copied()
                    .reduce(|a, b| a + b);
                let shown = WatermarkStatus { watermark, holding, lag_records };
                status.watermarks.insert(source.clone(), shown);
            }
            for (name, sink) in sinks {
                let committed = sink.committed();
                let shown = SinkStatus {
                    committed_tick: (committed > 0).then_some(committed),
                    behind_ticks: released.saturating_sub(committed),
                    commit_ms: Some(sink.commit_ms()),
                };
                status.sinks.insert(name.clone(), shown);
            }
        });
    }

    /// How far each partition has come.
    fn show_partitions(&self, inlets: &Inlets, lags: &BTreeMap<Inlet, u64>) {
        let registry = self.shared.registry();
        for at in inlets.all() {
            let (source, partition) = (at.decl.source.as_str(), at.decl.partition.as_str());
            let labels: &[(&str, &str)] = &[("partition", partition), ("source", source)];
            if let Some(lag) = lags.get(&at.decl.inlet) {
                let help = "Records that a partition has and the job has not read.";
                registry.gauge("source_lag_records", help, labels).set_u64(*lag);
            }
            let Some(stamp) = inlets.stamp(at) else { continue };
            for (activity, state) in STATES {
                let labels: &[(&str, &str)] =
                    &[("partition", partition), ("source", source), ("state", state)];
                if activity == at.activity {
                    let help = "Event time to which a partition has come, less the lag.";
                    let gauge = registry.gauge("source_watermark_timestamp_seconds", help, labels);
                    gauge.set(stamp as f64 / 1e6);
                } else {
                    registry.remove("source_watermark_timestamp_seconds", labels);
                }
            }
        }
    }
}

/// What a partition's state is called in metrics.
const STATES: [(Activity, &str); 3] =
    [(Activity::Active, "active"), (Activity::Idle, "idle"), (Activity::Finished, "finished")];
