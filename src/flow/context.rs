//! A dataflow under construction, and what its operators hold on to on their worker.

use super::plan::{Place, Plan, SourcePlan, ViewPlan};
use super::source::SourceOptions;
use crate::hash::Map;
use crate::ids::Tick;
use crate::job::failure::Failure;
use crate::job::ports::{RestoreTask, SinkPort, SourceTask};
use crate::state::changes::ChangeBuffer;
use crate::ticks::view::Watermarks;
use crate::views::shard::Shards;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use timely::dataflow::Scope;
use timely::dataflow::operators::probe;

/// What a worker's operators, sources and sinks share. One a worker; never crosses threads.
pub(crate) struct Context {
    /// The tick that was restored; 0 if nothing was.
    pub(crate) start: Tick,
    /// What configuration says about how sources are read.
    pub(crate) source_options: Map<String, SourceOptions>,
    /// What configuration says about how much history views keep, in ticks.
    pub(crate) view_history: Map<String, u64>,
    /// Watermarks by tick.
    pub(crate) watermarks: Watermarks,
    /// Changes of kept state on their way to the persister.
    pub(crate) changes: RefCell<ChangeBuffer>,
    /// Where an operator leaves an error that ends the generation.
    pub(crate) failure: Failure,
    /// Sources to poll.
    pub(crate) sources: RefCell<Vec<Box<dyn SourceTask>>>,
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
    /// What was declared so far.
    pub(crate) plan: RefCell<Plan>,
    /// Rows in the hash maps of keyed operators on this worker, by number of the kept state.
    pub(crate) live_rows: RefCell<Vec<Rc<Cell<usize>>>>,
}

impl Context {
    /// A context for learning the plan.
    pub(crate) fn dry(source_options: Map<String, SourceOptions>) -> Context {
        Context {
            start: 0,
            source_options,
            view_history: Map::default(),
            watermarks: Watermarks::default(),
            changes: RefCell::new(ChangeBuffer::default()),
            failure: Failure::default(),
            sources: RefCell::default(),
            restores: RefCell::default(),
            sinks: RefCell::default(),
            shards: RefCell::default(),
            written: Map::default(),
            lanes: Map::default(),
            plan: RefCell::default(),
            live_rows: RefCell::default(),
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
