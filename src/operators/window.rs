//! Windows over event time: one pane a window, one state a key in it.
//!
//! Laws:
//! - A record is late for a window iff window end + allowed lateness <= the record's own stamp: a function of the input alone.
//! - A window closes at the first tick whose watermark has reached its end + allowed lateness, after that tick's records. A
//!   watermark never passes a stamp, so a record that is not late finds its window open.
//! - `table` shows the open windows, right at every tick; `closed` gives each window's rows once, when it closes, and then the
//!   pane goes, with one range tombstone; `late` gives the late records.

use crate::flow::context::Flow;
use crate::flow::graph::{What, port};
use crate::flow::{KeptPlan, KeyedTable, Origin, Rec, Stream, UNKNOWN};
use crate::ids::{Pos, Tick};
use crate::job::failure::Failure;
use crate::operators::aggregate::{Accumulate, Aggregate};
use crate::operators::keyed::{Slots, frontier_of, place};
use crate::operators::restore::{self, Kept};
use crate::row::Row;
use crate::ticks::view::Sources;
use crate::time::EventTime;
use differential_dataflow::AsCollection;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe::Probe;

/// Which windows a record falls into. All begin at multiples of the slide since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    size: Duration,
    slide: Duration,
}

/// How many windows may hold one record: each costs a row of state for each key.
pub const OVERLAP_MAX: i64 = 1000;

/// Windows of `size`, one after the other.
pub fn tumbling(size: Duration) -> Windows {
    hopping(size, size)
}

/// Windows of `size`, one beginning every `slide`. Records between windows (if `slide` is the greater one) are in none.
///
/// The dataflow is refused if one of them is less than a microsecond or more than 1,000 years, or if more than [`OVERLAP_MAX`] windows
/// would hold a record.
pub fn hopping(size: Duration, slide: Duration) -> Windows {
    Windows { size, slide }
}

impl Windows {
    /// The windows in microseconds.
    ///
    /// # Errors
    /// Why there can be no such windows.
    pub(crate) fn cut(self) -> Result<Cut, String> {
        const YEARS_MAX: u64 = 1000;
        let longest = Duration::from_secs(YEARS_MAX * 366 * 86_400);
        let micros = |what: &str, d: Duration| match i64::try_from(d.as_micros()) {
            Ok(micros) if micros > 0 && d <= longest => Ok(micros),
            _ => Err(format!(
                "{what} of {d:?} is not possible: at least a microsecond and at most {YEARS_MAX} years"
            )),
        };
        let (size, slide) = (micros("a window", self.size)?, micros("a slide", self.slide)?);
        let overlap = (size - 1) / slide + 1;
        if overlap > OVERLAP_MAX {
            return Err(format!(
                "{} windows would hold each record ({}); at most {OVERLAP_MAX}: make the slide longer",
                overlap,
                self.describe()
            ));
        }
        Ok(Cut { size, slide })
    }

    pub(crate) fn describe(self) -> String {
        if self.size == self.slide {
            format!("tumbling {:?}", self.size)
        } else {
            format!("hopping {:?} every {:?}", self.size, self.slide)
        }
    }
}

/// Windows in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    size: i64,
    slide: i64,
}

impl Cut {
    /// Windows that can be built with when the right ones are refused anyway.
    pub(crate) const ANY: Cut = Cut { size: 1, slide: 1 };

    /// The times around `at` that fall into the same windows.
    fn around(self, at: i64) -> std::ops::Range<i64> {
        let last = at - at.rem_euclid(self.slide);
        // Within a slide, a window that is no multiple of it ends.
        let end = last + (self.size - 1).rem_euclid(self.slide) + 1;
        if at < end { last..end } else { end..last + self.slide }
    }

    /// The begins of the windows that hold `at`, ascending.
    fn of(self, at: i64) -> impl Iterator<Item = i64> {
        let last = at - at.rem_euclid(self.slide);
        let count = (self.size - 1 - (at - last)).div_euclid(self.slide) + 1;
        (0..count).rev().map(move |back| last - back * self.slide)
    }
}

/// A key in a window.
#[derive(Row)]
pub struct WindowKey<K: Row> {
    /// The key.
    pub key: K,
    /// The window's begin, inclusive.
    pub start: EventTime,
    /// The window's end, exclusive.
    pub end: EventTime,
}

/// A closed window's row.
#[derive(Row)]
pub struct Closed<K: Row, V: Row> {
    /// The key.
    pub key: K,
    /// The window's begin, inclusive.
    pub start: EventTime,
    /// The window's end, exclusive.
    pub end: EventTime,
    /// What the window's records gave.
    pub value: V,
}

/// A record that came too late for a window.
#[derive(Row)]
pub struct Late<D: Row> {
    /// The row.
    pub row: D,
    /// The begin of the window that it missed.
    pub start: EventTime,
    /// The end of the window that it missed.
    pub end: EventTime,
    /// By how much its stamp is beyond the window's end and the allowed lateness, in microseconds.
    pub late_micros: i64,
}

/// What a windowed aggregate gives.
pub struct Windowed<'s, K: Row, V: Row, D: Row> {
    /// The open windows.
    pub table: KeyedTable<'s, WindowKey<K>, V>,
    /// Each window's rows, once, when it closes. Event time = window end minus a microsecond.
    pub closed: Stream<'s, Closed<K, V>>,
    /// Records that were late, once for each window that they missed.
    pub late: Stream<'s, Late<D>>,
}

fn time(micros: i64) -> EventTime {
    EventTime::from_micros(micros).unwrap_or(if micros < 0 {
        EventTime::MIN
    } else {
        EventTime::MAX
    })
}

/// What is fixed about one windowed aggregate.
struct Shape {
    uid: String,
    windows: Cut,
    lateness: i64,
    sources: Sources,
}

impl Shape {
    /// The watermark at which the window that begins at `start` closes.
    fn deadline(&self, start: i64) -> i64 {
        start.saturating_add(self.windows.size).saturating_add(self.lateness)
    }
}

fn window_key<K: Row>(windows: Cut, start: i64, key: &K) -> WindowKey<K> {
    WindowKey { key: key.clone(), start: time(start), end: time(start + windows.size) }
}

/// The open windows on a worker.
struct Panes<K: Row, D: Row, A: Aggregate<D>> {
    shape: Shape,
    logic: Accumulate<K, D, A>,
    open: BTreeMap<i64, Slots<Accumulate<K, D, A>>>,
    touched: BTreeSet<i64>,
    late: Vec<Rec<Late<D>>>,
}

impl<K: Row, D: Row, A: Aggregate<D>> Panes<K, D, A> {
    fn new(shape: Shape, aggregate: A) -> Self {
        let logic = Accumulate { aggregate: Rc::new(aggregate), rows: PhantomData };
        let (open, touched, late) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        Panes { shape, logic, open, touched, late }
    }

    fn len(&self) -> usize {
        self.open.values().map(Slots::len).sum()
    }

    fn pane(&mut self, start: i64) -> &mut Slots<Accumulate<K, D, A>> {
        self.touched.insert(start);
        self.open.entry(start).or_insert_with(|| Slots::new(self.logic.clone()))
    }

    /// Takes records in, run by run of records that fall into the same windows, so that each window is looked up once a run.
    fn apply(&mut self, failure: &Failure, rows: &[(K, Rec<D>)]) {
        let mut rest = rows;
        while let Some((_, first)) = rest.first() {
            let around = self.shape.windows.around(first.at);
            let length = rest.iter().take_while(|(_, rec)| around.contains(&rec.at)).count();
            let (run, after) = rest.split_at(length);
            for start in self.shape.windows.of(first.at) {
                self.apply_to(start, failure, run);
            }
            rest = after;
        }
    }

    fn apply_to(&mut self, start: i64, failure: &Failure, rows: &[(K, Rec<D>)]) {
        let (end, deadline) = (start + self.shape.windows.size, self.shape.deadline(start));
        // A window of which all records are late is not opened again.
        let mut pane = rows.iter().any(|(_, rec)| rec.stamp < deadline).then(|| {
            self.touched.insert(start);
            self.open.entry(start).or_insert_with(|| Slots::new(self.logic.clone()))
        });
        for (key, rec) in rows {
            let late_micros = rec.stamp.saturating_sub(deadline);
            match &mut pane {
                Some(pane) if late_micros < 0 => {
                    let add = |logic: &Accumulate<K, D, A>, state: &mut _| logic.add(state, rec);
                    if let Err(error) = pane.change(&self.shape.uid, key, add) {
                        failure.fail(error);
                    }
                }
                _ => {
                    let (row, start, end) = (rec.row.clone(), time(start), time(end));
                    self.late.push(rec.with(Late { row, start, end, late_micros }));
                }
            }
        }
    }

    /// Each key that was touched since the last call: its window's begin, what was shown, what is shown, and its state.
    fn settle(
        &mut self,
        mut each: impl FnMut(i64, &K, Option<A::Out>, Option<A::Out>, Option<&A::State>),
    ) {
        for start in std::mem::take(&mut self.touched) {
            if let Some(pane) = self.open.get_mut(&start) {
                pane.settle(|key, before, after, state| each(start, key, before, after, state));
            }
        }
    }

    /// Takes out the windows that `watermark` closes, in the order of their begins, each with its rows in the order of keys.
    fn close(&mut self, watermark: Option<i64>) -> Vec<(i64, Vec<(K, A::Out)>)> {
        let Some(watermark) = watermark else { return Vec::new() };
        let mut closed = Vec::new();
        while let Some(entry) = self.open.first_entry()
            && self.shape.deadline(*entry.key()) <= watermark
        {
            let (start, mut pane) = entry.remove_entry();
            let mut rows: Vec<_> =
                pane.drain().into_iter().filter_map(|(key, out)| Some((key, out?))).collect();
            rows.sort();
            closed.push((start, rows));
        }
        closed
    }
}

/// Builds the operator.
#[expect(clippy::too_many_lines, reason = "one operator, read from top to bottom")]
pub(crate) fn windowed<'s, K: Row, D: Row, A: Aggregate<D>>(
    flow: &Flow<'s>,
    plan: KeptPlan,
    input: StreamVec<'s, Tick, (K, Rec<D>)>,
    (windows, lateness): (Cut, i64),
    sources: Sources,
    aggregate: A,
) -> Windowed<'s, K, A::Out, D> {
    let origin = Origin::kept(&plan);
    let what = What::new(&plan.operator, plan.place).named(&plan.uid).holds(1);
    let kept: Kept<'s, (i64, K), A::State> = restore::keep(flow, plan);
    let context = Rc::clone(&flow.context);
    let mark = flow.mark(&what);
    let mut builder = OperatorBuilder::new(format!("Window({})", kept.uid), flow.scope);
    let mut data = builder.new_input(input, Exchange::new(|x: &(K, Rec<D>)| place(&x.0)));
    let by_key = Exchange::new(|x: &((i64, K), A::State)| place(&x.0.1));
    let mut restored = builder.new_input(kept.restored, by_key);
    let (table, table_stream) = builder.new_output();
    let (closed, closed_stream) = builder.new_output();
    let (late, late_stream) = builder.new_output();
    let mut table = OutputBuilder::<_, CapacityContainerBuilder<Vec<_>>>::from(table);
    let mut closed = OutputBuilder::<_, CapacityContainerBuilder<Vec<_>>>::from(closed);
    let mut late = OutputBuilder::<_, CapacityContainerBuilder<Vec<_>>>::from(late);
    let (number, live, anew) = (kept.number, kept.live, kept.anew);
    let late_records = Rc::new(Cell::new(0));
    context.late.borrow_mut().push((kept.uid.clone(), Rc::clone(&late_records)));
    let shape = Shape { uid: kept.uid, windows, lateness, sources: Rc::clone(&sources) };

    builder.build(move |capabilities| {
        let mut capabilities = Some(capabilities);
        let mut current = context.start;
        let mut panes = Panes::new(shape, aggregate);
        let mut stash: BTreeMap<Tick, Vec<(K, Rec<D>)>> = BTreeMap::new();
        move |frontiers| {
            let _inside = mark.enter();
            restored.for_each(|_, rows| {
                for ((start, key), state) in rows.drain(..) {
                    panes.pane(start).put(key, state);
                }
            });
            data.for_each(|stamp, rows| {
                let tick = *stamp.least().expect("a message has a time");
                if tick > current {
                    stash.entry(tick).or_default().append(rows);
                } else {
                    panes.apply(&context.failure, rows);
                }
            });
            let frontier = frontier_of(frontiers);
            let (mut table, mut closed, mut late) =
                (table.activate(), closed.activate(), late.activate());
            while let Some(held) = capabilities.as_mut()
                && frontier.is_none_or(|frontier| current < frontier)
            {
                held.iter_mut().filter(|c| current > *c.time()).for_each(|c| c.downgrade(&current));
                let mut changes = context.changes.borrow_mut();
                let watermark = context.watermarks.at(current, &panes.shape.sources);
                let (mut table, mut closed, mut late) =
                    (table.session(&held[0]), closed.session(&held[1]), late.session(&held[2]));
                let (tick, write) = (current, current > context.start || anew.get());
                late_records.set(late_records.get() + panes.late.len() as u64);
                late.give_iterator(panes.late.drain(..));
                panes.settle(|start, key, before, after, state| {
                    if before != after {
                        let key = || window_key(windows, start, key);
                        if let Some(row) = before {
                            table.give(((key(), row), tick, -1));
                        }
                        if let Some(row) = after {
                            table.give(((key(), row), tick, 1));
                        }
                    }
                    if write && let Some(state) = state {
                        let encode = |bytes: &mut Vec<u8>| {
                            start.encode(bytes);
                            key.encode(bytes);
                        };
                        changes.put(number, tick, encode, |bytes| state.encode(bytes));
                    }
                });
                for (start, rows) in panes.close(watermark) {
                    let end = start + windows.size;
                    for (key, value) in rows {
                        let shown = (window_key(windows, start, &key), value.clone());
                        table.give((shown, tick, -1));
                        let row = Closed { key, start: time(start), end: time(end), value };
                        closed.give(Rec {
                            at: end - 1,
                            stamp: UNKNOWN,
                            pos: Pos::derived(end - 1),
                            row,
                        });
                    }
                    changes.remove_prefix(number, tick, |bytes| start.encode(bytes));
                }
                drop((table, closed, late));
                live.set(panes.len());
                // Without records a tick only matters for its watermark, and a frontier that is gone has none.
                let last = frontier.is_none() && stash.range(current + 1..).next().is_none();
                if last {
                    capabilities = None;
                    break;
                }
                current += 1;
                panes.apply(&context.failure, &stash.remove(&current).unwrap_or_default());
            }
            if let Some(held) = capabilities.as_mut() {
                held.iter_mut().filter(|c| current > *c.time()).for_each(|c| c.downgrade(&current));
            }
        }
    });
    let table = table_stream.probe_with(&flow.probe);
    let closed = closed_stream.probe_with(&flow.probe);
    let late = late_stream.probe_with(&flow.probe);
    let outputs = [("table", port(&table)), ("closed", port(&closed)), ("late", port(&late))];
    flow.made_all(what, &outputs);
    Windowed {
        table: KeyedTable::new(flow, table.as_collection(), origin),
        // A window's rows come when the watermark has passed its end by the lateness: so far behind are they for what follows.
        closed: Stream::new(flow, closed, Rc::new(sources.delayed(lateness)), "closed windows"),
        late: Stream::new(flow, late, sources, "late records"),
    }
}

#[cfg(test)]
mod tests;
