//! PROTOCOL "To lead", 6: the threads of a generation.

use super::super::failure::Failure;
use super::super::keeper::{self, Keeper, Kept};
use super::super::observe::Observer;
use super::super::setup::{Board, Idle, JobEvent, Lead, Pacing, Setup, Start, Wake};
use super::super::shared::Shared;
use super::super::writers::{self, SinkHand, SinkThread, reached};
use super::super::{discovery, upgrade, worker};
use super::lead::Claimed;
use super::restored::{Found, Restored};
use super::{Options, Running, panic_text};
use crate::error::{Error, Result};
use crate::flow::{Build, Plan};
use crate::hash::Map;
use crate::sinks::{Identity, Progress};
use crate::sources::Transport;
use crate::state::persister::{self, Persister};
use crate::state::restore::Snapshot;
use crate::state::store::Store;
use crate::telemetry::status::State;
use crate::ticks::counts::Counter;
use crate::ticks::log::Log;
use crate::ticks::log::thread::{Event as LogEvent, LogThread, Settings as LogSettings};
use crate::ticks::record::Record;
use crate::time::clock::Wall;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use timely::{CommunicationConfig, WorkerConfig};

/// After so long ticks without rows are committed to a sink.
const EMPTY_FOR: Duration = Duration::from_millis(200);

/// How much merging of traces a worker does while it has nothing else to do, in updates a step.
const MERGE_EFFORT: isize = 1000;

/// What a generation is made of, whoever leads it.
pub(super) struct Launch<'a> {
    pub(super) build: Build,
    pub(super) plan: &'a Plan,
    pub(super) options: Options,
    pub(super) shared: Arc<Shared>,
    pub(super) wall: Arc<dyn Wall>,
    pub(super) store: Store,
    pub(super) transports: BTreeMap<String, Arc<dyn Transport>>,
}

/// The ways on which threads of one generation reach its worker 0.
#[derive(Clone)]
struct Ways {
    events: Sender<JobEvent>,
    wake: Wake,
    failure: Failure,
    observer: Arc<Observer>,
}

impl Ways {
    fn new(shared: &Arc<Shared>) -> (Ways, Receiver<JobEvent>) {
        let (events, receiver) = channel();
        let observer = Arc::new(Observer::new(Arc::clone(shared)));
        (Ways { events, wake: Wake::default(), failure: Failure::default(), observer }, receiver)
    }

    fn tell(&self, event: JobEvent) {
        // An error says that the generation has ended.
        let _ = self.events.send(event);
        self.wake.all();
    }
}

impl Launch<'_> {
    /// Starts the threads of the process that leads.
    pub(super) fn lead(
        self,
        claimed: Claimed,
        restored: Restored,
        found: Found,
    ) -> Result<Running> {
        let (ways, receiver) = Ways::new(&self.shared);
        let mut start = start(&restored);
        self.tell_beginning(&start, &claimed, &restored);
        let persister = self.persister(&ways, &start, &restored, &claimed.identity)?;
        let Claimed { identity, open, counter, log, writers: outsides, held, .. } = claimed;
        let snapshots = counter.snapshots().to_vec();
        let (kept, kept_events) = channel();
        let log = log_thread(log, counter, &identity, &ways, kept)?;

        let mut sinks = BTreeMap::new();
        let mut threads = Vec::new();
        for (name, writer) in outsides {
            let fenced = held.iter().find(|h| h.sink.live && h.sink.name == name);
            let declared = open.sinks.iter().find(|sink| sink.live && sink.name == name);
            let (Some(fenced), Some(declared)) = (fenced, declared) else {
                return Err(Error::internal(format!("sink {name} was not fenced")));
            };
            // Lanes beyond are those of an earlier declaration: fenced, and written no more.
            let progress: &[Option<Progress>] = &fenced.progress[..usize::from(declared.lanes)];
            let first_tick = declared.first_tick;
            let least = progress.iter().map(|p| reached(p.as_ref(), first_tick)).min().unwrap_or(0);
            start.written.insert(name.clone(), least.max(start.tick));
            start.lanes.insert(name.clone(), declared.lanes);
            if let Some(image) = declared.image.filter(|image| image.tick > start.tick) {
                start.images.insert(name.clone(), image);
            }
            let (wake, appender) = (ways.wake.clone(), log.appender());
            let manual = self.options.pacing == Pacing::Manual;
            let (hand, thread) = SinkThread::start(
                &name,
                writers::Start {
                    writer,
                    identity: identity.clone(),
                    progress,
                    first_tick,
                    empty_for: if manual { Duration::ZERO } else { EMPTY_FOR },
                    leads: Box::new(move || appender.look()),
                    failure: ways.failure.clone(),
                    on_commit: Box::new(move || wake.all()),
                    registry: self.shared.registry(),
                },
            );
            sinks.insert(name, hand);
            threads.push(thread);
        }
        let keeper = Keeper::start(keeper::Settings {
            store: self.store.clone(),
            appender: log.appender(),
            persister: persister.handle(),
            generation: identity.generation,
            base: open.base,
            lineage: start.snapshot.as_ref().map(Snapshot::tick),
            snapshots,
            sinks: sinks.clone(),
            kept: self.options.snapshots_kept,
            events: kept_events,
        });
        for view in &self.plan.views {
            self.shared.router().declare(Arc::clone(&view.kind));
        }
        for (source, partitions) in found {
            let event = JobEvent::Discovered { source, partitions };
            ways.events.send(event).map_err(|_| Error::internal("nobody listens"))?;
        }
        let commands = self.shared.take_commands({
            let wake = ways.wake.clone();
            Arc::new(move || wake.all())
        });
        let appender = log.appender();
        let lead = Lead { follow: restored.follow, events: receiver, commands, appender };
        let every = self.options.discovery;
        let setup = self.setup(identity, &ways, start, &persister, sinks, Some(lead));
        discovery::start(&setup, &ways.events, every);
        let guards = workers(&setup)?;
        Ok(Running {
            setup,
            events: ways.events,
            guards: Some(guards),
            sinks: threads,
            persister: Some(persister),
            log: Some(log),
            keeper: Some(keeper),
            notes: restored.beginning.notes,
        })
    }

    fn tell_beginning(&self, start: &Start, claimed: &Claimed, restored: &Restored) {
        let (from, to, generation) = (start.tick, claimed.end, claimed.identity.generation);
        let inlets = start.inlets.iter().map(|at| (at.decl.clone(), at.next));
        self.shared.restore_inlets(inlets);
        let replays = !restored.follow.is_empty();
        self.shared.set_state(if replays { State::Replaying } else { State::Starting });
        match (from, to) {
            (0, 0) => tracing::info!("generation {generation}: begins at tick 1"),
            _ => tracing::info!(
                "generation {generation}: restored the snapshot of tick {from}, replays up to tick {to}"
            ),
        }
        tracing::debug!(target: "tidemark::phase", phase = "recovery-replay", from, to);
    }

    fn persister(
        &self,
        ways: &Ways,
        start: &Start,
        restored: &Restored,
        identity: &Identity,
    ) -> Result<Persister> {
        let ways = ways.clone();
        Persister::spawn(
            self.store.clone(),
            persister::Settings::new(identity.generation),
            upgrade::kept(self.plan, &restored.beginning),
            self.options.size.workers,
            start.snapshot.clone(),
            Box::new(move |event| match event {
                persister::Event::Written {
                    tick,
                    manifest,
                    savepoint,
                    bytes,
                    seconds,
                    merging,
                    ..
                } => {
                    ways.observer.snapshot_written(bytes, seconds);
                    ways.tell(JobEvent::SnapshotWritten { tick, manifest, savepoint, merging });
                }
                persister::Event::Failed(error) => {
                    ways.observer.snapshot_failed();
                    ways.tell(JobEvent::SnapshotFailed(error));
                }
                persister::Event::Retrying(error) => {
                    tracing::warn!(%error, "writing state is tried again");
                }
                persister::Event::Merged { .. } => ways.tell(JobEvent::Merged),
                persister::Event::Part(_) => {}
            }),
        )
    }

    fn setup(
        self,
        identity: Identity,
        ways: &Ways,
        start: Start,
        persister: &Persister,
        sinks: BTreeMap<String, SinkHand>,
        lead: Option<Lead>,
    ) -> Arc<Setup> {
        let Launch { build, plan, options, wall, transports, .. } = self;
        let size = options.size;
        ways.observer.restored(start.tick);
        Arc::new(Setup {
            build,
            identity,
            size,
            lead: Mutex::new(lead),
            transports,
            lags: plan.sources.iter().filter_map(|s| Some((s.name.clone(), s.lag?))).collect(),
            source_options: options.source_options,
            sink_options: options.sink_options,
            view_history: options.view_history,
            sinks,
            persister: persister.handle(),
            board: Board::default(),
            released: (0..size.workers).map(|_| AtomicU64::new(start.tick)).collect(),
            start,
            failure: ways.failure.clone(),
            ended: AtomicBool::new(false),
            bounds: options.bounds,
            budget: options.budget,
            pacing: options.pacing,
            snapshot_interval: options.snapshot_interval,
            snapshots_kept: options.snapshots_kept,
            memory_budget: options.memory_budget,
            traces: options.traces,
            stop_time_max: options.stop_time_max,
            exit_when_finished: options.exit_when_finished,
            wall,
            wake: ways.wake.clone(),
            idle: Idle::new(size.workers),
            observer: Arc::clone(&ways.observer),
        })
    }
}

/// What the restored snapshot says; sinks are not in it.
fn start(restored: &Restored) -> Start {
    let facts = restored.snapshot.as_ref().map(|s| s.manifest().facts.clone());
    let (inlets, watermarks) = facts.map(|f| (f.inlets, f.watermarks)).unwrap_or_default();
    Start {
        tick: restored.snapshot.as_ref().map_or(0, Snapshot::tick),
        snapshot: restored.snapshot.clone(),
        begins: restored.beginning.kept.clone(),
        inlets,
        watermarks,
        images: Map::default(),
        written: Map::default(),
        lanes: Map::default(),
    }
}

fn log_thread(
    log: Box<dyn Log>,
    counter: Counter,
    identity: &Identity,
    ways: &Ways,
    kept: Sender<Kept>,
) -> Result<LogThread> {
    let ways = ways.clone();
    LogThread::start(log, counter, identity.generation, LogSettings::default(), move |event| {
        if let LogEvent::Counted(record) = &event {
            // An error says that the keeper has ended.
            match record {
                Record::Snapshot(snapshot) => drop(kept.send(Kept::Snapshot(snapshot.clone()))),
                Record::Drop(dropped) => drop(kept.send(Kept::Dropped(dropped.clone()))),
                _ => {}
            }
        }
        ways.tell(JobEvent::Log(event));
    })
}

fn workers(setup: &Arc<Setup>) -> Result<timely::communication::WorkerGuards<()>> {
    let communication = match setup.size.workers {
        1 => CommunicationConfig::Thread,
        workers => CommunicationConfig::Process(workers),
    };
    let mut config = WorkerConfig::default();
    differential_dataflow::configure(
        &mut config,
        &differential_dataflow::Config::default().idle_merge_effort(Some(MERGE_EFFORT)),
    );
    let setup = Arc::clone(setup);
    let run = move |worker: &mut timely::worker::Worker| {
        let waker: crate::sources::Waker = {
            let thread = std::thread::current();
            Arc::new(move || thread.unpark())
        };
        let inbox = setup.observer.shared().router().attach(worker.index(), waker);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            worker::run(worker, &setup, inbox);
        }));
        if let Err(panic) = caught {
            let index = worker.index();
            setup.failure.fail(Error::internal(format!(
                "worker {index} panicked: {}",
                panic_text(panic.as_ref())
            )));
            setup.wake.all();
            // What the panic left behind must not be stepped again.
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
        }
    };
    timely::execute(timely::Config { communication, worker: config }, run)
        .map_err(|text| Error::internal(format!("the workers can't be started: {text}")))
}
