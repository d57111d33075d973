//! Windows fire though other partitions have nothing to read, and only then: on the engine itself, with its own clock. What a partition is
//! said to be is up to the test, and an idle time of nothing leaves nothing to timing.

use crate::error::Result;
use crate::flow::endpoint::kafka;
use crate::flow::{Flow, Lag, Plan, SinkPlan, SourceOptions, SourcePlan};
use crate::hash::Map;
use crate::ids::Inlet;
use crate::job::engine::{self, Connectors, OpenedSink, Options, Parts, Running};
use crate::job::pace::Bounds;
use crate::job::setup::{Pacing, Size};
use crate::job::shared::{Kept, Shared};
use crate::operators::aggregate::count;
use crate::operators::window::tumbling;
use crate::sinks::Writer;
use crate::sinks::memory::MemoryTarget;
use crate::sources::memory::MemoryTopic;
use crate::sources::{Budget, Partition, Polled, Raw, Reader, Transport, Waker};
use crate::state::store::Store;
use crate::ticks::log::memory::MemoryLog;
use crate::ticks::record::SinkDecl;
use crate::time::clock::{self, System};
use crate::{EventTime, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A generous deadline: what takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(60);
/// Ticks that may be opened beyond what is released.
const AHEAD: u64 = 4;

#[derive(Row)]
struct Click {
    user: u64,
    at: EventTime,
}

fn visits(flow: &Flow<'_>) {
    let clicks = flow
        .source("clicks", kafka::topic("clicks").json::<Click>())
        .event_time(|click| click.at, Lag(Duration::from_secs(5)));
    let visits = clicks
        .key_by(|click| click.user)
        .window(tumbling(Duration::from_secs(10)))
        .aggregate("visits", count());
    flow.sink("visits", &visits.closed, kafka::topic("visits").json());
    flow.sink("late", &visits.late, kafka::topic("late").json());
}

/// A topic, some partitions of which are known to have more, though it does not come.
#[derive(Clone, Default)]
struct Topic {
    topic: MemoryTopic,
    lagging: Arc<Mutex<BTreeSet<String>>>,
}

struct TopicReader {
    topic: Topic,
    reader: Box<dyn Reader>,
    names: BTreeMap<Inlet, String>,
}

impl Transport for Topic {
    fn describe(&self) -> String {
        self.topic.describe()
    }

    fn discover(&self) -> Result<Vec<Partition>> {
        self.topic.discover()
    }

    fn open(&self, waker: Waker) -> Result<Box<dyn Reader>> {
        let (topic, reader) = (self.clone(), self.topic.open(waker)?);
        Ok(Box::new(TopicReader { topic, reader, names: BTreeMap::new() }))
    }
}

impl Reader for TopicReader {
    fn assign(&mut self, inlet: Inlet, partition: &str, next: u64) -> Result<()> {
        self.names.insert(inlet, partition.to_owned());
        self.reader.assign(inlet, partition, next)
    }

    fn poll(
        &mut self,
        inlet: Inlet,
        limit: u64,
        budget: Budget,
        each: &mut dyn FnMut(Raw<'_>) -> Result<()>,
    ) -> Result<Polled> {
        let polled = self.reader.poll(inlet, limit, budget, each)?;
        let lags = self.topic.lagging.lock().unwrap().contains(&self.names[&inlet]);
        Ok(if lags && polled == Polled::CaughtUp { Polled::Waiting } else { polled })
    }

    fn lag(&self, inlet: Inlet) -> Option<u64> {
        self.reader.lag(inlet)
    }
}

#[derive(Clone, Default)]
struct Outsides {
    clicks: Topic,
    visits: MemoryTarget,
    late: MemoryTarget,
}

impl Connectors for Outsides {
    fn source(&self, _: &SourcePlan) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(self.clicks.clone()))
    }

    fn sink(&self, plan: &SinkPlan) -> Result<OpenedSink> {
        let target = if plan.name == "late" { &self.late } else { &self.visits };
        let writer = Box::new(target.writer(&plan.name));
        Ok(OpenedSink { writer, lanes: 1, address: BTreeMap::new() })
    }

    fn retired(&self, sink: &SinkDecl) -> Result<Box<dyn Writer>> {
        Ok(Box::new(self.visits.writer(&sink.name)))
    }
}

struct Job {
    outsides: Outsides,
    shared: Arc<Shared>,
    running: Option<Running>,
}

impl Job {
    /// A job that reads partitions 0 and 1, of which `lagging` are known to have more.
    fn start(workers: usize, idle: Option<Duration>, lagging: &[&str]) -> Job {
        let outsides = Outsides::default();
        ["0", "1"].iter().for_each(|partition| outsides.clicks.topic.create(partition));
        let lags = lagging.iter().map(|partition| (*partition).to_owned());
        outsides.clicks.lagging.lock().unwrap().extend(lags);
        let source = SourceOptions { idle, ..SourceOptions::default() };
        let source_options = Map::from_iter([("clicks".to_owned(), source)]);
        let plan: Plan = engine::plan(visits, source_options.clone(), Map::default()).unwrap();
        let parts = Parts::alone(
            Box::new(MemoryLog::new().handle()),
            Store::in_memory().unwrap(),
            Arc::new(outsides.clone()),
            Arc::new(System),
        );
        let shared = Shared::new("idle", "test", workers);
        let options = options(workers, source_options);
        let running = engine::start(visits, &plan, options, parts, Arc::clone(&shared)).unwrap();
        Job { outsides, shared, running: Some(running) }
    }

    fn push(&self, partition: &str, second: i64) {
        let click = Click { user: 1, at: EventTime::from_millis(second * 1000).unwrap() };
        let json = serde_json::to_vec(&click).unwrap();
        self.outsides.clicks.topic.push(partition, None, Some(&json));
    }

    fn until(&self, what: &str, done: impl Fn(&Job) -> bool) {
        let begun = clock::instant();
        while !done(self) {
            let error = self.running.as_ref().and_then(Running::error);
            assert!(error.is_none(), "{error:?}");
            assert!(clock::instant() - begun < DEADLINE, "waited too long until {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Has what is in partition 0 read, and what follows from it decided, released and committed.
    fn settle(&self) {
        let end = self.outsides.clicks.topic.latest("0");
        self.until("partition 0 is read", |job| {
            let tick = job.shared.status().tick;
            let Kept::Record(view) = job.shared.record(tick) else { return false };
            view.next_offsets.get("clicks").and_then(|next| next.get("0")) == Some(&end)
        });
        // The watermark that it gives is in force behind the ticks that are open already; a heartbeat is due soon.
        let tick = self.shared.status().tick + 2 * AHEAD;
        let running = self.running.as_ref().unwrap();
        self.until("ticks behind those that are open", |job| {
            job.shared.status().tick >= tick && running.sinks_have(tick)
        });
    }

    fn windows(&self) -> Vec<String> {
        let values = self.outsides.visits.values().into_iter();
        values.map(|value| String::from_utf8(value).unwrap()).collect()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.running.take().into_iter().for_each(Running::crash);
    }
}

fn options(workers: usize, source_options: Map<String, SourceOptions>) -> Options {
    Options {
        job: "idle".to_owned(),
        program: "test".to_owned(),
        build: String::new(),
        size: Size::alone(workers),
        bounds: Bounds {
            interval_min: Duration::ZERO,
            interval_max: Duration::from_millis(1),
            heartbeat: Duration::from_millis(1),
            ahead_max: AHEAD,
            durable_ahead_max: AHEAD,
            sink_bytes_max: 1 << 20,
        },
        budget: Budget { records: 1000, bytes: 1 << 20 },
        snapshot_interval: DEADLINE,
        snapshots_kept: 3,
        stop_time_max: DEADLINE,
        start_time_max: DEADLINE,
        exit_when_finished: false,
        pacing: Pacing::Clock,
        source_options,
        sink_options: Map::default(),
        discovery: DEADLINE,
        view_history: Map::default(),
        drop_state: Vec::new(),
        memory_budget: None,
        feed_bytes_max: 1 << 20,
        traces: None,
    }
}

const FIRST: &str =
    r#"{"key":1,"start":"1970-01-01T00:00:00Z","end":"1970-01-01T00:00:10Z","value":1}"#;

#[test]
fn windows_fire_though_the_other_partitions_are_idle() {
    for workers in [1, 2] {
        let job = Job::start(workers, Some(Duration::ZERO), &["0"]);
        job.push("0", 1);
        job.push("0", 16);
        job.until("the first window closes", |job| !job.windows().is_empty());
        assert_eq!(job.windows(), [FIRST], "{workers} worker(s)");
        // Who comes back finds what has gone on without him.
        job.push("1", 2);
        job.until("the record is late", |job| !job.outsides.late.values().is_empty());
        assert_eq!(job.windows(), [FIRST], "{workers} worker(s)");
    }
}

#[test]
fn a_partition_that_lags_or_may_not_be_idle_holds_them() {
    for (idle, lagging) in [(Some(Duration::ZERO), &["0", "1"][..]), (None, &["0"])] {
        let job = Job::start(2, idle, lagging);
        job.push("0", 1);
        job.push("0", 16);
        job.settle();
        assert_eq!(job.windows(), [""; 0], "idle {idle:?}, lagging {lagging:?}");
        job.push("1", 15);
        job.until("the first window closes", |job| !job.windows().is_empty());
        assert_eq!(job.windows(), [FIRST], "idle {idle:?}, lagging {lagging:?}");
    }
}
