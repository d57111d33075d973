//! PROTOCOL "To lead", 6: the threads of a generation, in the process that leads and in the others.

use super::super::deaths::Deaths;
use super::super::failure::Failure;
use super::super::keeper::{self, Keeper, Kept};
use super::super::observe::Observer;
use super::super::peers::{Begin, Line, Peers, Report, Up};
use super::super::setup::{Board, Idle, JobEvent, Lead, Pacing, Setup, Start, Wake};
use super::super::shared::Shared;
use super::super::skip::Place;
use super::super::slow::{self, Rounds};
use super::super::upgrade::{self, Begins};
use super::super::whereabouts;
use super::super::writers::{self, SinkHand, SinkThread, reached};
use super::super::{discovery, memory, panics, worker};
use super::exchange::Exchange;
use super::lead::Claimed;
use super::links::{self, Cluster};
use super::restored::{Found, Restored, discover_first};
use super::{Options, Running, Transports};
use crate::cluster::Socket;
use crate::error::{Error, Kind, Result};
use crate::flow::{Build, Plan};
use crate::hash::Map;
use crate::ids::Generation;
use crate::sinks::{Identity, Progress};
use crate::state::persister::{self, Persister, Role};
use crate::state::restore::Snapshot;
use crate::state::store::Store;
use crate::telemetry::status::State;
use crate::ticks::counts::Counter;
use crate::ticks::log::Log;
use crate::ticks::log::thread::{Event as LogEvent, LogThread, Settings as LogSettings};
use crate::ticks::record::Record;
use crate::time::clock::Wall;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use timely::WorkerConfig;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Hooks, WorkerGuards};

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
    pub(super) transports: Transports,
}

/// What only one of the two kinds of processes has.
enum Side {
    Leads(BTreeMap<String, SinkHand>, Lead),
    Follows(Line<Report>),
}

/// The ways on which threads of one generation reach its worker 0.
#[derive(Clone)]
pub(super) struct Ways {
    events: Sender<JobEvent>,
    pub(super) wake: Wake,
    failure: Failure,
    pub(super) observer: Arc<Observer>,
    pub(super) ended: Arc<AtomicBool>,
}

impl Ways {
    fn new(shared: &Arc<Shared>) -> (Ways, Receiver<JobEvent>) {
        let (events, receiver) = channel();
        let observer = Arc::new(Observer::new(Arc::clone(shared)));
        let (wake, failure, ended) = (Wake::default(), Failure::default(), Arc::default());
        (Ways { events, wake, failure, observer, ended }, receiver)
    }

    pub(super) fn tell(&self, event: JobEvent) {
        // An error says that the generation has ended.
        let _ = self.events.send(event);
        self.wake.all();
    }

    pub(super) fn fail(&self, error: Error) {
        self.failure.fail(error);
        self.wake.all();
    }

    /// What the persister of the process that leads tells.
    fn snapshots(&self) -> impl Fn(persister::Event) + Send + 'static {
        let ways = self.clone();
        move |event| match event {
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
            persister::Event::Retrying(error) => retrying(&error),
            persister::Event::Merged { .. } => ways.tell(JobEvent::Merged),
            persister::Event::Part(_) => {}
        }
    }

    /// What the persister of another process tells.
    fn parts(&self, up: Line<Report>) -> impl Fn(persister::Event) + Send + 'static {
        let ways = self.clone();
        move |event| match event {
            persister::Event::Part(part) => {
                if let Err(error) = up.send(0, &Report::Part(part)) {
                    ways.fail(error);
                }
            }
            persister::Event::Failed(error) => ways.fail(error),
            persister::Event::Retrying(error) => retrying(&error),
            persister::Event::Written { .. } | persister::Event::Merged { .. } => {}
        }
    }
}

fn retrying(error: &Error) {
    tracing::warn!(%error, "writing state is tried again");
}

impl Launch<'_> {
    /// Starts the threads of the process that leads.
    pub(super) fn lead(
        self,
        claimed: Claimed,
        restored: Restored,
        found: Found,
        peers: Option<Peers>,
    ) -> Result<Running> {
        let (ways, receiver) = Ways::new(&self.shared);
        let mut start = start(restored.snapshot.clone(), restored.beginning.kept.clone());
        self.tell_beginning(&start, &claimed, &restored);
        let role = Role::Whole { others: self.options.size.processes - 1 };
        let events = Box::new(ways.snapshots());
        let persister = self.persister(&start, claimed.identity.generation, role, events)?;
        let Claimed { identity, open, counter, log, writers: outsides, held, .. } = claimed;
        let snapshots = counter.snapshots().to_vec();
        start.skips = counter.skips_after(start.tick).cloned().collect();
        for skip in &start.skips {
            tracing::warn!("left out, as it was asked for: {}", Place::of(skip));
        }
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
        self.declare_views();
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
        let side = Side::Leads(sinks, lead);
        let setup = self.setup(identity, &ways, start, &persister, side);
        discovery::start(&setup, &ways.events, every);
        let (sockets, cluster) = match peers {
            None => (Vec::new(), Cluster::Alone),
            Some(peers) => links::begin(&setup, &ways, persister.handle(), peers)?,
        };
        let guards = workers(&setup, sockets)?;
        Ok(Running {
            setup,
            events: ways.events,
            cluster,
            guards: Some(guards),
            sinks: threads,
            persister: Some(persister),
            log: Some(log),
            keeper: Some(keeper),
            notes: restored.beginning.notes,
        })
    }

    /// Starts the threads of another process.
    pub(super) fn follow(
        self,
        begin: Begin,
        snapshot: Option<Snapshot>,
        up: Up,
    ) -> Result<Running> {
        let (ways, _) = Ways::new(&self.shared);
        let Begin { generation, nonce, begins, images, written, lanes, skips, .. } = begin;
        // Where bounded partitions end is asked by each process for its own.
        discover_first(&self.transports, &self.options)?;
        let start = Start { images, written, lanes, skips, ..start(snapshot, begins) };
        let from = start.tick;
        tracing::info!("generation {generation}: follows process 0 from tick {from}");
        let role = Role::Part { process: self.options.size.process };
        let events = Box::new(ways.parts(up.line.clone()));
        let persister = self.persister(&start, generation, role, events)?;
        self.declare_views();
        self.shared.set_state(State::Running);
        let (job, program) = (self.options.job.clone(), self.options.program.clone());
        let identity = Identity { job, program, generation, nonce };
        let feed_bytes_max = self.options.feed_bytes_max;
        let side = Side::Follows(up.line.clone());
        let setup = self.setup(identity, &ways, start, &persister, side);
        let (sockets, cluster) = links::attend(&setup, &ways, feed_bytes_max, up)?;
        let guards = workers(&setup, sockets)?;
        Ok(Running {
            setup,
            events: ways.events,
            cluster,
            guards: Some(guards),
            sinks: Vec::new(),
            persister: Some(persister),
            log: None,
            keeper: None,
            notes: Vec::new(),
        })
    }

    fn declare_views(&self) {
        for view in &self.plan.views {
            self.shared.router().declare(Arc::clone(&view.kind));
        }
    }

    fn tell_beginning(&self, start: &Start, claimed: &Claimed, restored: &Restored) {
        let (from, to, generation) = (start.tick, claimed.end, claimed.identity.generation);
        self.shared.update(|status| {
            status.restored = Some(from);
            status.snapshot = Some(from).filter(|tick| *tick > 0);
        });
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
        start: &Start,
        generation: Generation,
        role: Role,
        events: Box<dyn Fn(persister::Event) + Send>,
    ) -> Result<Persister> {
        let (kept, snapshot) = (upgrade::kept(self.plan, &start.begins), start.snapshot.clone());
        let settings = persister::Settings { role, ..persister::Settings::new(generation) };
        let workers = self.options.size.workers;
        Persister::spawn(self.store.clone(), settings, kept, workers, snapshot, events)
    }

    fn setup(
        self,
        identity: Identity,
        ways: &Ways,
        start: Start,
        persister: &Persister,
        side: Side,
    ) -> Arc<Setup> {
        let (sinks, lead, up) = match side {
            Side::Leads(sinks, lead) => (sinks, Some(lead), None),
            Side::Follows(up) => (BTreeMap::new(), None, Some(up)),
        };
        let Launch { build, plan, options, wall, transports, store, .. } = self;
        let generation = identity.generation;
        let deaths = Deaths { store, generation, build: options.build };
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
            deaths,
            ended: Arc::clone(&ways.ended),
            stuck: AtomicBool::new(false),
            up,
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
            rounds: Rounds::new(size.workers),
            observer: Arc::clone(&ways.observer),
        })
    }
}

/// What the restored snapshot says; sinks are not in it.
fn start(snapshot: Option<Snapshot>, begins: Vec<Begins>) -> Start {
    let facts = snapshot.as_ref().map(|s| s.manifest().facts.clone());
    let (inlets, watermarks) = facts.map(|f| (f.inlets, f.watermarks)).unwrap_or_default();
    Start {
        tick: snapshot.as_ref().map_or(0, Snapshot::tick),
        snapshot,
        begins,
        inlets,
        watermarks,
        images: Map::default(),
        written: Map::default(),
        lanes: Map::default(),
        skips: Vec::new(),
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

/// Starts the workers of this process; `sockets` lead to the other ones, by process, and are empty if there are none.
fn workers(setup: &Arc<Setup>, sockets: Vec<Option<Socket>>) -> Result<WorkerGuards<()>> {
    slow::watch(setup);
    memory::watch(setup);
    let mut config = WorkerConfig::default();
    differential_dataflow::configure(
        &mut config,
        &differential_dataflow::Config::default().idle_merge_effort(Some(MERGE_EFFORT)),
    );
    let (size, several) = (setup.size, !sockets.is_empty());
    let setup = Arc::clone(setup);
    let run = move |worker: &mut timely::worker::Worker| {
        let waker: crate::sources::Waker = {
            let thread = std::thread::current();
            Arc::new(move || thread.unpark())
        };
        let inbox = setup.observer.shared().router().attach(worker.index(), waker);
        let (index, failing) = (worker.index(), Arc::clone(&setup));
        whereabouts::is_here(setup.rounds.whereabouts(size.local(index)));
        panics::on_last_word(move |text| {
            panicked(&failing, index, several, text);
            failing.stuck.store(true, Ordering::Release);
        });
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            worker::run(worker, &setup, inbox);
        }));
        if let Err(panic) = caught {
            panicked(&setup, index, several, &panics::told_with_step(panic.as_ref()));
            // What the panic left behind must not be stepped again.
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
        }
    };
    let failed = |text: String| Error::internal(format!("the workers can't be started: {text}"));
    if !several {
        let communication = match size.workers {
            1 => timely::CommunicationConfig::Thread,
            workers => timely::CommunicationConfig::Process(workers),
        };
        return timely::execute(timely::Config { communication, worker: config }, run)
            .map_err(failed);
    }
    let hooks = Hooks::default();
    let sockets = sockets.into_iter().map(|socket| socket.map(Exchange)).collect();
    let local = ProcessBuilder::new_typed_vector(size.workers, hooks.refill.clone(), None);
    let (builders, guard) =
        initialize_networking_from_sockets(local, sockets, size.process, size.workers, hooks)
            .map_err(|error| failed(error.to_string()))?;
    let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
    timely::execute::execute_from(builders, Box::new(guard), config, run).map_err(failed)
}

/// Ends the generation, since a worker panicked; with `several` processes that may only follow from the loss of one.
fn panicked(setup: &Setup, worker: usize, several: bool, text: &str) {
    let error = if several && panics::is_broken_exchange(text) {
        let seen = format!("the exchange of rows with another process broke: {text}");
        links::cause(setup, Error::new(Kind::Retry, seen))
    } else {
        let tick = setup.rounds.tick(setup.size.local(worker));
        setup.deaths.note(tick, text);
        Error::internal(format!(
            "worker {worker} panicked at tick {tick}: {text}; the tick is not shown, and is tried again at the next start"
        ))
    };
    setup.failure.fail(error);
    setup.wake.all();
}
