//! The harness: the engine itself over a log, a store, sources and sinks in memory.

use crate::error::Result;
use crate::flow::{Build, Plan, SinkOptions, SinkPlan, SourceOptions, SourcePlan};
use crate::hash::Map;
use crate::ids::{Lane, Tick};
use crate::job::engine::{self, Connectors, OpenedSink, Options, Parts, Running};
use crate::job::pace::Bounds;
use crate::job::setup::{JobEvent, ManualTick, Pacing, Size};
use crate::job::shared::Shared;
use crate::sinks::Writer;
use crate::sinks::memory::MemoryTarget;
use crate::sources::memory::MemoryTopic;
use crate::sources::{Budget, Transport};
use crate::state::store::Store;
use crate::ticks::log::memory::MemoryLog;
use crate::ticks::record::{Record, SinkDecl};
use crate::time::EventTime;
use crate::time::clock::{self, Wall};
use crate::views::follow::FollowLimits;
use crate::views::kind::Ask;
use crate::views::router::At;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a tick reads up to: (source, partition, next offset).
pub type Ends = Vec<(String, String, u64)>;

/// A generous deadline: what takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// Ticks that may be on their way through the dataflow.
const AHEAD_MAX: u64 = 1024;

/// What survives a crash.
#[derive(Clone)]
struct World {
    log: MemoryLog,
    store: Store,
    topics: Arc<Mutex<BTreeMap<String, MemoryTopic>>>,
    targets: Arc<Mutex<BTreeMap<String, MemoryTarget>>>,
    clock: Arc<TestClock>,
    lanes: u16,
}

#[derive(Default)]
struct TestClock(AtomicI64);

impl Wall for TestClock {
    fn micros(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }
}

impl World {
    fn topic(&self, source: &str) -> MemoryTopic {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.entry(source.to_owned()).or_default().clone()
    }

    fn target(&self, sink: &str) -> MemoryTarget {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.entry(sink.to_owned()).or_default().clone()
    }
}

impl Connectors for World {
    fn source(&self, plan: &SourcePlan) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(self.topic(&plan.name)))
    }

    fn sink(&self, plan: &SinkPlan) -> Result<OpenedSink> {
        let writer = Box::new(self.target(&plan.name).writer(&plan.name));
        let address = BTreeMap::from([("connector".to_owned(), "memory".to_owned())]);
        Ok(OpenedSink { writer, lanes: self.lanes, address })
    }

    fn retired(&self, sink: &SinkDecl) -> Result<Box<dyn Writer>> {
        Ok(Box::new(self.target(&sink.name).writer(&sink.name)))
    }
}

/// A dataflow under test. Sources are topics in memory, whatever the code says; sinks collect what is committed.
///
/// Methods that fail panic: it is for tests.
pub struct Job {
    build: Build,
    plan: Plan,
    workers: usize,
    world: World,
    running: Option<Running>,
    watermarks: BTreeMap<String, i64>,
    program: String,
    source_options: Map<String, SourceOptions>,
    sink_options: Map<String, SinkOptions>,
    drop_state: Vec<String>,
}

impl Job {
    /// The dataflow on one worker, with nothing pushed yet.
    ///
    /// # Panics
    /// If the dataflow has problems.
    pub fn new(build: Build) -> Job {
        Job::with_lanes(build, 1)
    }

    /// As [`Job::new`], with sinks of `lanes` lanes.
    ///
    /// # Panics
    /// If the dataflow has problems.
    pub fn with_lanes(build: Build, lanes: u16) -> Job {
        let plan = engine::plan(build, Map::default(), Map::default())
            .unwrap_or_else(|error| panic!("{error}"));
        let world = World {
            log: MemoryLog::new(),
            store: Store::in_memory().unwrap_or_else(|error| panic!("{error}")),
            topics: Arc::default(),
            targets: Arc::default(),
            clock: Arc::default(),
            lanes,
        };
        Job {
            build,
            plan,
            workers: 1,
            world,
            running: None,
            watermarks: BTreeMap::new(),
            program: "test".to_owned(),
            source_options: Map::default(),
            sink_options: Map::default(),
            drop_state: Vec::new(),
        }
    }

    /// Sets the number of workers for the next start.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Job {
        self.workers = workers;
        self
    }

    /// Sets how a source is read, for the next start.
    #[must_use]
    pub fn source_options(mut self, source: &str, options: SourceOptions) -> Job {
        self.source_options.insert(source.to_owned(), options);
        self.plan =
            engine::plan(self.build, self.source_options.clone(), self.sink_options.clone())
                .unwrap_or_else(|error| panic!("{error}"));
        self
    }

    /// Pushes rows as JSON into partition 0 of a source.
    pub fn push<R: Serialize>(
        &mut self,
        source: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> &mut Job {
        self.push_to(source, "0", rows)
    }

    /// Pushes rows as JSON into a partition of a source.
    ///
    /// # Panics
    /// If a row can't be written as JSON.
    pub fn push_to<R: Serialize>(
        &mut self,
        source: &str,
        partition: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> &mut Job {
        let topic = self.world.topic(source);
        for row in rows {
            let json = serde_json::to_vec(&row).expect("a row is JSON");
            topic.push(partition, None, Some(&json));
        }
        self
    }

    /// The source's topic, for what [`Job::push`] does not do.
    pub fn topic(&self, source: &str) -> MemoryTopic {
        self.world.topic(source)
    }

    /// The sink's outside, for faults.
    pub fn target(&self, sink: &str) -> MemoryTarget {
        self.world.target(sink)
    }

    /// Raises the watermark of a source at the next tick.
    pub fn watermark(&mut self, source: &str, at: EventTime) -> &mut Job {
        self.watermarks.insert(source.to_owned(), at.micros());
        self
    }

    /// Ends event time: at the next tick every window closes.
    pub fn end_of_time(&mut self) -> &mut Job {
        for source in self.plan.sources.iter().filter(|source| source.lag.is_some()) {
            self.watermarks.insert(source.name.clone(), i64::MAX);
        }
        self
    }

    /// One tick that reads all that was pushed; returns once it is released and committed.
    pub fn tick(&mut self) -> Tick {
        self.tick_with(false)
    }

    /// As [`Job::tick`], with a snapshot at it; returns once the snapshot exists.
    pub fn snapshot(&mut self) -> Tick {
        self.tick_with(true)
    }

    /// One tick that reads up to the given next offsets (source, partition, next offset).
    pub fn tick_to(&mut self, ends: Ends, snapshot: bool) -> Tick {
        self.ticks_to(vec![ends], 1, snapshot)
    }

    /// Ticks one after the other, each reading up to its ends, of which `open` are open at once: the next ones are opened though what was
    /// read before is still on its way. A snapshot is taken at the last, if it is wanted. Returns once the last is released and committed,
    /// and its snapshot exists.
    ///
    /// # Panics
    /// If none is given.
    pub fn ticks_to(&mut self, ends: Vec<Ends>, open: u64, snapshot: bool) -> Tick {
        let (_, last) = self.begin(ends, open, snapshot);
        self.wait("the ticks are released and committed", |running| has(running, last));
        if snapshot {
            self.wait("the snapshot exists", |running| {
                running.shared().status().snapshot == Some(last)
            });
        }
        last
    }

    /// As [`Job::ticks_to`], but with a crash as soon as the first of them is released: the others are anywhere on their way.
    ///
    /// # Panics
    /// If none is given.
    pub fn crash_within(&mut self, ends: Vec<Ends>, open: u64) -> &mut Job {
        let (first, _) = self.begin(ends, open, false);
        self.wait("the first tick is released", |running| {
            running.shared().released().now() >= first
        });
        self.crash()
    }

    /// Asks for ticks; which are the first and the last.
    fn begin(&mut self, ends: Vec<Ends>, open: u64, snapshot: bool) -> (Tick, Tick) {
        let watermarks = std::mem::take(&mut self.watermarks);
        let running = self.running();
        let first = running.shared().released().now().max(running.setup_start()) + 1;
        let tick = |ends| ManualTick { ends, ..ManualTick::default() };
        let mut ticks: Vec<_> = ends.into_iter().map(tick).collect();
        let last = first + ticks.len() as Tick - 1;
        ticks.first_mut().expect("at least one tick").watermarks = watermarks;
        ticks.last_mut().expect("at least one tick").snapshot = snapshot;
        running.send(JobEvent::Ticks { ticks, open });
        (first, last)
    }

    fn tick_with(&mut self, snapshot: bool) -> Tick {
        let ends = self.ends();
        self.tick_to(ends, snapshot)
    }

    /// The ends of all partitions.
    pub fn ends(&self) -> Ends {
        let mut ends = Vec::new();
        for source in &self.plan.sources {
            let topic = self.world.topic(&source.name);
            for partition in topic.discover().unwrap_or_else(|error| panic!("{error}")) {
                let end = topic.latest(&partition.name);
                ends.push((source.name.clone(), partition.name, end));
            }
        }
        ends
    }

    /// A crash, and a start with another number of workers.
    pub fn restart(&mut self, workers: usize) -> &mut Job {
        self.crash();
        self.workers = workers;
        self.running();
        self
    }

    /// A crash. The next call starts the job again.
    pub fn crash(&mut self) -> &mut Job {
        if let Some(running) = self.running.take() {
            running.crash();
        }
        self
    }

    /// A clean end with a snapshot; the next call starts the job again.
    ///
    /// # Panics
    /// If the job fails.
    pub fn stop(&mut self) -> &mut Job {
        if let Some(running) = self.running.take() {
            running.stop();
            running.wait().unwrap_or_else(|error| panic!("{error}"));
        }
        self
    }

    /// A second job that follows the log of this one from its begin, over the same input, into sinks of its own. This one crashes first.
    ///
    /// # Panics
    /// If this job has made a snapshot: what lies before it may be gone from the log.
    pub fn follow(&mut self, workers: usize) -> Job {
        self.crash();
        let records = self.world.log.records();
        let snapshots = records.iter().any(|record| matches!(record, Record::Snapshot(_)));
        assert!(!snapshots, "a job that has made snapshots can't be followed from its begin");
        let end = records.iter().rev().find_map(|record| match record {
            Record::Tick(tick) => Some(tick.decision.tick),
            _ => None,
        });
        let store = Store::in_memory().unwrap_or_else(|error| panic!("{error}"));
        let mut follower = Job {
            build: self.build,
            plan: self.plan.clone(),
            workers,
            world: World { store, targets: Arc::default(), ..self.world.clone() },
            running: None,
            watermarks: BTreeMap::new(),
            program: self.program.clone(),
            source_options: self.source_options.clone(),
            sink_options: self.sink_options.clone(),
            drop_state: Vec::new(),
        };
        follower.running();
        let end = end.unwrap_or(0);
        follower.wait("all ticks are written again", |running| running.sinks_have(end));
        follower
    }

    /// Another program goes on from here.
    ///
    /// # Panics
    /// If the dataflow has problems.
    pub fn upgrade(&mut self, build: Build, program: &str) -> &mut Job {
        self.build = build;
        self.program = program.to_owned();
        self.plan = engine::plan(build, self.source_options.clone(), self.sink_options.clone())
            .unwrap_or_else(|error| panic!("{error}"));
        self
    }

    /// Sets what a table's sink does at a change of program, and whether it keeps what it writes, for the next start.
    ///
    /// # Panics
    /// If the sink can't do it.
    pub fn sink_options(&mut self, sink: &str, options: SinkOptions) -> &mut Job {
        self.sink_options.insert(sink.to_owned(), options);
        self.plan =
            engine::plan(self.build, self.source_options.clone(), self.sink_options.clone())
                .unwrap_or_else(|error| panic!("{error}"));
        self
    }

    /// What the present start has said about kept state.
    pub fn notes(&mut self) -> Vec<String> {
        self.running().notes().to_vec()
    }

    /// Kept state that the program gives up from the next start on, as `--drop-state` does.
    pub fn drop_state(&mut self, uid: &str) -> &mut Job {
        self.drop_state.push(uid.to_owned());
        self
    }

    /// Later starts are not told to give up kept state.
    pub fn forget_drop_state(&mut self) -> &mut Job {
        self.drop_state.clear();
        self
    }

    /// Starts the job if it does not run.
    ///
    /// # Errors
    /// Why it does not start.
    pub fn try_start(&mut self) -> Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        let options = Options {
            job: "test".to_owned(),
            program: self.program.clone(),
            build: self.program.clone(),
            size: Size::alone(self.workers),
            bounds: Bounds {
                interval_min: Duration::ZERO,
                interval_max: Duration::ZERO,
                heartbeat: DEADLINE,
                ahead_max: AHEAD_MAX,
                durable_ahead_max: 1024,
                sink_bytes_max: u64::MAX,
            },
            budget: Budget { records: usize::MAX, bytes: usize::MAX },
            snapshot_interval: DEADLINE * 1000,
            snapshots_kept: 3,
            stop_time_max: DEADLINE,
            start_time_max: DEADLINE,
            exit_when_finished: false,
            pacing: Pacing::Manual,
            source_options: self.source_options.clone(),
            sink_options: self.sink_options.clone(),
            discovery: DEADLINE,
            view_history: Map::default(),
            drop_state: self.drop_state.clone(),
            memory_budget: None,
            feed_bytes_max: FollowLimits::default().feed_bytes_max,
            traces: None,
        };
        let parts = Parts::alone(
            Box::new(self.world.log.handle()),
            self.world.store.clone(),
            Arc::new(self.world.clone()),
            self.world.clock.clone(),
        );
        let shared = Shared::new("test", &self.program, self.workers);
        let running = engine::start(self.build, &self.plan, options, parts, shared)?;
        self.running = Some(running);
        self.try_wait("the job leads", |running| {
            running.shared().status().state == crate::telemetry::status::State::Running
        })
    }

    /// Bytes of segments that the last start has read.
    #[cfg(test)]
    pub(crate) fn restored_bytes(&mut self) -> u64 {
        self.running().restored_bytes()
    }

    /// Gives the running job a command, as HTTP does; it acts at the next tick.
    #[cfg(test)]
    pub(crate) fn order(
        &mut self,
        command: crate::ticks::record::Command,
    ) -> tokio::sync::oneshot::Receiver<Result<crate::job::shared::Done>> {
        self.running().shared().order(command).expect("it leads and few commands wait")
    }

    /// One tick with a snapshot, which its sinks may not be able to commit; returns once it is released and the snapshot exists.
    #[cfg(test)]
    pub(crate) fn snapshot_only(&mut self) -> Tick {
        let (_, tick) = self.begin(vec![self.ends()], 1, true);
        self.wait("the snapshot exists", |running| {
            let shared = running.shared();
            shared.released().now() >= tick && shared.status().snapshot == Some(tick)
        });
        tick
    }

    fn running(&mut self) -> &Running {
        self.try_start().unwrap_or_else(|error| panic!("{error}"));
        self.running.as_ref().expect("just started")
    }

    fn wait(&mut self, what: &str, done: impl Fn(&Running) -> bool) {
        self.try_wait(what, done).unwrap_or_else(|error| panic!("{error}"));
    }

    fn try_wait(&mut self, what: &str, done: impl Fn(&Running) -> bool) -> Result<()> {
        let begun = clock::instant();
        let running = self.running.as_ref().expect("it runs");
        while !done(running) {
            if running.is_over() {
                let running = self.running.take().expect("it runs");
                let ended = running.wait();
                return ended.and(Err(crate::Error::internal("the job ended by itself")));
            }
            assert!(clock::instant() - begun < DEADLINE, "waited too long until {what}");
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// The error that the next tick ends with.
    ///
    /// # Panics
    /// If the tick succeeds.
    pub fn failing_tick(&mut self) -> crate::Error {
        let ends = self.ends();
        let (tick, _) = self.begin(vec![ends], 1, false);
        let outcome = self.try_wait("the tick fails", |running| has(running, tick));
        outcome.expect_err("the tick fails")
    }

    /// All rows of a view at the newest tick, as JSON in the order of keys.
    ///
    /// # Panics
    /// If there is no such view.
    pub fn table(&mut self, view: &str) -> Vec<String> {
        let router = Arc::clone(self.running().shared().router());
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let ask = Ask { limit: usize::MAX - 1, ..Ask::default() };
        let answer = runtime.block_on(router.query(view, &ask, At::Newest));
        answer.unwrap_or_else(|error| panic!("view {view}: {error:?}")).1.rows
    }

    /// The values that a sink has committed, as text, in their order.
    pub fn sink(&self, sink: &str) -> Vec<String> {
        let values = self.world.target(sink).values().into_iter();
        values.map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
    }

    /// What a sink has committed, by tick (lane 0).
    pub fn sink_ticks(&self, sink: &str) -> Vec<(Tick, Vec<String>)> {
        let text = |row: crate::sinks::Row| {
            String::from_utf8_lossy(&row.value.unwrap_or_default()).into_owned()
        };
        let committed = self.world.target(sink).committed(Lane(0)).into_iter();
        committed.map(|tick| (tick.tick, tick.rows.into_iter().map(text).collect())).collect()
    }

    /// The plan of the dataflow.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The store of snapshots, for damage.
    pub fn store(&self) -> &Store {
        &self.world.store
    }

    /// Whether the log has this tick still, or was cut behind it.
    #[cfg(test)]
    pub(crate) fn can_follow(&self, tick: Tick) -> bool {
        let is = |record: &Record| matches!(record, Record::Tick(t) if t.decision.tick == tick);
        self.world.log.records().iter().any(is)
    }

    /// The tick that the last start restored; 0 if nothing was.
    pub fn restored(&mut self) -> Tick {
        self.running().setup_start()
    }

    /// Changes of kept state that the workers have handed to the persister since the last start.
    pub fn handed_over(&mut self) -> u64 {
        self.running().handed_over()
    }

    /// Ticks read again since the last start.
    pub fn replayed(&mut self) -> u64 {
        self.running().replayed()
    }
}

/// Whether `tick` is released and committed.
fn has(running: &Running, tick: Tick) -> bool {
    running.shared().released().now() >= tick && running.sinks_have(tick)
}

impl Drop for Job {
    fn drop(&mut self) {
        self.crash();
    }
}
