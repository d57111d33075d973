//! A generation from claim to end: the steps of PROTOCOL "To lead", and the threads that run it.
//!
//! Claim, open, fence and mark, progress, restore, lead: each step is finished before the next, and what each decides is pure
//! ([`super::generation`]).

use super::claim::{self, Claimant};
use super::failure::Failure;
use super::generation::change::{self, OnChange};
use super::generation::lanes::{self, Checked, Held, Wanted, check_progress, next_sinks, to_fence};
use super::generation::roots::{Restore, RestoreFacts, restore_points};
use super::generation::{
    MayLead, after_open, after_progress, before_claim, next_dropped, will_switch,
};
use super::keeper::{Keeper, Kept};
use super::observe::Observer;
use super::pace::Bounds;
use super::patience::persist;
use super::ports::InletAt;
use super::setup::{Board, Idle, JobEvent, Pacing, Setup, Wake};
use super::shared::Shared;
use super::traces::TraceMeter;
use super::upgrade::{self, Beginning};
use super::worker;
use super::writers::{self, SinkThread, reached};
use crate::error::{Error, Kind, Result};
use crate::flow::context::Context;
use crate::flow::{Build, Flow, Plan, SinkOptions, SinkPlan, SourceOptions, SourcePlan};
use crate::hash::Map;
use crate::ids::Tick;
use crate::random;
use crate::sinks::{Identity, Progress, Writer};
use crate::sources::{Budget, Transport};
use crate::state::manifest::InletState;
use crate::state::persister::{self, Persister};
use crate::state::restore::Snapshot;
use crate::state::store::Store;
use crate::telemetry::status::State;
use crate::ticks::counts::{Counter, Verdict};
use crate::ticks::log::thread::{Event as LogEvent, LogThread, Settings as LogSettings};
use crate::ticks::log::{Log, append_and_count, read_and_count};
use crate::ticks::record::{Open, Record, SinkDecl, TickRecord};
use crate::time::clock::Wall;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use timely::dataflow::operators::probe;
use timely::{CommunicationConfig, WorkerConfig};

/// How a job runs, whatever it is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// The job's name.
    pub job: String,
    /// Fingerprint of the program.
    pub program: String,
    /// Worker threads.
    pub workers: usize,
    /// Bounds of the clock.
    pub bounds: Bounds,
    /// Records and bytes of one tick, over all workers.
    pub budget: Budget,
    /// Time between snapshots.
    pub snapshot_interval: Duration,
    /// Snapshots that are kept at least.
    pub snapshots_kept: usize,
    /// The longest wait for a clean end.
    pub stop_time_max: Duration,
    /// How long the start tries again what is not reachable.
    pub start_time_max: Duration,
    /// Whether the job ends when all its sources have ended.
    pub exit_when_finished: bool,
    /// Who decides when a tick is opened.
    pub pacing: Pacing,
    /// How sources are read.
    pub source_options: Map<String, SourceOptions>,
    /// What sinks of tables keep, and what they do at a change of program.
    pub sink_options: Map<String, SinkOptions>,
    /// How often new partitions are looked for.
    pub discovery: Duration,
    /// Ticks of history of each view that is configured.
    pub view_history: Map<String, u64>,
    /// Kept state that this program gives up, once, by uid.
    pub drop_state: Vec<String>,
    /// Bytes that the process may use; no bound if absent.
    pub memory_budget: Option<u64>,
    /// Counts the updates in all traces; for tests.
    pub traces: Option<TraceMeter>,
}

/// A sink's outside, opened.
pub struct OpenedSink {
    /// Its writer.
    pub writer: Box<dyn Writer>,
    /// Its lanes.
    pub lanes: u16,
    /// What is needed to fence it when the program no longer has it; never secrets.
    pub address: BTreeMap<String, String>,
}

/// Makes the outsides of sources and sinks.
pub trait Connectors: Send + Sync {
    /// The transport of a source.
    ///
    /// # Errors
    /// `Config` if it is not configured rightly.
    fn source(&self, plan: &SourcePlan) -> Result<Arc<dyn Transport>>;

    /// The writer of a sink.
    ///
    /// # Errors
    /// As [`Connectors::source`].
    fn sink(&self, plan: &SinkPlan) -> Result<OpenedSink>;

    /// The writer of a sink that the program no longer has, to fence it.
    ///
    /// # Errors
    /// `Config` if it can't be reached with the present configuration.
    fn retired(&self, sink: &SinkDecl) -> Result<Box<dyn Writer>>;
}

/// What a job is made of.
pub struct Parts {
    /// The tick log, opened.
    pub log: Box<dyn Log>,
    /// The state store.
    pub store: Store,
    /// Outsides.
    pub connectors: Arc<dyn Connectors>,
    /// The wall clock.
    pub wall: Arc<dyn Wall>,
}

/// Builds a dataflow once without input: what it declares.
///
/// # Errors
/// `Config` with every problem that the dataflow has, or the panic of its building.
pub fn plan(
    build: Build,
    source_options: Map<String, SourceOptions>,
    sink_options: Map<String, SinkOptions>,
) -> Result<Plan> {
    let built = std::thread::Builder::new().name("plan".into()).spawn(move || {
        timely::execute_directly(move |worker| {
            let context = Rc::new(Context::dry(source_options, sink_options));
            let next = worker.next_dataflow_index();
            worker.dataflow::<Tick, _, _>(|scope| {
                build(&Flow::new(scope, Rc::clone(&context), probe::Handle::new()));
            });
            worker.drop_dataflow(next);
            context.plan.take()
        })
    });
    let built =
        built.map_err(|e| Error::internal(format!("no thread to build the dataflow: {e}")))?;
    let plan = built.join().map_err(|panic| {
        Error::config(format!("building the dataflow panicked: {}", panic_text(panic.as_ref())))
    })?;
    if plan.problems.is_empty() {
        return Ok(plan);
    }
    Err(Error::config(plan.problems.join("\n")))
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned())
}

/// A job that runs.
pub struct Running {
    setup: Arc<Setup>,
    events: Sender<JobEvent>,
    guards: Option<timely::communication::WorkerGuards<()>>,
    sinks: Vec<SinkThread>,
    persister: Option<Persister>,
    log: Option<LogThread>,
    keeper: Option<Keeper>,
    notes: Vec<String>,
}

impl Running {
    /// What the user should know of how kept state goes on, as it was logged.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Asks for a clean end.
    pub fn stop(&self) {
        // An error says that it has ended already.
        let _ = self.events.send(JobEvent::Stop);
        self.setup.wake.all();
    }

    /// A hand that asks for a clean end from any thread.
    pub fn stopper(&self) -> impl Fn() + Send + Sync + 'static {
        let (events, wake) = (self.events.clone(), self.setup.wake.clone());
        move || {
            // An error says that it has ended already.
            let _ = events.send(JobEvent::Stop);
            wake.all();
        }
    }

    /// The restored tick.
    pub(crate) fn setup_start(&self) -> Tick {
        self.setup.start
    }

    /// Whether every sink has committed `tick`.
    pub(crate) fn sinks_have(&self, tick: Tick) -> bool {
        self.setup.sinks.values().all(|sink| sink.committed() >= tick)
    }

    /// Ticks read again by this generation.
    pub(crate) fn replayed(&self) -> u64 {
        self.setup.observer.replayed_ticks()
    }

    /// Changes of kept state that the workers have handed to the persister.
    pub(crate) fn handed_over(&self) -> u64 {
        self.setup.persister.counters().changes.load(Ordering::Relaxed)
    }

    pub(crate) fn send(&self, event: JobEvent) {
        // An error says that it has ended already.
        let _ = self.events.send(event);
        self.setup.wake.all();
    }

    /// Ends as a crash does, as far as a living process can: nothing more is committed by workers.
    pub(crate) fn crash(mut self) {
        self.setup.failure.fail(Error::new(Kind::Retry, "crashed by a test"));
        // The error is the crash itself.
        let _ = self.finish();
    }

    /// What the job shares with its front.
    pub fn shared(&self) -> &Arc<Shared> {
        self.setup.observer.shared()
    }

    /// Whether the generation has ended or is about to.
    pub fn is_over(&self) -> bool {
        self.setup.is_over()
    }

    /// The error that ended it.
    pub fn error(&self) -> Option<Error> {
        self.setup.failure.error()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// What ended the generation, unless it was a clean end.
    pub fn wait(mut self) -> Result<()> {
        self.finish()
    }

    fn finish(&mut self) -> Result<()> {
        if let (true, Some(persister)) = (self.setup.failure.is_set(), &self.persister) {
            // A worker may wait there for a store that does not answer.
            persister.handle().close();
        }
        if let Some(guards) = self.guards.take() {
            for outcome in guards.join() {
                if let Err(panic) = outcome {
                    self.setup.failure.fail(Error::internal(format!("a worker ended: {panic}")));
                }
            }
        }
        for sink in &self.sinks {
            sink.end();
        }
        self.sinks.clear();
        self.keeper = None;
        self.persister = None;
        if let Some(log) = self.log.take() {
            log.stop();
        }
        match self.setup.failure.error() {
            None => Ok(()),
            Some(error) => {
                self.shared().update(|status| {
                    status.state = State::Failed;
                    status.error = Some(error.to_string());
                });
                Err(error)
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.guards.is_some() {
            self.setup.failure.fail(Error::new(Kind::Retry, "the job was dropped"));
            // The error is the one just set.
            let _ = self.finish();
        }
    }
}

/// What the protocol's steps 1 to 5 have found.
struct Claimed {
    identity: Identity,
    open: Open,
    counter: Counter,
    log: Box<dyn Log>,
    /// E.
    end: Tick,
    least: Tick,
    writers: BTreeMap<String, Box<dyn Writer>>,
    held: Vec<Held>,
}

/// Leads a job, or says why not.
///
/// # Errors
/// Any kind; nothing was released.
pub fn start(
    build: Build,
    plan: &Plan,
    options: Options,
    parts: Parts,
    shared: Arc<Shared>,
) -> Result<Running> {
    let Parts { log, store, connectors, wall } = parts;
    let mut transports: BTreeMap<String, Arc<dyn Transport>> = BTreeMap::new();
    for source in &plan.sources {
        let place = |e: Error| e.at(format_args!("source {:?}", source.name));
        transports.insert(source.name.clone(), connectors.source(source).map_err(place)?);
    }
    let mut opened = BTreeMap::new();
    for sink in &plan.sinks {
        let place = |e: Error| e.at(format_args!("sink {:?}", sink.name));
        opened.insert(sink.name.clone(), connectors.sink(sink).map_err(place)?);
    }
    let claimed = claim_and_fence(log, &store, &options, plan, opened, connectors.as_ref())?;
    shared.update(|status| status.generation = claimed.identity.generation);
    tracing::debug!(
        target: "tidemark::phase",
        phase = "recovery-restore",
        generation = claimed.identity.generation.0,
        end = claimed.end,
        least = claimed.least
    );
    let restored = restore(&claimed, &store, plan)?;
    for note in &restored.beginning.notes {
        tracing::warn!("{note}");
    }
    for decl in claimed.counter.inlets() {
        if let Some(transport) = transports.get(&decl.source) {
            transport.resumed();
        }
    }
    let found = discover_first(&transports, &options)?;
    super::discovery::same_sources(claimed.counter.inlets(), &transports)?;
    launch(build, plan, options, shared, wall, store, transports, claimed, restored, found)
}

/// PROTOCOL 1 to 4.
fn claim_and_fence(
    mut log: Box<dyn Log>,
    store: &Store,
    options: &Options,
    plan: &Plan,
    opened: BTreeMap<String, OpenedSink>,
    connectors: &dyn Connectors,
) -> Result<Claimed> {
    let mut counter = Counter::new();
    read_and_count(log.as_mut(), &mut counter)?;
    let wanted = wanted(&opened, plan, options);
    let (program, drop_state) = (&options.program, &options.drop_state);
    let switches = will_switch(program, drop_state, &counter);
    let base = match before_claim(program, drop_state, &counter) {
        MayLead::Yes { base } => base,
        MayLead::Exit { .. } => {
            return Err(Error::new(Kind::Retry, "the log went on; start again"));
        }
        MayLead::Refuse(refusal) => return Err(refusal.error()),
    };
    if let (true, Some(in_force)) = (switches, counter.in_force()) {
        let untold = change::untold(Some(in_force), &wanted);
        if !untold.is_empty() {
            return Err(change::refusal(&untold, &in_force.program));
        }
    }
    let nonce = random::nonce();
    let claimant = Claimant {
        nonce,
        log_id: log.log_id(),
        place: log.describe(),
        newest_open: counter.generation(),
    };
    let claim = persist("claiming a generation", options.start_time_max, || {
        claim::claim(store, &claimant)
    })?;
    let generation = claim.generation;
    let open = Open {
        generation,
        nonce,
        log_id: log.log_id(),
        program: options.program.clone(),
        base,
        dropped: next_dropped(program, drop_state, &counter),
        sinks: next_sinks(
            counter.in_force(),
            counter.sinks(),
            &wanted,
            counter.last_tick(),
            switches,
        ),
    };
    let verdicts = append_and_count(log.as_mut(), &mut counter, &[Record::Open(open.clone())])?;
    if verdicts.first() != Some(&Verdict::Counts) {
        return Err(Error::new(
            Kind::Fenced,
            format!("generation {generation} was overtaken; it ends"),
        ));
    }
    lead_or_end(after_open(&open, &counter))?;
    let identity =
        Identity { job: options.job.clone(), program: options.program.clone(), generation, nonce };
    let mut writers: BTreeMap<String, Box<dyn Writer>> =
        opened.into_iter().map(|(name, sink)| (name, sink.writer)).collect();
    let mut held = Vec::new();
    // At least once: a sink that does not remember gets again what came after the newest snapshot.
    let newest = counter.snapshots().iter().map(|s| s.tick).max().unwrap_or(0);
    let resumed = Progress::whole(&identity, newest);
    for sink in to_fence(counter.sinks()) {
        let mut retired = None;
        let writer = match writers.get_mut(&sink.name) {
            Some(writer) if sink.live => writer,
            _ => retired.insert(connectors.retired(&sink)?),
        };
        let what = format!("taking over sink {}", sink.name);
        let progress =
            persist(&what, options.start_time_max, || writer.fence(&identity, sink.lanes))
                .map_err(|error| error.at(&what))?;
        let progress =
            if writer.remembers() { progress } else { vec![Some(resumed.clone()); progress.len()] };
        held.push(Held { sink, progress });
    }
    let newest = claim::newest(store)?.map_or(generation, |claim| claim.generation);
    let end = counter.last_tick();
    let facts = lanes::Facts {
        own: generation,
        newest_claim: newest,
        end,
        proven: counter.progress_floor(),
    };
    let least = match check_progress(counter.sinks(), &held, facts) {
        Checked::Fine { least } => least,
        Checked::Exit { by } => {
            return Err(Error::new(
                Kind::Fenced,
                format!("generation {by} is at work; this one ends"),
            ));
        }
        Checked::Refuse(refusal) => return Err(refusal.error()),
    };
    lead_or_end(after_progress(&open, &counter, &held))?;
    Ok(Claimed { identity, open, counter, log, end, least, writers, held })
}

/// The sinks of the program, each with what it does at a change.
fn wanted(opened: &BTreeMap<String, OpenedSink>, plan: &Plan, options: &Options) -> Vec<Wanted> {
    let wanted = |(name, sink): (&String, &OpenedSink)| {
        let of_table = plan.sinks.iter().any(|s| s.name == *name && s.of_table);
        let told = options.sink_options.get(name).copied().unwrap_or_default().on_change;
        let change = match told {
            // Nobody has what was printed before: who reads now begins with the whole table.
            OnChange::Refuse if !sink.writer.remembers() => OnChange::Rewrite,
            told => told,
        };
        let (name, address) = (name.clone(), sink.address.clone());
        Wanted { name, lanes: sink.lanes, address, change: of_table.then_some(change) }
    };
    opened.iter().map(wanted).collect()
}

fn lead_or_end(verdict: MayLead) -> Result<()> {
    match verdict {
        MayLead::Yes { .. } => Ok(()),
        MayLead::Exit { seen, end } => Err(Error::new(
            Kind::Fenced,
            format!(
                "the log went on from tick {seen} to {end} while this generation was opened; start again"
            ),
        )),
        MayLead::Refuse(refusal) => Err(refusal.error()),
    }
}

/// What step 5 has found.
struct Restored {
    snapshot: Option<Snapshot>,
    beginning: Beginning,
    /// The ticks to follow from there.
    follow: Vec<TickRecord>,
}

/// PROTOCOL 5: the snapshot to begin with, and the ticks to follow from there.
fn restore(claimed: &Claimed, store: &Store, plan: &Plan) -> Result<Restored> {
    let counter = &claimed.counter;
    let points = restore_points(RestoreFacts {
        snapshots: counter.snapshots(),
        least: claimed.least,
        base: claimed.open.base,
        proven: counter.progress_floor(),
        reaches: counter.reaches_back_to(),
    })
    .map_err(|refusal| refusal.error())?;
    let mut damaged = None;
    for point in points {
        let snapshot = match point {
            Restore::Beginning => None,
            Restore::Snapshot(record) => {
                let loaded =
                    Snapshot::load(store, &record.manifest).and_then(|s| s.verify().map(|()| s));
                match loaded {
                    Ok(snapshot) => Some(snapshot),
                    Err(error) if error.kind() == Kind::Corrupt => {
                        tracing::error!(%error, tick = record.tick, "a snapshot is damaged; an older one is looked for");
                        damaged = Some(error);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let beginning = match &snapshot {
            Some(snapshot) => upgrade::check(snapshot, plan, &claimed.open)?,
            None => Beginning::empty(plan),
        };
        let from = snapshot.as_ref().map_or(0, Snapshot::tick);
        let follow: Vec<_> = counter.ticks_after(from)?.cloned().collect();
        return Ok(Restored { snapshot, beginning, follow });
    }
    Err(damaged.unwrap_or_else(|| Error::internal("there was no restore point")))
}

type Found = Vec<(String, Vec<crate::sources::Partition>)>;

fn discover_first(
    transports: &BTreeMap<String, Arc<dyn Transport>>,
    options: &Options,
) -> Result<Found> {
    let mut found = Vec::new();
    for (source, transport) in transports {
        let what = format!("source {source}: {}", transport.describe());
        let partitions = persist(&what, options.start_time_max, || transport.discover())
            .map_err(|error| error.at(format_args!("source {source}")))?;
        found.push((source.clone(), partitions));
    }
    Ok(found)
}

fn inlet_at(state: &InletState) -> InletAt {
    InletAt {
        decl: state.decl.clone(),
        next: state.next,
        event_time_max: state.event_time_max,
        activity: state.activity,
    }
}

/// PROTOCOL 6: the threads.
#[expect(clippy::too_many_arguments, reason = "the one place where everything comes together")]
#[expect(clippy::too_many_lines, reason = "the one place where everything comes together")]
fn launch(
    build: Build,
    plan: &Plan,
    options: Options,
    shared: Arc<Shared>,
    wall: Arc<dyn Wall>,
    store: Store,
    transports: BTreeMap<String, Arc<dyn Transport>>,
    claimed: Claimed,
    restored: Restored,
    found: Found,
) -> Result<Running> {
    let Restored { snapshot, beginning, follow } = restored;
    let Claimed { identity, open, counter, log, end, writers: outsides, held, .. } = claimed;
    let start = snapshot.as_ref().map_or(0, Snapshot::tick);
    let (events, receiver) = channel();
    let wake = Wake::default();
    let failure = Failure::default();
    let board = Board::default();
    let observer = Arc::new(Observer::new(Arc::clone(&shared)));
    let facts = snapshot.as_ref().map(|s| &s.manifest().facts);
    if let Some(facts) = facts {
        shared.restore_inlets(facts.inlets.iter().map(|at| (at.decl.clone(), at.next)));
    }
    observer.restored(start);
    shared.set_state(if follow.is_empty() { State::Starting } else { State::Replaying });
    match (start, end) {
        (0, 0) => tracing::info!("generation {}: begins at tick 1", identity.generation),
        _ => tracing::info!(
            "generation {}: restored the snapshot of tick {start}, replays up to tick {end}",
            identity.generation
        ),
    }
    tracing::debug!(target: "tidemark::phase", phase = "recovery-replay", from = start, to = end);

    let (persister_events, persister_wake) = (events.clone(), wake.clone());
    let persister_observer = Arc::clone(&observer);
    let persister = Persister::spawn(
        store.clone(),
        persister::Settings::new(identity.generation),
        upgrade::kept(plan, &beginning),
        options.workers,
        snapshot.clone(),
        Box::new(move |event| {
            let event = match event {
                persister::Event::Written {
                    tick,
                    manifest,
                    savepoint,
                    bytes,
                    seconds,
                    merging,
                    ..
                } => {
                    persister_observer.snapshot_written(bytes, seconds);
                    JobEvent::SnapshotWritten { tick, manifest, savepoint, merging }
                }
                persister::Event::Failed(error) => {
                    persister_observer.snapshot_failed();
                    JobEvent::SnapshotFailed(error)
                }
                persister::Event::Retrying(error) => {
                    tracing::warn!(%error, "writing state is tried again");
                    return;
                }
                persister::Event::Merged { .. } => JobEvent::Merged,
            };
            // An error says that the generation has ended.
            let _ = persister_events.send(event);
            persister_wake.all();
        }),
    )?;

    let snapshots = counter.snapshots().to_vec();
    let (kept_sender, kept_receiver) = channel::<Kept>();
    let (log_events, log_wake) = (events.clone(), wake.clone());
    let log = LogThread::start(
        log,
        counter,
        identity.generation,
        LogSettings::default(),
        move |event| {
            if let LogEvent::Counted(record) = &event {
                match record {
                    // An error says that the keeper has ended.
                    Record::Snapshot(snapshot) => {
                        drop(kept_sender.send(Kept::Snapshot(snapshot.clone())))
                    }
                    Record::Drop(drop) => {
                        std::mem::drop(kept_sender.send(Kept::Dropped(drop.clone())))
                    }
                    _ => {}
                }
            }
            // An error says that the generation has ended.
            let _ = log_events.send(JobEvent::Log(event));
            log_wake.all();
        },
    )?;

    let mut sinks = BTreeMap::new();
    let mut threads = Vec::new();
    let mut written = Map::default();
    let mut images = Map::default();
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
        written.insert(name.clone(), least.max(start));
        if let Some(image) = declared.image.filter(|image| image.tick > start) {
            images.insert(name.clone(), image);
        }
        let sink_wake = wake.clone();
        let appender = log.appender();
        let beginning = writers::Start {
            writer,
            identity: identity.clone(),
            progress,
            first_tick,
            empty_for: if options.pacing == Pacing::Manual { Duration::ZERO } else { EMPTY_FOR },
            leads: Box::new(move || appender.look()),
            failure: failure.clone(),
            on_commit: Box::new(move || sink_wake.all()),
            registry: shared.registry(),
        };
        let (hand, thread) = SinkThread::start(&name, beginning);
        sinks.insert(name, hand);
        threads.push(thread);
    }

    let keeper = Keeper::start(super::keeper::Settings {
        store: store.clone(),
        appender: log.appender(),
        persister: persister.handle(),
        generation: identity.generation,
        base: open.base,
        lineage: snapshot.as_ref().map(Snapshot::tick),
        snapshots,
        sinks: sinks.clone(),
        kept: options.snapshots_kept,
        events: kept_receiver,
    });

    for view in &plan.views {
        shared.router().declare(Arc::clone(&view.kind));
    }
    for (source, partitions) in found {
        let event = JobEvent::Discovered { source, partitions };
        events.send(event).map_err(|_| Error::internal("nobody listens"))?;
    }
    let facts = snapshot.as_ref().map(|s| &s.manifest().facts);
    let lags = plan.sources.iter().filter_map(|s| Some((s.name.clone(), s.lag?))).collect();
    let commands = shared.take_commands({
        let wake = wake.clone();
        Arc::new(move || wake.all())
    });
    let setup = Arc::new(Setup {
        build,
        identity,
        workers: options.workers,
        start,
        inlets: facts.map(|f| f.inlets.iter().map(inlet_at).collect()).unwrap_or_default(),
        watermarks: facts.map(|f| f.watermarks.clone()).unwrap_or_default(),
        snapshot,
        follow: Mutex::new(follow),
        events: Mutex::new(Some(receiver)),
        commands: Mutex::new(Some(commands)),
        transports,
        lags,
        source_options: options.source_options,
        sink_options: options.sink_options,
        images,
        begins: beginning.kept,
        view_history: options.view_history,
        written,
        sinks,
        persister: persister.handle(),
        appender: log.appender(),
        board,
        released: (0..options.workers).map(|_| AtomicU64::new(start)).collect(),
        failure,
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
        wake,
        idle: Idle::new(options.workers),
        observer,
    });
    super::discovery::start(&setup, &events, options.discovery);
    let guards = workers(&setup, options.workers)?;
    Ok(Running {
        setup,
        events,
        guards: Some(guards),
        sinks: threads,
        persister: Some(persister),
        log: Some(log),
        keeper: Some(keeper),
        notes: beginning.notes,
    })
}

fn workers(setup: &Arc<Setup>, count: usize) -> Result<timely::communication::WorkerGuards<()>> {
    let communication =
        if count == 1 { CommunicationConfig::Thread } else { CommunicationConfig::Process(count) };
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

/// After so long ticks without rows are committed to a sink.
const EMPTY_FOR: Duration = Duration::from_millis(200);

/// How much merging of traces a worker does while it has nothing else to do, in updates a step.
const MERGE_EFFORT: isize = 1000;
