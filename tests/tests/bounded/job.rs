//! A job in this process: the engine with its clock, a directory as store, a file as tick log; sinks throw away what they are given.

use crate::flow;
use crate::input::Input;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tidemark::flow::{SinkPlan, SourcePlan};
use tidemark::hash::Map;
use tidemark::job::engine::{self, Connectors, OpenedSink, Options, Parts, Running};
use tidemark::job::pace::Bounds;
use tidemark::job::setup::{Pacing, Size};
use tidemark::job::shared::Shared;
use tidemark::job::traces::TraceMeter;
use tidemark::sinks::Writer;
use tidemark::sinks::blackhole::Blackhole;
use tidemark::sources::{Budget, Transport};
use tidemark::state::store::Store;
use tidemark::ticks::log::file::FileLog;
use tidemark::ticks::record::SinkDecl;
use tidemark::time::clock::System;
use tidemark::{Error, Result};
use tidemark_tests::clock::Deadline;

/// A deadline that only a hanging engine reaches.
const LONG: Duration = Duration::from_secs(1800);
/// Snapshots that are kept.
pub(crate) const KEPT: usize = 3;

struct Outsides(Input);

impl Connectors for Outsides {
    fn source(&self, _: &SourcePlan) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(self.0.clone()))
    }

    fn sink(&self, plan: &SinkPlan) -> Result<OpenedSink> {
        let writer = Box::new(Blackhole::new(&plan.name));
        Ok(OpenedSink { writer, lanes: 1, address: BTreeMap::new() })
    }

    fn retired(&self, sink: &SinkDecl) -> Result<Box<dyn Writer>> {
        Err(Error::config(format!("no sink {} was there", sink.name)))
    }
}

/// How many workers there are, how often ticks and snapshots come, and how large ticks are.
pub(crate) struct Pace {
    pub(crate) workers: usize,
    pub(crate) heartbeat: Duration,
    pub(crate) interval_min: Duration,
    pub(crate) records: usize,
    pub(crate) snapshots: Duration,
}

pub(crate) struct Job {
    pub(crate) input: Input,
    pub(crate) meter: TraceMeter,
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: Store,
    folder: TempDir,
    running: Running,
}

impl Job {
    /// Starts it over nothing.
    pub(crate) fn start(input: Input, pace: &Pace) -> Job {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store").to_str().unwrap()).unwrap();
        let log = Box::new(FileLog::open(folder.path().join("tick.log")).unwrap());
        let meter = TraceMeter::default();
        let options = Options {
            job: "bounded".to_owned(),
            program: "test".to_owned(),
            build: String::new(),
            size: Size::alone(pace.workers),
            bounds: Bounds {
                interval_min: pace.interval_min,
                interval_max: Duration::from_millis(20),
                heartbeat: pace.heartbeat,
                ahead_max: 16,
                durable_ahead_max: 1024,
                sink_bytes_max: 64 << 20,
            },
            budget: Budget { records: pace.records, bytes: 64 << 20 },
            snapshot_interval: pace.snapshots,
            snapshots_kept: KEPT,
            stop_time_max: LONG,
            start_time_max: LONG,
            exit_when_finished: false,
            pacing: Pacing::Clock,
            source_options: Map::default(),
            sink_options: Map::default(),
            discovery: LONG,
            view_history: Map::default(),
            drop_state: Vec::new(),
            memory_budget: None,
            feed_bytes_max: 1 << 20,
            traces: Some(meter.clone()),
        };
        let connectors = Arc::new(Outsides(input.clone()));
        let parts = Parts::alone(log, store.clone(), connectors, Arc::new(System));
        let shared = Shared::new("bounded", "test", pace.workers);
        let plan = engine::plan(flow::build, Map::default(), Map::default()).unwrap();
        let running =
            engine::start(flow::build, &plan, options, parts, Arc::clone(&shared)).unwrap();
        Job { input, meter, shared, store, folder, running }
    }

    /// The folder of store and log.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The newest released tick.
    pub(crate) fn tick(&self) -> u64 {
        self.shared.status().tick
    }

    /// Records read.
    pub(crate) fn records(&self) -> u64 {
        self.shared.registry().counter("records_total", "", &[]).value()
    }

    /// Looks again until `look` finds nothing missing.
    pub(crate) fn until(&self, what: &str, mut look: impl FnMut(&Job) -> Result<(), String>) {
        let deadline = Deadline::after(LONG);
        while let Err(missing) = look(self) {
            let error = self.running.error();
            assert!(error.is_none() && !self.running.is_over(), "the job ended: {error:?}");
            assert!(deadline.left().is_some(), "{LONG:?} passed before {what}: {missing}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it.
    pub(crate) fn stop(self) {
        self.running.stop();
        self.running.wait().unwrap();
    }
}
