//! Tables: differential collections that survive crashes, because they derive from kept state.

use super::context::Flow;
use crate::ids::{Diff, Tick};
use crate::row::Row;
use differential_dataflow::VecCollection;

/// A collection of rows that come and go, over ticks.
pub(crate) type Rows<'s, D> = VecCollection<'s, Tick, D, Diff>;

/// A table: rows that come and go. A cheap clone.
pub struct Table<'s, D: 'static> {
    pub(crate) flow: Flow<'s>,
    pub(crate) rows: Rows<'s, D>,
}

impl<D: Clone + 'static> Clone for Table<'_, D> {
    fn clone(&self) -> Self {
        Table { flow: self.flow.clone(), rows: self.rows.clone() }
    }
}

/// A table with at most one row a key. A cheap clone.
pub struct KeyedTable<'s, K: 'static, V: 'static> {
    pub(crate) flow: Flow<'s>,
    pub(crate) rows: Rows<'s, (K, V)>,
}

impl<K: Clone + 'static, V: Clone + 'static> Clone for KeyedTable<'_, K, V> {
    fn clone(&self) -> Self {
        KeyedTable { flow: self.flow.clone(), rows: self.rows.clone() }
    }
}

impl<'s> Flow<'s> {
    /// A table of a collection that derives from tables. Its rows survive crashes because they are computed again.
    pub fn table<D: Row>(&self, rows: Rows<'s, D>) -> Table<'s, D> {
        Table::new(self, rows)
    }
}

impl<'s, D: Row> Table<'s, D> {
    pub(crate) fn new(flow: &Flow<'s>, rows: Rows<'s, D>) -> Self {
        Table { flow: flow.clone(), rows }
    }

    /// The differential collection: every differential operator works on it.
    pub fn collection(&self) -> Rows<'s, D> {
        self.rows.clone()
    }

    /// Each row replaced by what `logic` gives for it.
    pub fn map<E: Row>(&self, logic: impl Fn(D) -> E + 'static) -> Table<'s, E> {
        Table::new(&self.flow, self.rows.clone().map(logic))
    }

    /// The rows for which `logic` is true.
    pub fn filter(&self, logic: impl Fn(&D) -> bool + 'static) -> Table<'s, D> {
        Table::new(&self.flow, self.rows.clone().filter(logic))
    }

    /// All rows that `logic` gives for each row.
    pub fn flat_map<I: IntoIterator<Item: Row>>(
        &self,
        logic: impl Fn(D) -> I + 'static,
    ) -> Table<'s, I::Item> {
        Table::new(&self.flow, self.rows.clone().flat_map(logic))
    }

    /// The rows of both tables; a row that is in both is there twice.
    #[must_use]
    pub fn union(&self, other: &Table<'s, D>) -> Table<'s, D> {
        Table::new(&self.flow, self.rows.clone().concat(other.rows.clone()))
    }

    /// Every row once.
    #[must_use]
    pub fn distinct(&self) -> Table<'s, D> {
        Table::new(&self.flow, self.rows.clone().distinct())
    }

    /// The table with a key that no two rows share. Two rows of one key are reported where they are served or written.
    pub fn unique_by<K: Row>(&self, key: impl Fn(&D) -> K + 'static) -> KeyedTable<'s, K, D> {
        KeyedTable::new(&self.flow, self.rows.clone().map(move |row| (key(&row), row)))
    }

    /// For each key, what `logic` makes of its rows (in their order, each with its count).
    pub fn reduce<K: Row, V: Row>(
        &self,
        key: impl Fn(&D) -> K + 'static,
        logic: impl Fn(&K, &[(&D, Diff)]) -> Option<V> + 'static,
    ) -> KeyedTable<'s, K, V> {
        let rows = self.rows.clone().map(move |row| (key(&row), row));
        let rows = rows.reduce(move |key, rows, out| {
            out.extend(logic(key, rows).map(|value| (value, 1)));
        });
        KeyedTable::new(&self.flow, rows)
    }

    /// The `k` first rows of each group in descending order of `score`; ties in ascending order of the row. Rows that come twice
    /// count twice.
    pub fn top_k<G: Row, S: Ord + 'static>(
        &self,
        k: usize,
        group: impl Fn(&D) -> G + 'static,
        score: impl Fn(&D) -> S + 'static,
    ) -> Table<'s, (G, D)> {
        let rows = self.rows.clone().map(move |row| (group(&row), row));
        let rows = rows.reduce(move |_, rows, out| {
            let mut ranked: Vec<_> = rows.iter().map(|(row, n)| (score(row), *row, *n)).collect();
            ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
            let mut left = isize::try_from(k).unwrap_or(isize::MAX);
            for (_, row, count) in ranked {
                let taken = count.min(left);
                if taken <= 0 {
                    break;
                }
                out.push((row.clone(), taken));
                left -= taken;
            }
        });
        Table::new(&self.flow, rows)
    }
}

impl<'s, K: Row, V: Row> KeyedTable<'s, K, V> {
    pub(crate) fn new(flow: &Flow<'s>, rows: Rows<'s, (K, V)>) -> Self {
        KeyedTable { flow: flow.clone(), rows }
    }

    /// The differential collection of (key, value): every differential operator works on it.
    pub fn collection(&self) -> Rows<'s, (K, V)> {
        self.rows.clone()
    }

    /// The values without their keys.
    pub fn values(&self) -> Table<'s, V> {
        Table::new(&self.flow, self.rows.clone().map(|(_, value)| value))
    }

    /// The rows as pairs.
    pub fn rows(&self) -> Table<'s, (K, V)> {
        Table::new(&self.flow, self.rows.clone())
    }

    /// Each value replaced by what `logic` gives for key and value.
    pub fn map_values<W: Row>(&self, logic: impl Fn(&K, V) -> W + 'static) -> KeyedTable<'s, K, W> {
        let rows = self.rows.clone().map(move |(key, value)| {
            let value = logic(&key, value);
            (key, value)
        });
        KeyedTable::new(&self.flow, rows)
    }

    /// The rows for which `logic` is true.
    pub fn filter(&self, logic: impl Fn(&K, &V) -> bool + 'static) -> KeyedTable<'s, K, V> {
        KeyedTable::new(&self.flow, self.rows.clone().filter(move |(key, value)| logic(key, value)))
    }

    /// For each key that is in both tables, both values.
    pub fn join<W: Row>(&self, other: &KeyedTable<'s, K, W>) -> KeyedTable<'s, K, (V, W)> {
        KeyedTable::new(&self.flow, self.rows.clone().join(other.rows.clone()))
    }

    /// For each key of this table, its value and the other's value, if it has one.
    pub fn left_join<W: Row>(
        &self,
        other: &KeyedTable<'s, K, W>,
    ) -> KeyedTable<'s, K, (V, Option<W>)> {
        let matched = self.rows.clone().join_map(other.rows.clone(), |key, value, with| {
            (key.clone(), (value.clone(), Some(with.clone())))
        });
        let keys = other.rows.clone().map(|(key, _)| key);
        let single = self.rows.clone().antijoin(keys).map(|(key, value)| (key, (value, None)));
        KeyedTable::new(&self.flow, matched.concat(single))
    }

    /// For each row of this table, what `foreign` says is its key in `other`, joined with the value there.
    pub fn join_on<F: Row, W: Row>(
        &self,
        foreign: impl Fn(&K, &V) -> F + 'static,
        other: &KeyedTable<'s, F, W>,
    ) -> KeyedTable<'s, K, (V, W)> {
        let rows = self.rows.clone().map(move |(key, value)| (foreign(&key, &value), (key, value)));
        let joined = rows.join_map(other.rows.clone(), |_, (key, value), with| {
            (key.clone(), (value.clone(), with.clone()))
        });
        KeyedTable::new(&self.flow, joined)
    }
}
