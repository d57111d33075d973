//! One worker's part of one view: takes changes as they come, applies them when their tick is complete, answers plans.

use super::index::{Change, HISTORY_TICKS, Miss, Size, Span, ViewIndex, ViewRow};
use super::kind::{Kind, Part, Plan, RowsPart, ViewKind};
use crate::error::Result;
use crate::ids::{Diff, Tick};
use crate::time::clock;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the tick of an unfinished scan is kept after each page.
pub const PIN_TIME: Duration = Duration::from_secs(10);

/// Kept changes beyond which the ticks of unfinished scans are not kept.
pub const PINNED_CHANGES_MAX: u64 = 1_000_000;

/// One worker's part of a view, without its types.
pub trait ViewShard {
    /// The view.
    fn kind(&self) -> Arc<dyn ViewKind>;

    /// Applies what was pushed for ticks up to `through`; nothing more may come for them.
    ///
    /// # Errors
    /// `Internal` if changes came for a tick that was complete.
    fn complete(&mut self, through: Tick) -> Result<()>;

    /// Lets go of ticks that are older than the view's history, counted from `released`.
    fn release(&mut self, released: Tick);

    /// The rows of `plan` at `tick`. With `pin`, the tick is kept for [`PIN_TIME`] if there are more.
    ///
    /// # Errors
    /// [`Miss`].
    fn read(&mut self, plan: &Plan, tick: Tick, pin: bool) -> Result<Part, Miss>;

    /// The changes of ticks from `from` through `to`, tick by tick. Stops after the tick with which `rows_max` changes are exceeded,
    /// and says through which tick it came.
    ///
    /// # Errors
    /// [`Miss`].
    fn changes(&self, from: Tick, to: Tick, rows_max: usize) -> Result<TickParts, Miss>;

    /// The oldest and newest tick that can be read.
    fn kept(&self) -> (Tick, Tick);

    /// How large it is.
    fn size(&self) -> Size;
}

/// Changes of some ticks.
#[derive(Default)]
pub struct TickParts {
    /// Ticks that changed something, ascending.
    pub ticks: Vec<(Tick, Part)>,
    /// All changes up to this tick are there.
    pub through: Tick,
    /// An estimate of their bytes.
    pub bytes: usize,
}

/// All shards of a worker, by view.
pub type Shards = BTreeMap<String, Rc<RefCell<dyn ViewShard>>>;

/// One worker's part of a view.
#[derive(Debug)]
pub struct Shard<K, V> {
    kind: Arc<Kind<K, V>>,
    index: ViewIndex<K, V>,
    open: BTreeMap<Tick, Vec<Change<K, V>>>,
    pins: BTreeMap<Tick, Instant>,
}

impl<K: ViewRow, V: ViewRow> Shard<K, V> {
    /// An empty shard whose first tick is `start`: 1, or the snapshot's tick after a restore, whose rows are pushed at it. Earlier ticks
    /// can't be read.
    pub fn new(kind: Arc<Kind<K, V>>, start: Tick) -> Shard<K, V> {
        let keep = match kind.decl().history_ticks {
            0 => HISTORY_TICKS,
            ticks => ticks,
        };
        let index = ViewIndex::starting(keep, start);
        Shard { kind, index, open: BTreeMap::new(), pins: BTreeMap::new() }
    }

    /// Takes a change of a tick that is not complete, in any order.
    pub fn push(&mut self, tick: Tick, key: K, value: V, diff: Diff) {
        self.open.entry(tick).or_default().push(((key, value), diff));
    }
}

impl<K: ViewRow, V: ViewRow> ViewShard for Shard<K, V> {
    fn kind(&self) -> Arc<dyn ViewKind> {
        self.kind.clone()
    }

    fn complete(&mut self, through: Tick) -> Result<()> {
        while let Some(first) = self.open.first_entry().filter(|first| *first.key() <= through) {
            let (tick, changes) = first.remove_entry();
            self.index
                .apply(tick, changes)
                .map_err(|error| error.at(format_args!("view {}", self.kind.decl().name)))?;
        }
        self.index.complete(through);
        Ok(())
    }

    fn release(&mut self, released: Tick) {
        if !self.pins.is_empty() {
            let now = clock::instant();
            let crowded = self.index.size().changes > PINNED_CHANGES_MAX;
            self.pins.retain(|_, until| *until > now && !crowded);
        }
        self.index.trim(released, self.pins.keys().next().copied());
    }

    fn read(&mut self, plan: &Plan, tick: Tick, pin: bool) -> Result<Part, Miss> {
        let span =
            plan.downcast_ref::<Span<K, V>>().expect("the plan was made by this view's kind");
        let mut rows =
            self.index.read(&Span { limit: span.limit.saturating_add(1), ..span.clone() }, tick)?;
        let more = rows.len() > span.limit;
        rows.truncate(span.limit);
        if more && pin {
            self.pins.insert(tick, clock::instant() + PIN_TIME);
        }
        Ok(Box::new(RowsPart { rows, more }))
    }

    fn changes(&self, from: Tick, to: Tick, rows_max: usize) -> Result<TickParts, Miss> {
        let mut out = TickParts { through: to, ..TickParts::default() };
        let mut rows = 0;
        let size = self.index.size();
        let row_bytes = size.bytes / (size.rows + size.changes).max(1);
        for (tick, changes) in self.index.changes(from, to)? {
            rows += changes.len();
            out.ticks.push((*tick, Box::new(changes.clone())));
            if rows > rows_max {
                out.through = *tick;
                break;
            }
        }
        out.bytes = rows * row_bytes as usize;
        Ok(out)
    }

    fn kept(&self) -> (Tick, Tick) {
        (self.index.oldest(), self.index.newest())
    }

    fn size(&self) -> Size {
        self.index.size()
    }
}

#[cfg(test)]
mod tests;
