//! Tables: differential collections that survive crashes, because they derive from kept state.

use super::Origin;
use super::context::Flow;
use super::graph::What;
use super::plan::Place;
use crate::ids::{Diff, Tick};
use crate::operators::unique::unique;
use crate::row::Row;
use differential_dataflow::VecCollection;
use std::panic::Location;

/// A collection of rows that come and go, over ticks.
pub(crate) type Rows<'s, D> = VecCollection<'s, Tick, D, Diff>;

/// A table: rows that come and go. A cheap clone.
///
/// ```
/// use tidemark::flow::{Flow, endpoint::kafka};
/// use tidemark::testing::Job;
///
/// fn dataflow(flow: &Flow<'_>) {
///     let numbers = flow.source("numbers", kafka::topic("numbers").json::<i64>());
///     let kept = numbers.keep("kept");
///     flow.serve("top", &kept.top_k(2, |_| (), |n| *n).map(|((), n)| n));
///     flow.serve("ends", &kept.map(|n| n % 10).distinct().unique_by(|n| *n));
///     let most = kept.reduce(|n| n % 2, |_, rows| rows.iter().map(|(_, times)| *times as u64).max());
///     flow.serve("most", &most);
///     // Every differential operator: here those that came an even number of times.
///     let even = kept.collection().count().filter(|(_, times)| times % 2 == 0).map(|(n, _)| n);
///     flow.serve("even", &flow.table(even));
/// }
///
/// let mut job = Job::new(dataflow);
/// job.push("numbers", [7, 12, 7, 3]).tick();
/// assert_eq!(job.table("top"), [r#"{"row":7}"#, r#"{"row":12}"#]);
/// assert_eq!(job.table("ends").len(), 3);
/// assert_eq!(job.table("most"), [r#"{"key":0,"value":1}"#, r#"{"key":1,"value":2}"#]);
/// assert_eq!(job.table("even"), [r#"{"row":7}"#]);
/// ```
pub struct Table<'s, D: 'static> {
    pub(crate) flow: Flow<'s>,
    pub(crate) rows: Rows<'s, D>,
    pub(crate) origin: Origin,
}

impl<D: Clone + 'static> Clone for Table<'_, D> {
    fn clone(&self) -> Self {
        let (flow, rows, origin) = (self.flow.clone(), self.rows.clone(), self.origin.clone());
        Table { flow, rows, origin }
    }
}

/// A table with at most one row a key. A cheap clone.
///
/// ```
/// use tidemark::flow::{Flow, endpoint::kafka};
/// use tidemark::testing::Job;
///
/// fn dataflow(flow: &Flow<'_>) {
///     let cities = flow.source("cities", kafka::topic("cities").json::<(u64, String)>());
///     let people = flow.source("people", kafka::topic("people").json::<(u64, u64)>());
///     let cities = cities.upsert_map("cities", |(id, name)| (*id, Some(name.clone())));
///     let people = people.upsert_map("people", |(id, city)| (*id, Some(*city)));
///     flow.serve("homes", &people.join_on(|_, city| *city, &cities).map_values(|_, (_, name)| name));
///     flow.serve("both", &people.join(&cities));
///     flow.serve("maybe", &people.left_join(&cities).filter(|_, (_, name)| name.is_none()));
///     flow.sink("cities", &cities, kafka::topic("cities-live").json().upsert());
/// }
///
/// let mut job = Job::new(dataflow);
/// job.push("cities", [(1, "Bern"), (2, "Chur")]).push("people", [(2, 1), (5, 1)]).tick();
/// assert_eq!(job.table("homes"), [r#"{"key":2,"value":"Bern"}"#, r#"{"key":5,"value":"Bern"}"#]);
/// assert_eq!(job.table("both"), [r#"{"key":2,"value":[1,"Chur"]}"#]);
/// assert_eq!(job.table("maybe"), [r#"{"key":5,"value":[1,null]}"#]);
/// ```
pub struct KeyedTable<'s, K: 'static, V: 'static> {
    pub(crate) flow: Flow<'s>,
    pub(crate) rows: Rows<'s, (K, V)>,
    pub(crate) origin: Origin,
    /// Whether one row a key follows from how the table is made; else it is checked where the table is served or written.
    unique: bool,
}

impl<K: Clone + 'static, V: Clone + 'static> Clone for KeyedTable<'_, K, V> {
    fn clone(&self) -> Self {
        let (flow, rows, origin) = (self.flow.clone(), self.rows.clone(), self.origin.clone());
        KeyedTable { flow, rows, origin, unique: self.unique }
    }
}

impl<'s> Flow<'s> {
    /// A table of a collection that derives from tables. Its rows survive crashes because they are computed again.
    #[track_caller]
    pub fn table<D: Row>(&self, rows: Rows<'s, D>) -> Table<'s, D> {
        self.made(What::new("collection", Location::caller()), &rows.inner);
        Table::new(self, rows, Origin::at("a collection given to flow.table", Location::caller()))
    }
}

impl<'s, D: Row> Table<'s, D> {
    pub(crate) fn new(flow: &Flow<'s>, rows: Rows<'s, D>, origin: Origin) -> Self {
        Table { flow: flow.clone(), rows, origin }
    }

    /// Rows that a step made which only passes changes on.
    fn step<E: Row>(&self, kind: &str, place: Place, rows: Rows<'s, E>) -> Table<'s, E> {
        self.flow.made(What::new(kind, place), &rows.inner);
        Table::new(&self.flow, rows, self.origin.clone())
    }

    /// Rows that the operator `kind` made.
    fn by<E: Row>(&self, kind: &str, place: Place, rows: Rows<'s, E>) -> Table<'s, E> {
        self.flow.made(What::new(kind, place), &rows.inner);
        Table::new(&self.flow, rows, Origin::at(kind, place))
    }

    /// The differential collection: every differential operator works on it.
    pub fn collection(&self) -> Rows<'s, D> {
        self.rows.clone()
    }

    /// Each row replaced by what `logic` gives for it.
    #[track_caller]
    pub fn map<E: Row>(&self, logic: impl Fn(D) -> E + 'static) -> Table<'s, E> {
        let (place, mark) = self.flow.marked("map");
        self.step("map", place, self.rows.clone().map(mark.around(logic)))
    }

    /// The rows for which `logic` is true.
    #[must_use]
    #[track_caller]
    pub fn filter(&self, logic: impl Fn(&D) -> bool + 'static) -> Table<'s, D> {
        let (place, mark) = self.flow.marked("filter");
        self.step("filter", place, self.rows.clone().filter(mark.around_ref(logic)))
    }

    /// All rows that `logic` gives for each row.
    #[track_caller]
    pub fn flat_map<I: IntoIterator<Item: Row>>(
        &self,
        logic: impl Fn(D) -> I + 'static,
    ) -> Table<'s, I::Item> {
        let (place, mark) = self.flow.marked("flat_map");
        // Not `around`, which would ask more of `I`.
        let logic = move |row| {
            let _inside = mark.enter();
            logic(row)
        };
        self.step("flat_map", place, self.rows.clone().flat_map(logic))
    }

    /// The rows of both tables; a row that is in both is there twice.
    #[must_use]
    #[track_caller]
    pub fn union(&self, other: &Table<'s, D>) -> Table<'s, D> {
        let rows = self.rows.clone().concat(other.rows.clone());
        self.flow.made(What::new("union", Location::caller()), &rows.inner);
        Table::new(&self.flow, rows, self.origin.or(&other.origin))
    }

    /// Every row once.
    #[must_use]
    #[track_caller]
    pub fn distinct(&self) -> Table<'s, D> {
        self.by("distinct", Location::caller(), self.rows.clone().distinct())
    }

    /// The table with a key that no two rows share.
    ///
    /// Where the table is served or written as a table of keys, two rows of one key end the job with an error that names the view or
    /// sink, the key and both rows; nothing of that tick is shown.
    #[track_caller]
    pub fn unique_by<K: Row>(&self, key: impl Fn(&D) -> K + 'static) -> KeyedTable<'s, K, D> {
        let (place, mark) = self.flow.marked("unique_by");
        let key = mark.around_ref(key);
        let rows = self.rows.clone().map(move |row| (key(&row), row));
        self.flow.made(What::new("unique_by", place), &rows.inner);
        KeyedTable { unique: false, ..KeyedTable::new(&self.flow, rows, self.origin.clone()) }
    }

    /// For each key, what `logic` makes of its rows (in their order, each with its count).
    #[track_caller]
    pub fn reduce<K: Row, V: Row>(
        &self,
        key: impl Fn(&D) -> K + 'static,
        logic: impl Fn(&K, &[(&D, Diff)]) -> Option<V> + 'static,
    ) -> KeyedTable<'s, K, V> {
        let (place, mark) = self.flow.marked("reduce");
        let key = mark.clone().around_ref(key);
        let rows = self.rows.clone().map(move |row| (key(&row), row));
        let rows = rows.reduce(move |key, rows, out| {
            let _inside = mark.enter();
            out.extend(logic(key, rows).map(|value| (value, 1)));
        });
        KeyedTable::by(&self.flow, "reduce", place, rows)
    }

    /// The `k` first rows of each group in descending order of `score`; ties in ascending order of the row. Rows that come twice
    /// count twice.
    #[track_caller]
    pub fn top_k<G: Row, S: Ord + 'static>(
        &self,
        k: usize,
        group: impl Fn(&D) -> G + 'static,
        score: impl Fn(&D) -> S + 'static,
    ) -> Table<'s, (G, D)> {
        let (place, mark) = self.flow.marked("top_k");
        let group = mark.clone().around_ref(group);
        let rows = self.rows.clone().map(move |row| (group(&row), row));
        let rows = rows.reduce(move |_, rows, out| {
            let _inside = mark.enter();
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
        self.by("top_k", place, rows)
    }
}

impl<'s, K: Row, V: Row> KeyedTable<'s, K, V> {
    /// A table that has one row a key by the way it is made.
    pub(crate) fn new(flow: &Flow<'s>, rows: Rows<'s, (K, V)>, origin: Origin) -> Self {
        KeyedTable { flow: flow.clone(), rows, origin, unique: true }
    }

    /// Rows that the operator `kind` made, with one row a key.
    fn by(flow: &Flow<'s>, kind: &str, place: Place, rows: Rows<'s, (K, V)>) -> Self {
        flow.made(What::new(kind, place), &rows.inner);
        KeyedTable::new(flow, rows, Origin::at(kind, place))
    }

    /// Rows that a step made which only passes changes on.
    fn step<W: Row>(
        &self,
        kind: &str,
        place: Place,
        rows: Rows<'s, (K, W)>,
    ) -> KeyedTable<'s, K, W> {
        self.flow.made(What::new(kind, place), &rows.inner);
        let unique = self.unique;
        KeyedTable { unique, ..KeyedTable::new(&self.flow, rows, self.origin.clone()) }
    }

    /// The rows, for `what`, with two rows of one key as an error that ends the job.
    pub(crate) fn proven(&self, what: &str, place: Place) -> Rows<'s, (K, V)> {
        if !self.unique {
            unique(&self.flow, &self.rows, format!("{what}, fed by {}", self.origin), place);
        }
        self.rows.clone()
    }

    /// The differential collection of (key, value): every differential operator works on it.
    pub fn collection(&self) -> Rows<'s, (K, V)> {
        self.rows.clone()
    }

    /// The values without their keys.
    #[track_caller]
    pub fn values(&self) -> Table<'s, V> {
        let rows = self.rows.clone().map(|(_, value)| value);
        self.flow.made(What::new("values", Location::caller()), &rows.inner);
        Table::new(&self.flow, rows, self.origin.clone())
    }

    /// The rows as pairs.
    pub fn rows(&self) -> Table<'s, (K, V)> {
        Table::new(&self.flow, self.rows.clone(), self.origin.clone())
    }

    /// Each value replaced by what `logic` gives for key and value.
    #[track_caller]
    pub fn map_values<W: Row>(&self, logic: impl Fn(&K, V) -> W + 'static) -> KeyedTable<'s, K, W> {
        let (place, mark) = self.flow.marked("map_values");
        let rows = self.rows.clone().map(move |(key, value)| {
            let _inside = mark.enter();
            let value = logic(&key, value);
            (key, value)
        });
        self.step("map_values", place, rows)
    }

    /// The rows for which `logic` is true.
    #[must_use]
    #[track_caller]
    pub fn filter(&self, logic: impl Fn(&K, &V) -> bool + 'static) -> KeyedTable<'s, K, V> {
        let (place, mark) = self.flow.marked("filter");
        let rows = self.rows.clone().filter(move |(key, value)| {
            let _inside = mark.enter();
            logic(key, value)
        });
        self.step("filter", place, rows)
    }

    /// For each key that is in both tables, both values.
    #[track_caller]
    pub fn join<W: Row>(&self, other: &KeyedTable<'s, K, W>) -> KeyedTable<'s, K, (V, W)> {
        let rows = self.rows.clone().join(other.rows.clone());
        let unique = self.unique && other.unique;
        KeyedTable { unique, ..KeyedTable::by(&self.flow, "join", Location::caller(), rows) }
    }

    /// For each key of this table, its value and the other's value, if it has one.
    #[track_caller]
    pub fn left_join<W: Row>(
        &self,
        other: &KeyedTable<'s, K, W>,
    ) -> KeyedTable<'s, K, (V, Option<W>)> {
        let matched = self.rows.clone().join_map(other.rows.clone(), |key, value, with| {
            (key.clone(), (value.clone(), Some(with.clone())))
        });
        let keys = other.rows.clone().map(|(key, _)| key);
        // What matches is taken away by key, and must go once however many rows the other has there.
        let keys = if other.unique { keys } else { keys.distinct() };
        let single = self.rows.clone().antijoin(keys).map(|(key, value)| (key, (value, None)));
        let unique = self.unique && other.unique;
        KeyedTable {
            unique,
            ..KeyedTable::by(&self.flow, "left_join", Location::caller(), matched.concat(single))
        }
    }

    /// For each row of this table, what `foreign` says is its key in `other`, joined with the value there.
    #[track_caller]
    pub fn join_on<F: Row, W: Row>(
        &self,
        foreign: impl Fn(&K, &V) -> F + 'static,
        other: &KeyedTable<'s, F, W>,
    ) -> KeyedTable<'s, K, (V, W)> {
        let (place, mark) = self.flow.marked("join_on");
        let rows = self.rows.clone().map(move |(key, value)| {
            let _inside = mark.enter();
            (foreign(&key, &value), (key, value))
        });
        let joined = rows.join_map(other.rows.clone(), |_, (key, value), with| {
            (key.clone(), (value.clone(), with.clone()))
        });
        let unique = self.unique && other.unique;
        KeyedTable { unique, ..KeyedTable::by(&self.flow, "join_on", place, joined) }
    }
}
