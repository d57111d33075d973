//! One worker's part of a view: an ordered multiset of `(key, value)` at its newest tick, and the changes of the ticks
//! before it that are kept. The view at an older tick is the newest one with later changes taken back.
//!
//! **Law.** For every tick t with `oldest <= t <= newest`, what is read at t is the sum of all changes at ticks up to t.
//! Memory is the live rows plus the changes of `(oldest, newest]`.

use crate::error::{Error, Result};
use crate::ids::{Diff, Tick};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::ops::Bound;

/// What keys and values of a view must be.
pub trait ViewRow: Clone + Ord + Debug + Serialize + DeserializeOwned + Send + 'static {}
impl<T: Clone + Ord + Debug + Serialize + DeserializeOwned + Send + 'static> ViewRow for T {}

/// A change of a view: the row and by how much its count changes.
pub type Change<K, V> = ((K, V), Diff);

/// Why a view can't be read at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Miss {
    /// The tick has left the history.
    Gone {
        /// The oldest tick that can be read.
        oldest: Tick,
    },
    /// The tick is not complete yet.
    NotYet {
        /// The newest tick that can be read.
        newest: Tick,
    },
}

/// How large a view's part is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Distinct rows at the newest tick.
    pub rows: u64,
    /// Changes kept for older ticks.
    pub changes: u64,
    /// Bytes of both, estimated from a sample.
    pub bytes: u64,
}

/// The rows of one key: nearly always one, then without an allocation of its own.
#[derive(Clone, Debug)]
enum Values<V> {
    One(V, Diff),
    /// Sorted by value; at least two, or none while a change is under way.
    Many(Vec<(V, Diff)>),
}

impl<V: Ord> Values<V> {
    fn for_each<'a>(&'a self, mut each: impl FnMut(&'a V, Diff)) {
        match self {
            Values::One(value, diff) => each(value, *diff),
            Values::Many(all) => all.iter().for_each(|(value, diff)| each(value, *diff)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Values::One(..) => 1,
            Values::Many(all) => all.len(),
        }
    }

    /// Changes the count of `value`. What is left may be empty.
    fn change(&mut self, value: &V, diff: Diff)
    where
        V: Clone,
    {
        let mut all = match std::mem::replace(self, Values::Many(Vec::new())) {
            Values::One(old, count) if old == *value => {
                if count + diff != 0 {
                    *self = Values::One(old, count + diff);
                }
                return;
            }
            Values::One(old, count) => vec![(old, count)],
            Values::Many(all) if all.is_empty() => {
                *self = Values::One(value.clone(), diff);
                return;
            }
            Values::Many(all) => all,
        };
        match all.binary_search_by(|(old, _)| old.cmp(value)) {
            Ok(at) => {
                all[at].1 += diff;
                if all[at].1 == 0 {
                    all.remove(at);
                }
            }
            Err(at) => all.insert(at, (value.clone(), diff)),
        }
        *self = match all.pop() {
            Some((value, diff)) if all.is_empty() => Values::One(value, diff),
            Some(last) => {
                all.push(last);
                Values::Many(all)
            }
            None => Values::Many(all),
        };
    }
}

/// Which rows a reader wants, in the order of (key, value).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: DeserializeOwned, V: DeserializeOwned"))]
pub struct Span<K, V> {
    /// Where keys begin.
    pub from: Bound<K>,
    /// Where keys end.
    pub to: Bound<K>,
    /// Only rows after this one: where the page before ended.
    pub after: Option<(K, V)>,
    /// At most this many rows.
    pub limit: usize,
}

impl<K: Clone, V> Span<K, V> {
    /// All rows of one key.
    pub fn point(key: K, limit: usize) -> Span<K, V> {
        Span { from: Bound::Included(key.clone()), to: Bound::Included(key), after: None, limit }
    }

    /// All rows.
    pub fn all(limit: usize) -> Span<K, V> {
        Span { from: Bound::Unbounded, to: Bound::Unbounded, after: None, limit }
    }
}

/// One worker's part of a view. Ticks are applied in order; see the module for the law.
#[derive(Clone, Debug)]
pub struct ViewIndex<K, V> {
    live: BTreeMap<K, Values<V>>,
    rows: usize,
    /// Changes of the ticks in (oldest, newest], ascending, each sorted by row and without zeros.
    history: VecDeque<(Tick, Vec<Change<K, V>>)>,
    changes: usize,
    oldest: Tick,
    newest: Tick,
    keep: u64,
    /// Running mean of the encoded length of sampled rows, in bytes, times 256.
    sampled: u64,
    seen: u64,
}

/// The number of ticks whose state is kept if nothing else is said.
pub const HISTORY_TICKS: u64 = 64;

/// Every how many changes one is measured.
const SAMPLE: u64 = 64;

impl<K: ViewRow, V: ViewRow> ViewIndex<K, V> {
    /// An empty view, complete through tick 0, of which the last `keep` released ticks can be read (at least 1).
    pub fn new(keep: u64) -> ViewIndex<K, V> {
        ViewIndex {
            live: BTreeMap::new(),
            rows: 0,
            history: VecDeque::new(),
            changes: 0,
            oldest: 0,
            newest: 0,
            keep: keep.max(1),
            sampled: 0,
            seen: 0,
        }
    }

    /// As [`ViewIndex::new`], but the first tick is `start`: ticks before it can't be read.
    pub fn starting(keep: u64, start: Tick) -> ViewIndex<K, V> {
        let mut index = ViewIndex::new(keep);
        if start > 1 {
            index.oldest = start;
            index.newest = start - 1;
        }
        index
    }

    /// The oldest tick that can be read.
    pub fn oldest(&self) -> Tick {
        self.oldest
    }

    /// The newest tick that can be read.
    pub fn newest(&self) -> Tick {
        self.newest
    }

    /// Applies the changes of `tick`, in any order, and makes it the newest.
    ///
    /// # Errors
    /// `Internal` if the tick is not beyond the newest.
    pub fn apply(&mut self, tick: Tick, mut changes: Vec<Change<K, V>>) -> Result<()> {
        if tick <= self.newest {
            return Err(Error::internal(format!(
                "a view got changes of tick {tick} although it is complete through tick {}",
                self.newest
            )));
        }
        consolidate(&mut changes);
        for of_key in changes.chunk_by(|a, b| a.0.0 == b.0.0) {
            let key = &of_key[0].0.0;
            self.sample(&of_key[0].0);
            if !self.live.contains_key(key) {
                self.live.insert(key.clone(), Values::Many(Vec::new()));
            }
            let values = self.live.get_mut(key).expect("it is there or was just put there");
            self.rows -= values.len();
            for ((_, value), diff) in of_key {
                values.change(value, *diff);
            }
            let left = values.len();
            self.rows += left;
            if left == 0 {
                self.live.remove(key);
            }
        }
        self.newest = tick;
        if !changes.is_empty() {
            self.changes += changes.len();
            changes.shrink_to_fit();
            self.history.push_back((tick, changes));
        }
        Ok(())
    }

    /// Says that nothing more comes at ticks up to `tick`.
    pub fn complete(&mut self, tick: Tick) {
        self.newest = self.newest.max(tick);
    }

    /// Lets go of ticks that are further behind `released` than the history is long; never of a tick from `pinned` on.
    pub fn trim(&mut self, released: Tick, pinned: Option<Tick>) {
        let last = released.min(self.newest);
        let target = (last + 1).saturating_sub(self.keep).min(pinned.unwrap_or(Tick::MAX));
        self.oldest = self.oldest.max(target);
        while self.history.front().is_some_and(|(tick, _)| *tick <= self.oldest) {
            let gone = self.history.pop_front().map_or(0, |(_, changes)| changes.len());
            self.changes -= gone;
        }
    }

    /// The rows of `span` at `tick` with their counts, in order of (key, value).
    ///
    /// # Errors
    /// [`Miss`] if the tick can't be read any more, or not yet.
    pub fn read(&self, span: &Span<K, V>, tick: Tick) -> Result<Vec<(K, V, Diff)>, Miss> {
        self.check(tick)?;
        let mut out = Vec::new();
        if span.limit == 0 {
            return Ok(out);
        }
        let from = match &span.after {
            Some((key, _)) if is_past(&span.from, key) => Bound::Included(key),
            _ => span.from.as_ref(),
        };
        self.walk(from, span.to.as_ref(), tick, |key, value, diff| {
            if span.after.as_ref().is_some_and(|(k, v)| (key, value) <= (k, v)) {
                return true;
            }
            out.push((key.clone(), value.clone(), diff));
            out.len() < span.limit
        });
        Ok(out)
    }

    /// The rows of `key` at `tick`.
    ///
    /// # Errors
    /// As [`ViewIndex::read`].
    pub fn point(&self, key: &K, tick: Tick) -> Result<Vec<(V, Diff)>, Miss> {
        self.check(tick)?;
        let mut out = Vec::new();
        self.walk(Bound::Included(key), Bound::Included(key), tick, |_, value, diff| {
            out.push((value.clone(), diff));
            true
        });
        Ok(out)
    }

    /// The changes of ticks `from..=to`, tick by tick, those without any left out.
    ///
    /// # Errors
    /// [`Miss`] if a change in the range is not kept any more (`from` must be beyond the oldest tick), or `to` is not complete.
    pub fn changes(&self, from: Tick, to: Tick) -> Result<ChangesOf<'_, K, V>, Miss> {
        if from <= self.oldest && from <= to {
            // The oldest tick can be read, but what changed at it can't: following begins one later.
            return Err(Miss::Gone { oldest: self.oldest + 1 });
        }
        if to > self.newest {
            return Err(Miss::NotYet { newest: self.newest });
        }
        let first = self.history.partition_point(|(tick, _)| *tick < from);
        let end = self.history.partition_point(|(tick, _)| *tick <= to).max(first);
        Ok(self.history.range(first..end))
    }

    /// Rows, kept changes and an estimate of their bytes.
    pub fn size(&self) -> Size {
        let entry = (size_of::<K>() + size_of::<V>() + size_of::<Diff>()) as u64;
        // Encoded length stands for what strings and lists hold outside the row; a tree entry has about a third of slack.
        let (rows, changes) = (self.rows as u64, self.changes as u64);
        let heap = self.sampled / 256;
        let bytes = rows * (entry * 4 / 3 + 16 + heap) + changes * (entry + heap);
        Size { rows, changes, bytes }
    }

    fn check(&self, tick: Tick) -> Result<(), Miss> {
        match tick {
            _ if tick < self.oldest => Err(Miss::Gone { oldest: self.oldest }),
            _ if tick > self.newest => Err(Miss::NotYet { newest: self.newest }),
            _ => Ok(()),
        }
    }

    fn sample(&mut self, row: &(K, V)) {
        if self.seen.is_multiple_of(SAMPLE) {
            let length = serde_json::to_vec(row).map_or(0, |text| text.len() as u64) * 256;
            self.sampled = if self.seen == 0 { length } else { (self.sampled * 7 + length) / 8 };
        }
        self.seen += 1;
    }

    /// Calls `each` with the rows between the bounds at `tick`, in order, until it says `false`.
    fn walk<'a>(
        &'a self,
        from: Bound<&K>,
        to: Bound<&K>,
        tick: Tick,
        mut each: impl FnMut(&'a K, &'a V, Diff) -> bool,
    ) {
        if is_empty(&from, &to) {
            return;
        }
        let mut live = self.live.range::<K, _>((from, to)).peekable();
        let first = self.history.partition_point(|(t, _)| *t <= tick);
        let mut later: Vec<&'a [Change<K, V>]> =
            self.history.range(first..).map(|(_, changes)| within(changes, &from, &to)).collect();
        let mut values: Vec<(&'a V, Diff)> = Vec::new();
        loop {
            later.retain(|changes| !changes.is_empty());
            let changed = later.iter().map(|changes| &changes[0].0.0).min();
            let key = match (live.peek(), changed) {
                (None, None) => return,
                (Some((key, _)), None) => *key,
                (None, Some(key)) => key,
                (Some((key, _)), Some(other)) => (*key).min(other),
            };
            values.clear();
            if let Some((_, row)) = live.next_if(|(k, _)| *k == key) {
                row.for_each(|value, diff| values.push((value, diff)));
            }
            if changed == Some(key) {
                for changes in &mut later {
                    while let Some(((k, value), diff)) = changes.first()
                        && k == key
                    {
                        values.push((value, -diff));
                        *changes = &changes[1..];
                    }
                }
                consolidate(&mut values);
            }
            for (value, diff) in &values {
                if !each(key, value, *diff) {
                    return;
                }
            }
        }
    }
}

/// The changes of some ticks, ascending.
pub type ChangesOf<'a, K, V> = std::collections::vec_deque::Iter<'a, (Tick, Vec<Change<K, V>>)>;

/// Sorts rows, adds up the counts of equal ones and drops those that come to nothing.
pub(crate) fn consolidate<T: Ord>(rows: &mut Vec<(T, Diff)>) {
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    rows.retain(|(_, diff)| *diff != 0);
}

/// Whether `key` is a later place to begin than `from`.
fn is_past<K: Ord>(from: &Bound<K>, key: &K) -> bool {
    match from {
        Bound::Unbounded => true,
        Bound::Included(bound) | Bound::Excluded(bound) => key > bound,
    }
}

/// Whether no key lies between the bounds (a tree's own `range` panics on such).
fn is_empty<K: Ord>(from: &Bound<&K>, to: &Bound<&K>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (
            Bound::Included(from) | Bound::Excluded(from),
            Bound::Included(to) | Bound::Excluded(to),
        ) => from >= to,
    }
}

/// The part of sorted changes whose keys lie between the bounds.
fn within<'a, K: Ord, V>(
    changes: &'a [Change<K, V>],
    from: &Bound<&K>,
    to: &Bound<&K>,
) -> &'a [Change<K, V>] {
    let first = changes.partition_point(|((key, _), _)| match from {
        Bound::Unbounded => false,
        Bound::Included(from) => key < *from,
        Bound::Excluded(from) => key <= *from,
    });
    let end = changes.partition_point(|((key, _), _)| match to {
        Bound::Unbounded => true,
        Bound::Included(to) => key <= *to,
        Bound::Excluded(to) => key < *to,
    });
    &changes[first..end.max(first)]
}

#[cfg(test)]
mod tests;
