//! The watermarks of each tick as operators read them on a worker. Filled by decisions, trimmed behind the slowest operator.

use crate::ids::Tick;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The event time that a stream has: the watermarks that hold for it, or none.
///
/// A source's watermark holds for a stream after a delay: a window's results come when the watermark has passed its end by the allowed
/// lateness, so event times still expected there reach that far back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// Source -> by how much the stream lies behind its watermark, in microseconds. `None`: records without event time are among them.
    delays: Option<BTreeMap<String, i64>>,
}

/// A stream's event time, shared by all that descend from it.
pub(crate) type Sources = Rc<Times>;

impl Times {
    /// Records with the event time of one source.
    pub(crate) fn of(source: &str) -> Times {
        Times { delays: Some(BTreeMap::from([(source.to_owned(), 0)])) }
    }

    /// Whether every record has an event time.
    pub(crate) fn is_timed(&self) -> bool {
        self.delays.is_some()
    }

    /// The event time of the records of both.
    pub(crate) fn union(&self, other: &Times) -> Times {
        let (Some(a), Some(b)) = (&self.delays, &other.delays) else { return Times::default() };
        let mut delays = a.clone();
        for (source, delay) in b {
            let held = delays.entry(source.clone()).or_insert(*delay);
            *held = (*held).max(*delay);
        }
        Times { delays: Some(delays) }
    }

    /// The event time of results that come when the watermark is `later` beyond them.
    pub(crate) fn delayed(&self, later: i64) -> Times {
        let behind =
            |(source, delay): (&String, &i64)| (source.clone(), delay.saturating_add(later));
        Times { delays: self.delays.as_ref().map(|all| all.iter().map(behind).collect()) }
    }
}

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

    /// The least watermark that holds for a stream at `tick`, in microseconds; `None` while one of its sources has none.
    pub(crate) fn at(&self, tick: Tick, times: &Times) -> Option<i64> {
        let ticks = self.ticks.borrow();
        let decided = ticks.get(&tick)?;
        let held = |(source, delay): (&String, &i64)| match decided.get(source).copied() {
            // Nothing follows at all.
            Some(i64::MAX) => Some(i64::MAX),
            at => at.map(|at| at.saturating_sub(*delay)),
        };
        times.delays.as_ref()?.iter().map(held).min().flatten()
    }

    /// Forgets ticks below `tick`.
    pub(crate) fn trim(&self, tick: Tick) {
        let mut ticks = self.ticks.borrow_mut();
        *ticks = ticks.split_off(&tick);
    }
}

#[cfg(test)]
mod tests;
