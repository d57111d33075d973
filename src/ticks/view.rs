//! The watermarks of each tick as operators read them on a worker. Filled by decisions, trimmed behind the slowest operator.

use crate::ids::Tick;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The event-time sources that a stream descends from.
pub(crate) type Sources = Rc<BTreeSet<String>>;

/// Watermarks by tick. Valid for a tick once the frontier has passed it.
#[derive(Clone, Default)]
pub(crate) struct Watermarks {
    ticks: Rc<RefCell<BTreeMap<Tick, BTreeMap<String, i64>>>>,
}

impl Watermarks {
    /// Notes the watermarks that were decided for `tick`.
    pub(crate) fn decided(&self, tick: Tick, watermarks: &BTreeMap<String, i64>) {
        self.ticks.borrow_mut().insert(tick, watermarks.clone());
    }

    /// The least watermark of `sources` at `tick`, in microseconds; `None` while one of them has none.
    pub(crate) fn at(&self, tick: Tick, sources: &Sources) -> Option<i64> {
        let ticks = self.ticks.borrow();
        let decided = ticks.get(&tick)?;
        sources.iter().map(|source| decided.get(source).copied()).min().flatten()
    }

    /// Forgets ticks below `tick`.
    pub(crate) fn trim(&self, tick: Tick) {
        let mut ticks = self.ticks.borrow_mut();
        *ticks = ticks.split_off(&tick);
    }
}
