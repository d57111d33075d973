//! Streams: records as they arrive, append-only, not kept.

use super::context::Flow;
use super::graph::What;
use super::plan::{KeptPlan, Place};
use super::tap::Tap;
use super::{KeyedTable, Origin, Rec, Table};
use crate::ids::Tick;
use crate::operators::aggregate::{Accumulate, Aggregate};
use crate::operators::keep::Counted;
use crate::operators::keyed::keyed;
use crate::operators::upsert::Newest;
use crate::operators::window::{Cut, Windowed, Windows, windowed};
use crate::row::Row;
use crate::ticks::view::Sources;
use std::cell::OnceCell;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::core::Concat;
use timely::dataflow::operators::generic::Operator;

/// A step in a source's loop, and its number in the plan.
type Fused<D> = (Rc<Tap<D>>, usize);

/// Where a stream's records are.
enum Rows<'s, D: 'static> {
    /// In a source's loop still, and as a stream of the dataflow once somebody asked for that.
    Tap(Fused<D>, Rc<OnceCell<StreamVec<'s, Tick, Rec<D>>>>),
    /// On an edge of the dataflow.
    Edge(StreamVec<'s, Tick, Rec<D>>),
}

/// Records as they arrive: append-only and not kept. A cheap clone.
///
/// Steps without state directly behind a source run inside the source's loop: a row that they drop is never moved.
///
/// ```
/// use tidemark::flow::{Flow, endpoint::kafka};
/// use tidemark::testing::Job;
///
/// fn dataflow(flow: &Flow<'_>) {
///     let numbers = flow.source("numbers", kafka::topic("numbers").json::<i64>());
///     let even = numbers.filter(|n| n % 2 == 0).map(|n| n * 10);
///     let digits = numbers.flat_map(|n| 0..*n);
///     flow.sink("all", &even.union(&digits), kafka::topic("all").json());
///     flow.serve("kept", &digits.keep("kept"));
///     flow.serve("newest", &numbers.upsert("newest", |n| n % 2));
///     // A negative number takes its key away.
///     flow.serve("live", &numbers.upsert_map("live", |n| (n.abs(), (*n > 0).then_some(*n))));
/// }
///
/// let mut job = Job::new(dataflow);
/// job.push("numbers", [2, 3, -3]).tick();
/// assert_eq!(job.sink("all").len(), 6);
/// assert_eq!(job.table("kept"), [r#"{"row":0,"count":2}"#, r#"{"row":1,"count":2}"#, r#"{"row":2}"#]);
/// assert_eq!(job.table("live"), [r#"{"key":2,"value":2}"#]);
/// ```
pub struct Stream<'s, D: 'static> {
    pub(crate) flow: Flow<'s>,
    rows: Rows<'s, D>,
    /// Its event time.
    pub(crate) sources: Sources,
    pub(crate) made_by: &'static str,
}

impl<D: Clone + 'static> Clone for Stream<'_, D> {
    fn clone(&self) -> Self {
        let rows = match &self.rows {
            Rows::Tap((tap, step), edge) => Rows::Tap((Rc::clone(tap), *step), Rc::clone(edge)),
            Rows::Edge(edge) => Rows::Edge(edge.clone()),
        };
        let (flow, sources) = (self.flow.clone(), Rc::clone(&self.sources));
        Stream { flow, rows, sources, made_by: self.made_by }
    }
}

impl<'s, D: Clone + 'static> Stream<'s, D> {
    pub(crate) fn new(
        flow: &Flow<'s>,
        inner: StreamVec<'s, Tick, Rec<D>>,
        sources: Sources,
        made_by: &'static str,
    ) -> Self {
        Stream { flow: flow.clone(), rows: Rows::Edge(inner), sources, made_by }
    }

    /// The records of a source, of which nothing enters the dataflow until somebody asks for it.
    pub(crate) fn tapped(
        flow: &Flow<'s>,
        tap: Fused<D>,
        sources: Sources,
        made_by: &'static str,
    ) -> Self {
        Stream { flow: flow.clone(), rows: Rows::Tap(tap, Rc::default()), sources, made_by }
    }

    /// The records as a stream of the dataflow.
    pub(crate) fn inner(&self) -> StreamVec<'s, Tick, Rec<D>> {
        match &self.rows {
            Rows::Tap(tap, edge) => edge.get_or_init(|| self.out(tap, |rec| rec)).clone(),
            Rows::Edge(edge) => edge.clone(),
        }
    }

    /// What `logic` makes of the records in a source's loop, as a stream of the dataflow.
    fn out<P: Clone + 'static>(
        &self,
        (tap, step): &Fused<D>,
        logic: impl Fn(Rec<D>) -> P + 'static,
    ) -> StreamVec<'s, Tick, P> {
        let stream = tap.out(&self.flow, logic);
        self.flow.leaves_loop(*step, None, &stream);
        stream
    }

    fn behind<E: Clone + 'static>(
        &self,
        before: usize,
        tap: Rc<Tap<E>>,
        made_by: &'static str,
        place: Place,
    ) -> Stream<'s, E> {
        let step = self.flow.fused(What::new(made_by, place), vec![before]);
        Stream::tapped(&self.flow, (tap, step), Rc::clone(&self.sources), made_by)
    }

    fn step<E: Clone + 'static>(
        &self,
        name: &'static str,
        place: Place,
        mut each: impl FnMut(Rec<D>, &mut dyn FnMut(Rec<E>)) + 'static,
    ) -> Stream<'s, E> {
        let what = What::new(name, place);
        let mark = self.flow.mark(&what);
        let inner = self.inner().unary::<CapacityContainerBuilder<Vec<Rec<E>>>, _, _, _>(
            Pipeline,
            name,
            move |_, _| {
                move |input, output| {
                    let _inside = mark.enter();
                    input.for_each(|stamp, rows| {
                        let mut session = output.session(&stamp);
                        for rec in rows.drain(..) {
                            each(rec, &mut |out| session.give(out));
                        }
                    });
                }
            },
        );
        self.flow.made(what, &inner);
        Stream::new(&self.flow, inner, Rc::clone(&self.sources), name)
    }

    /// Each row replaced by what `logic` gives for it.
    #[track_caller]
    pub fn map<E: Clone + 'static>(&self, logic: impl Fn(&D) -> E + 'static) -> Stream<'s, E> {
        let place = Location::caller();
        if let Rows::Tap((tap, step), _) = &self.rows {
            let logic = self.flow.mark(&What::new("map", place)).around_ref(logic);
            let logic = move |row: &D| Some(logic(row));
            return self.behind(*step, tap.flat_map(logic), "map", place);
        }
        self.step("map", place, move |rec, give| {
            let row = logic(&rec.row);
            give(rec.with(row));
        })
    }

    /// The rows for which `logic` is true.
    #[track_caller]
    pub fn filter(&self, logic: impl Fn(&D) -> bool + 'static) -> Stream<'s, D> {
        let place = Location::caller();
        if let Rows::Tap((tap, step), _) = &self.rows {
            let logic = self.flow.mark(&What::new("filter", place)).around_ref(logic);
            return self.behind(*step, tap.filter(logic), "filter", place);
        }
        self.step("filter", place, move |rec, give| {
            if logic(&rec.row) {
                give(rec);
            }
        })
    }

    /// All rows that `logic` gives for each row, under that row's event time and position.
    #[track_caller]
    pub fn flat_map<I: IntoIterator<Item: Clone + 'static>>(
        &self,
        logic: impl Fn(&D) -> I + 'static,
    ) -> Stream<'s, I::Item> {
        let place = Location::caller();
        if let Rows::Tap((tap, step), _) = &self.rows {
            // Not `around_ref`, which would ask more of `I`.
            let mark = self.flow.mark(&What::new("flat_map", place));
            let logic = move |row: &D| {
                let _inside = mark.enter();
                logic(row)
            };
            return self.behind(*step, tap.flat_map(logic), "flat_map", place);
        }
        self.step("flat_map", place, move |rec, give| {
            for row in logic(&rec.row) {
                give(rec.with(row));
            }
        })
    }

    /// The records of both; its watermark is the lesser of the two.
    #[must_use]
    #[track_caller]
    pub fn union(&self, other: &Stream<'s, D>) -> Stream<'s, D> {
        let sources = self.sources.union(&other.sources);
        let inner = self.inner().concat(other.inner());
        self.flow.made(What::new("union", Location::caller()), &inner);
        Stream::new(&self.flow, inner, Rc::new(sources), "union")
    }
}

impl<'s, D: Row> Stream<'s, D> {
    /// The stream with a key for each row; windows and aggregates follow.
    pub fn key_by<K: Row>(&self, key: impl Fn(&D) -> K + 'static) -> KeyedStream<'s, K, D> {
        KeyedStream { stream: self.clone(), key: Rc::new(key) }
    }

    /// A table of every row so far, each as often as it came. Kept under `uid`; grows with the distinct rows.
    #[track_caller]
    pub fn keep(&self, uid: &str) -> Table<'s, D> {
        let plan = KeptPlan {
            uid: uid.to_owned(),
            operator: "keep".to_owned(),
            key: D::schema(),
            state: u64::schema().with("operator", "keep"),
            bound: "one row for each distinct row of the stream".to_owned(),
            place: Location::caller(),
        };
        let counted = Counted(PhantomData);
        let input = self.pairs(|rec| {
            let bare = rec.with(());
            (rec.row, bare)
        });
        let origin = Origin::kept(&plan);
        let counts = keyed(&self.flow, plan, input, counted);
        let rows = counts
            .clone()
            .explode(|(row, count)| Some((row, isize::try_from(count).unwrap_or(isize::MAX))));
        self.flow.made_too(&counts.inner, &rows.inner);
        Table::new(&self.flow, rows, origin)
    }

    /// A table of the newest row of each key, by position. Kept under `uid`; one row a key.
    #[track_caller]
    pub fn upsert<K: Row>(
        &self,
        uid: &str,
        key: impl Fn(&D) -> K + 'static,
    ) -> KeyedTable<'s, K, D> {
        self.upsert_at(uid, move |row| (key(row), Some(row.clone())), Location::caller())
    }

    /// A table of the newest value of each key, by position; `None` takes the key away. Kept under `uid`; one row a key.
    #[track_caller]
    pub fn upsert_map<K: Row, V: Row>(
        &self,
        uid: &str,
        change: impl Fn(&D) -> (K, Option<V>) + 'static,
    ) -> KeyedTable<'s, K, V> {
        self.upsert_at(uid, change, Location::caller())
    }

    fn upsert_at<K: Row, V: Row>(
        &self,
        uid: &str,
        change: impl Fn(&D) -> (K, Option<V>) + 'static,
        place: Place,
    ) -> KeyedTable<'s, K, V> {
        let plan = KeptPlan {
            uid: uid.to_owned(),
            operator: "upsert".to_owned(),
            key: K::schema(),
            state: <(u64, Option<V>)>::schema().with("operator", "upsert"),
            bound: "one row for each key".to_owned(),
            place,
        };
        let input = self.pairs(move |rec| {
            let (key, value) = change(&rec.row);
            (key, rec.with(value))
        });
        let origin = Origin::kept(&plan);
        KeyedTable::new(&self.flow, keyed(&self.flow, plan, input, Newest(PhantomData)), origin)
    }

    /// Keys and what of the records goes with them, as keyed operators take them.
    pub(crate) fn pairs<P: Clone + 'static>(
        &self,
        logic: impl Fn(Rec<D>) -> P + 'static,
    ) -> StreamVec<'s, Tick, P> {
        if let Rows::Tap(tap, _) = &self.rows {
            return self.out(tap, logic);
        }
        self.inner().unary::<CapacityContainerBuilder<Vec<P>>, _, _, _>(
            Pipeline,
            "Key",
            move |_, _| {
                move |input, output| {
                    input.for_each(|stamp, rows| {
                        output.session(&stamp).give_iterator(rows.drain(..).map(&logic));
                    });
                }
            },
        )
    }
}

/// A stream whose rows have keys.
///
/// ```
/// use std::time::Duration;
/// use tidemark::EventTime;
/// use tidemark::flow::{Flow, Lag, endpoint::kafka};
/// use tidemark::operators::aggregate::{count, max_by, sum};
/// use tidemark::operators::window::tumbling;
/// use tidemark::testing::Job;
///
/// #[derive(tidemark::Row)]
/// struct Bid {
///     auction: u64,
///     price: u64,
///     at: EventTime,
/// }
///
/// fn bids(flow: &Flow<'_>) {
///     let bids = flow
///         .source("bids", kafka::topic("bids").json::<Bid>())
///         .event_time(|bid| bid.at, Lag(Duration::from_secs(1)));
///     let by_auction = bids.key_by(|bid| bid.auction);
///     let all = by_auction.aggregate("all", (count(), sum(|bid: &Bid| bid.price)));
///     flow.serve("all", &all);
///     let windows = by_auction
///         .window(tumbling(Duration::from_secs(10)))
///         .allowed_lateness(Duration::from_secs(5))
///         .aggregate("best", max_by(|bid: &Bid| bid.price, |bid| bid.at));
///     flow.serve("open", &windows.table);
///     flow.sink("closed", &windows.closed, kafka::topic("closed").json());
///     flow.sink("late", &windows.late, kafka::topic("late").json());
/// }
///
/// let bid = |price, second: i64| {
///     let at = EventTime::from_millis(second * 1000).expect("a near time");
///     Bid { auction: 1, price, at }
/// };
/// let mut job = Job::new(bids);
/// job.push("bids", [bid(5, 1), bid(7, 2), bid(3, 25)]).tick();
/// job.push("bids", [bid(9, 3)]).tick();
/// assert_eq!(job.table("all"), [r#"{"key":1,"value":[4,24]}"#]);
/// assert_eq!(job.sink("closed").len(), 1);
/// assert_eq!(job.sink("late").len(), 1);
/// ```
pub struct KeyedStream<'s, K, D: 'static> {
    stream: Stream<'s, D>,
    key: Rc<dyn Fn(&D) -> K>,
}

impl<'s, K: Row, D: Row> KeyedStream<'s, K, D> {
    fn keyed_pairs(&self) -> StreamVec<'s, Tick, (K, Rec<D>)> {
        let key = Rc::clone(&self.key);
        self.stream.pairs(move |rec| (key(&rec.row), rec))
    }

    /// A table of the accumulated rows of each key. Kept under `uid`; one row a key.
    #[track_caller]
    pub fn aggregate<A: Aggregate<D>>(&self, uid: &str, aggregate: A) -> KeyedTable<'s, K, A::Out> {
        let operator = format!("aggregate ({})", aggregate.describe());
        let plan = KeptPlan {
            uid: uid.to_owned(),
            key: K::schema(),
            state: A::State::schema().with("operator", &operator),
            operator,
            bound: "one row for each key".to_owned(),
            place: Location::caller(),
        };
        let logic = Accumulate { aggregate: Rc::new(aggregate), rows: PhantomData };
        let origin = Origin::kept(&plan);
        let rows = keyed(&self.stream.flow, plan, self.keyed_pairs(), logic);
        KeyedTable::new(&self.stream.flow, rows, origin)
    }

    /// The stream cut into windows of event time.
    pub fn window(&self, windows: Windows) -> WindowedStream<'s, K, D> {
        let (stream, key) = (self.stream.clone(), Rc::clone(&self.key));
        WindowedStream { stream, key, windows, lateness: Duration::ZERO }
    }
}

/// A keyed stream cut into windows.
pub struct WindowedStream<'s, K, D: 'static> {
    stream: Stream<'s, D>,
    key: Rc<dyn Fn(&D) -> K>,
    windows: Windows,
    lateness: Duration,
}

impl<'s, K: Row, D: Row> WindowedStream<'s, K, D> {
    /// Windows stay open for `lateness` of event time after their end.
    #[must_use]
    pub fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.lateness = lateness;
        self
    }

    /// The accumulated rows of each key and window. Kept under `uid`; one row for each key in an open window.
    #[track_caller]
    pub fn aggregate<A: Aggregate<D>>(
        &self,
        uid: &str,
        aggregate: A,
    ) -> Windowed<'s, K, A::Out, D> {
        let place = Location::caller();
        if !self.stream.sources.is_timed() {
            let text = format_args!(
                "window {uid:?} needs event time; say `.event_time(|row| .., Lag(..))` at each of its sources"
            );
            self.stream.flow.problem(place, text);
        }
        let cut = self.windows.cut().unwrap_or_else(|problem| {
            self.stream.flow.problem(place, format_args!("window {uid:?}: {problem}"));
            Cut::ANY
        });
        let lateness = i64::try_from(self.lateness.as_micros()).unwrap_or(i64::MAX);
        let windows = self.windows.describe();
        let aggregates = aggregate.describe();
        let operator =
            format!("window {windows}, allowed lateness {:?} ({aggregates})", self.lateness);
        let plan = KeptPlan {
            uid: uid.to_owned(),
            key: <(i64, K)>::schema(),
            state: A::State::schema().with("operator", &operator),
            operator,
            bound: format!("one row for each key in each open window ({windows})"),
            place,
        };
        let key = Rc::clone(&self.key);
        let input = self.stream.pairs(move |rec| (key(&rec.row), rec));
        let sources = Rc::clone(&self.stream.sources);
        windowed(&self.stream.flow, plan, input, (cut, lateness), sources, aggregate)
    }
}
