//! A dataflow under construction, and what its operators hold on to on their worker.

use super::graph::Sketch;
use super::migrate::{Closure, Migrate as _, Migrations};
use super::plan::{Place, Plan, Renamed, SourcePlan, ViewPlan};
use super::sink::SinkOptions;
use super::source::SourceOptions;
use crate::hash::Map;
use crate::ids::Tick;
use crate::job::failure::Failure;
use crate::job::ports::{RestoreTask, SinkPort, SourceTask};
use crate::job::whereabouts::Whereabouts;
use crate::row::Row;
use crate::state::changes::ChangeBuffer;
use crate::ticks::record::Image;
use crate::ticks::view::Watermarks;
use crate::views::shard::Shards;
use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::probe::{self, Probe};
use timely::dataflow::operators::vec::Input;
use timely::dataflow::{InputHandle, Scope};

/// An input without rows.
pub(crate) type Pulse = InputHandle<Tick, CapacityContainerBuilder<Vec<()>>>;

/// What a worker's operators, sources and sinks share. One a worker; never crosses threads.
pub(crate) struct Context {
    /// The tick that was restored; 0 if nothing was.
    pub(crate) start: Tick,
    /// What configuration says about how sources are read.
    pub(crate) source_options: Map<String, SourceOptions>,
    /// What configuration says about what sinks keep, and what they do at a change of program.
    pub(crate) sink_options: Map<String, SinkOptions>,
    /// For each sink that is given a whole table at a tick after the restored one, that tick.
    pub(crate) images: Map<String, Image>,
    /// What configuration says about how much history views keep, in ticks.
    pub(crate) view_history: Map<String, u64>,
    /// Watermarks by tick.
    pub(crate) watermarks: Watermarks,
    /// Changes of kept state on their way to the persister.
    pub(crate) changes: RefCell<ChangeBuffer>,
    /// Where an operator leaves an error that ends the generation.
    pub(crate) failure: Failure,
    /// Which step this worker runs, for messages.
    pub(crate) whereabouts: Arc<Whereabouts>,
    /// Sources to poll.
    pub(crate) sources: RefCell<Vec<Box<dyn SourceTask>>>,
    /// How rows of kept state become others.
    pub(crate) migrations: Migrations,
    /// Kept state to restore.
    pub(crate) restores: RefCell<Vec<Box<dyn RestoreTask>>>,
    /// Sinks that wait for release.
    pub(crate) sinks: RefCell<Vec<SinkPort>>,
    /// Views of this worker, by name.
    pub(crate) shards: RefCell<Shards>,
    /// For each sink, the tick through which every lane is written: rows up to it are not formatted.
    pub(crate) written: Map<String, Tick>,
    /// The number of lanes of each sink.
    pub(crate) lanes: Map<String, u16>,
    /// Lanes are spread over so many workers, the first ones.
    pub(crate) writers: usize,
    /// What was declared so far.
    pub(crate) plan: RefCell<Plan>,
    /// The steps that were built so far.
    pub(crate) sketch: RefCell<Sketch>,
    /// What moves the frontier of a dataflow that takes rows of no source.
    pub(crate) pulse: RefCell<Option<Pulse>>,
    /// Rows in the hash maps of keyed operators on this worker, by number of the kept state.
    pub(crate) live_rows: RefCell<Vec<Rc<Cell<usize>>>>,
    /// Records that came too late on this worker since it began, by the uid of the windows that they missed.
    pub(crate) late: RefCell<Vec<(String, Rc<Cell<u64>>)>>,
}

impl Context {
    /// A context for learning the plan.
    pub(crate) fn dry(
        source_options: Map<String, SourceOptions>,
        sink_options: Map<String, SinkOptions>,
    ) -> Context {
        Context {
            start: 0,
            source_options,
            sink_options,
            images: Map::default(),
            view_history: Map::default(),
            watermarks: Watermarks::default(),
            changes: RefCell::new(ChangeBuffer::default()),
            failure: Failure::default(),
            whereabouts: Arc::default(),
            sources: RefCell::default(),
            migrations: Migrations::default(),
            restores: RefCell::default(),
            sinks: RefCell::default(),
            shards: RefCell::default(),
            written: Map::default(),
            lanes: Map::default(),
            writers: 1,
            plan: RefCell::default(),
            sketch: RefCell::default(),
            pulse: RefCell::default(),
            live_rows: RefCell::default(),
            late: RefCell::default(),
        }
    }
}

/// A dataflow under construction. Building never fails: problems are collected and reported together.
#[derive(Clone)]
pub struct Flow<'s> {
    pub(crate) scope: Scope<'s, Tick>,
    pub(crate) context: Rc<Context>,
    pub(crate) probe: probe::Handle<Tick>,
}

impl<'s> Flow<'s> {
    pub(crate) fn new(
        scope: Scope<'s, Tick>,
        context: Rc<Context>,
        probe: probe::Handle<Tick>,
    ) -> Flow<'s> {
        Flow { scope, context, probe }
    }

    /// Says that the kept state `to` had the uid `from`: a snapshot that has only the old one is restored under the new one. It may
    /// stay in the code; once a snapshot has the new uid it says nothing.
    #[track_caller]
    pub fn renamed(&self, from: &str, to: &str) {
        let place = Location::caller();
        let mut plan = self.context.plan.borrow_mut();
        let same = |r: &&Renamed| r.from == from || r.to == to;
        let text = match plan.renamed.iter().find(same) {
            _ if from == to => format!("uid {from:?} is renamed to itself"),
            Some(r) => format!(
                "uid {from:?} is renamed to {to:?}, and {:?} to {:?}; each once",
                r.from, r.to
            ),
            None => {
                plan.renamed.push(Renamed { from: from.to_owned(), to: to.to_owned() });
                return;
            }
        };
        plan.problem(place, text);
    }

    /// Says how rows of type `Old` that a snapshot has under `uid` become rows of the type that the program keeps there, for a change
    /// that no migration on read can make. What is kept are rows (`upsert`), or the state of an accumulator. It may stay in the
    /// code: rows that are of the new type already do not go through it, so a change of meaning needs a change of type (a field of
    /// another name).
    ///
    /// The closure must give the same for the same row. If it panics the start is refused.
    #[track_caller]
    pub fn migrate<Old: Row, New: Row>(&self, uid: &str, logic: impl Fn(Old) -> New + 'static) {
        let place = Location::caller();
        let mut plan = self.context.plan.borrow_mut();
        let earlier: Vec<_> = plan.migrated.iter().map(|m| (m.uid.clone(), m.place)).collect();
        plan.once("migration of", uid, place, earlier.iter().map(|(n, p)| (n.as_str(), *p)));
        let closure = Closure::new(uid, place, logic);
        plan.migrated.push(closure.migrated().clone());
        self.context.migrations.borrow_mut().insert(uid.to_owned(), Rc::new(closure));
    }

    /// Ends the building: whatever was built, there is an input whose ticks reach the probe.
    pub(crate) fn built(&self) {
        if !self.context.sources.borrow().iter().any(|source| source.feeds()) {
            let (input, stream) = self.scope.new_input::<()>();
            stream.probe_with(&self.probe);
            *self.context.pulse.borrow_mut() = Some(input);
        }
    }

    pub(crate) fn declare_source(&self, plan: SourcePlan) {
        let mut known = self.context.plan.borrow_mut();
        let earlier: Vec<_> = known.sources.iter().map(|s| (s.name.clone(), s.place)).collect();
        known.once("source", &plan.name, plan.place, earlier.iter().map(|(n, p)| (n.as_str(), *p)));
        known.sources.push(plan);
    }

    pub(crate) fn declare_view(&self, plan: ViewPlan) {
        let mut known = self.context.plan.borrow_mut();
        let earlier: Vec<_> = known.views.iter().map(|s| (s.name().to_owned(), s.place)).collect();
        known.once("view", plan.name(), plan.place, earlier.iter().map(|(n, p)| (n.as_str(), *p)));
        known.views.push(plan);
    }

    pub(crate) fn problem(&self, place: Place, text: impl std::fmt::Display) {
        self.context.plan.borrow_mut().problem(place, text);
    }
}
