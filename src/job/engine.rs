//! A generation from claim to end: the steps of PROTOCOL "To lead", and the threads that run it.
//!
//! Claim, open, fence and mark, progress ([`lead`]), restore ([`restored`]), lead ([`launch`]): each step is finished before the next, and
//! what each decides is pure ([`super::generation`]).

pub(crate) mod exchange;
mod launch;
mod lead;
mod links;
pub(crate) mod member;
mod restored;
mod running;

pub use running::Running;

use super::built::Listener;
use super::pace::Bounds;
use super::panics;
use super::peers::{Order, Peers, Told};
use super::setup::{Pacing, Size};
use super::shared::{Done, Shared};
use super::skip::Wish;
use super::traces::TraceMeter;
use crate::error::{Error, Kind, Result};
use crate::flow::context::Context;
use crate::flow::{Build, Flow, Plan, SinkOptions, SinkPlan, SourceOptions, SourcePlan};
use crate::hash::Map;
use crate::ids::Tick;
use crate::sinks::Writer;
use crate::sources::{Budget, Transport};
use crate::state::store::Store;
use crate::ticks::log::Log;
use crate::ticks::record::SinkDecl;
use crate::time::clock::Wall;
use launch::Launch;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use timely::dataflow::operators::probe;

/// How a job runs, whatever it is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// The job's name.
    pub job: String,
    /// Fingerprint of the program.
    pub program: String,
    /// Fingerprint of the program's file, whatever the program is called.
    pub build: String,
    /// Worker threads, and processes.
    pub size: Size,
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
    /// Bytes of a subscription that may wait on their way to process 0.
    pub feed_bytes_max: usize,
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
    log: Box<dyn Log>,
    store: Store,
    connectors: Arc<dyn Connectors>,
    wall: Arc<dyn Wall>,
    peers: Option<Peers>,
    skip: Option<Wish>,
}

impl Parts {
    /// A job of one process: the tick log, opened, the state store, the outsides, the wall clock.
    pub fn alone(
        log: Box<dyn Log>,
        store: Store,
        connectors: Arc<dyn Connectors>,
        wall: Arc<dyn Wall>,
    ) -> Parts {
        Parts { log, store, connectors, wall, peers: None, skip: None }
    }

    /// The same with other processes, which have joined this one.
    #[must_use]
    pub(crate) fn with_peers(self, peers: Peers) -> Parts {
        Parts { peers: Some(peers), ..self }
    }

    /// The same, which leaves a record out: of the tick that read it, if one did and no sink has that.
    #[must_use]
    pub(crate) fn with_skip(self, wish: Wish) -> Parts {
        Parts { skip: Some(wish), ..self }
    }
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
            let listener = Listener::listen(worker);
            let next = worker.next_dataflow_index();
            worker.dataflow::<Tick, _, _>(|scope| {
                build(&Flow::new(scope, Rc::clone(&context), probe::Handle::new()));
            });
            let built = listener.built(worker, next);
            worker.drop_dataflow(next);
            let mut plan = context.plan.take();
            plan.check_migrated();
            Plan { steps: context.sketch.take().steps(&built), ..plan }
        })
    });
    let built =
        built.map_err(|e| Error::internal(format!("no thread to build the dataflow: {e}")))?;
    let plan = built.join().map_err(|panic| {
        Error::config(format!("building the dataflow panicked: {}", panics::text(panic.as_ref())))
    })?;
    if plan.problems.is_empty() {
        return Ok(plan);
    }
    Err(Error::config(plan.problems.join("\n")))
}

/// The transports of a plan's sources.
fn transports(plan: &Plan, connectors: &dyn Connectors) -> Result<Transports> {
    let transport = |source: &SourcePlan| {
        let place = |e: Error| e.at(format_args!("source {:?}", source.name));
        Ok((source.name.clone(), connectors.source(source).map_err(place)?))
    };
    plan.sources.iter().map(transport).collect()
}

type Transports = BTreeMap<String, Arc<dyn Transport>>;

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
    let link = parts.peers.as_ref().map(|peers| (peers.line.clone(), Arc::clone(&peers.port)));
    lead(build, plan, options, parts, shared).inspect_err(|error| {
        // The others wait to hear how to begin.
        if let Some((line, _port)) = link {
            line.tell(&Order::Farewell(Some(Told::of(error))));
            line.close(LAST_WORD_TIME_MAX);
        }
    })
}

/// How long the last word to the other processes may take.
const LAST_WORD_TIME_MAX: Duration = Duration::from_secs(1);

fn lead(
    build: Build,
    plan: &Plan,
    options: Options,
    parts: Parts,
    shared: Arc<Shared>,
) -> Result<Running> {
    let Parts { log, store, connectors, wall, peers, skip } = parts;
    let transports = transports(plan, connectors.as_ref())?;
    let mut opened = BTreeMap::new();
    for sink in &plan.sinks {
        let place = |e: Error| e.at(format_args!("sink {:?}", sink.name));
        opened.insert(sink.name.clone(), connectors.sink(sink).map_err(place)?);
    }
    let mut claimed =
        lead::claim_and_fence(log, &store, &options, plan, opened, connectors.as_ref())?;
    shared.update(|status| status.generation = claimed.identity.generation);
    tracing::debug!(
        target: "tidemark::phase",
        phase = "recovery-restore",
        generation = claimed.identity.generation.0,
        end = claimed.end,
        least = claimed.least
    );
    if let Some(wish) = skip {
        let outcome = claimed.leave_out(&wish, plan);
        let refused = |error: Error| match error.kind() {
            Kind::Retry => Error::config(error.message()),
            _ => error,
        };
        wish.answer(outcome.clone().map(|tick| Done { tick, manifest: None }).map_err(refused));
        outcome?;
    }
    let restored = restored::restore(&claimed, &store, plan, &options, peers.as_ref())?;
    for note in &restored.beginning.notes {
        tracing::warn!("{note}");
    }
    for decl in claimed.counter.inlets() {
        if let Some(transport) = transports.get(&decl.source) {
            transport.resumed();
        }
    }
    let found = restored::discover_first(&transports, &options)?;
    super::discovery::same_sources(claimed.counter.inlets(), &transports)?;
    let launch = Launch { build, plan, options, shared, wall, store, transports };
    launch.lead(claimed, restored, found, peers)
}
