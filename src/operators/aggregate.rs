//! Accumulators: commutative and associative, exact, and equal to their state. A tuple of them is one.
//!
//! ```
//! use tidemark::operators::aggregate::{average, count, first, last_by, max, min, sum};
//! use tidemark::testing::laws::commutes;
//! use tidemark::EventTime;
//!
//! // (price, bidder)
//! type Bid = (u64, String);
//! let all = (
//!     count(),
//!     sum(|bid: &Bid| bid.0),
//!     average(|bid: &Bid| bid.0),
//!     (min(|bid: &Bid| bid.0), max(|bid: &Bid| bid.0)),
//!     first(|bid: &Bid| bid.1.clone()),
//!     last_by(|bid: &Bid| bid.0, |bid| bid.1.clone()),
//! );
//! let bid = |price, bidder: &str| (EventTime::MIN, (price, bidder.to_owned()));
//! let shown = commutes(&all, &[bid(3, "ann"), bid(9, "bob"), bid(6, "eve")]);
//! assert_eq!((shown.0, shown.1, shown.3, shown.5.as_str()), (3, 18, (3, 9), "bob"));
//! ```

use crate::error::{Error, Kind, Result};
use crate::flow::Rec;
use crate::operators::keyed::Logic;
use crate::row::{F64, Row};
use std::cmp::Ordering;
use std::marker::PhantomData;
use std::rc::Rc;

/// An accumulator over records of `D`.
///
/// `add` must give the same state in whatever order records come; [`crate::testing::laws`] permutes them.
pub trait Aggregate<D>: 'static {
    /// What is kept.
    type State: Row;
    /// What is shown.
    type Out: Row;

    /// The state before any record.
    fn zero(&self) -> Self::State;

    /// Takes a record in.
    ///
    /// # Errors
    /// `Input` if the result would leave its range.
    fn add(&self, state: &mut Self::State, rec: &Rec<D>) -> Result<()>;

    /// What is shown of a state that has taken at least one record.
    fn finish(&self, state: &Self::State) -> Self::Out;

    /// The accumulator's name; part of the kept state's identity.
    fn describe(&self) -> String;
}

/// The number of records.
pub fn count() -> Count {
    Count
}

/// See [`count`].
#[derive(Clone, Copy, Debug)]
pub struct Count;

impl<D: 'static> Aggregate<D> for Count {
    type State = u64;
    type Out = u64;

    fn zero(&self) -> u64 {
        0
    }

    fn add(&self, state: &mut u64, _: &Rec<D>) -> Result<()> {
        *state += 1;
        Ok(())
    }

    fn finish(&self, state: &u64) -> u64 {
        *state
    }

    fn describe(&self) -> String {
        "count".to_owned()
    }
}

macro_rules! by_value {
    ($function:ident, $type:ident, $what:literal) => {
        #[doc = $what]
        pub fn $function<D, N, F: Fn(&D) -> N>(value: F) -> $type<F> {
            $type(value)
        }

        #[doc = concat!("See [`", stringify!($function), "`].")]
        #[derive(Clone, Copy, Debug)]
        pub struct $type<F>(F);
    };
}

by_value!(sum, Sum, "The exact sum of an integer of each record.");
by_value!(min, Min, "The least value over all records.");
by_value!(max, Max, "The greatest value over all records.");
by_value!(average, Average, "The mean of an integer of each record, from an exact sum.");

fn sum_into(state: &mut i128, value: i128) -> Result<()> {
    *state = state
        .checked_add(value)
        .ok_or_else(|| Error::new(Kind::Input, "a sum left the range of 128 bits"))?;
    Ok(())
}

impl<D, N, F> Aggregate<D> for Sum<F>
where
    F: Fn(&D) -> N + 'static,
    N: Into<i128> + 'static,
{
    type State = i128;
    type Out = i128;

    fn zero(&self) -> i128 {
        0
    }

    fn add(&self, state: &mut i128, rec: &Rec<D>) -> Result<()> {
        sum_into(state, (self.0)(&rec.row).into())
    }

    fn finish(&self, state: &i128) -> i128 {
        *state
    }

    fn describe(&self) -> String {
        "sum".to_owned()
    }
}

impl<D, N: Row, F: Fn(&D) -> N + 'static> Aggregate<D> for Min<F> {
    type State = Option<N>;
    type Out = N;

    fn zero(&self) -> Option<N> {
        None
    }

    fn add(&self, state: &mut Option<N>, rec: &Rec<D>) -> Result<()> {
        let value = (self.0)(&rec.row);
        if state.as_ref().is_none_or(|least| value < *least) {
            *state = Some(value);
        }
        Ok(())
    }

    fn finish(&self, state: &Option<N>) -> N {
        state.clone().expect("a shown state has taken a record")
    }

    fn describe(&self) -> String {
        "min".to_owned()
    }
}

impl<D, N: Row, F: Fn(&D) -> N + 'static> Aggregate<D> for Max<F> {
    type State = Option<N>;
    type Out = N;

    fn zero(&self) -> Option<N> {
        None
    }

    fn add(&self, state: &mut Option<N>, rec: &Rec<D>) -> Result<()> {
        let value = (self.0)(&rec.row);
        if state.as_ref().is_none_or(|greatest| value > *greatest) {
            *state = Some(value);
        }
        Ok(())
    }

    fn finish(&self, state: &Option<N>) -> N {
        state.clone().expect("a shown state has taken a record")
    }

    fn describe(&self) -> String {
        "max".to_owned()
    }
}

impl<D, N, F> Aggregate<D> for Average<F>
where
    F: Fn(&D) -> N + 'static,
    N: Into<i128> + 'static,
{
    type State = (i128, u64);
    type Out = F64;

    fn zero(&self) -> (i128, u64) {
        (0, 0)
    }

    fn add(&self, state: &mut (i128, u64), rec: &Rec<D>) -> Result<()> {
        state.1 += 1;
        sum_into(&mut state.0, (self.0)(&rec.row).into())
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean is rounded once, from exact numbers")]
    fn finish(&self, state: &(i128, u64)) -> F64 {
        F64::new(state.0 as f64 / state.1 as f64)
    }

    fn describe(&self) -> String {
        "average".to_owned()
    }
}

/// The value of the record with the least version (ties: the least position, then the least value).
pub fn first_by<D, O, V, F: Fn(&D) -> O, G: Fn(&D) -> V>(version: F, value: G) -> Edge<F, G> {
    Edge { version, value, side: Side::First }
}

/// The value of the record with the greatest version (ties: the greatest position, then the greatest value).
pub fn last_by<D, O, V, F: Fn(&D) -> O, G: Fn(&D) -> V>(version: F, value: G) -> Edge<F, G> {
    Edge { version, value, side: Side::Last }
}

/// The value of the record with the least score: the first one that has it, by position.
pub fn min_by<D, O, V, F: Fn(&D) -> O, G: Fn(&D) -> V>(score: F, value: G) -> Edge<F, G> {
    Edge { version: score, value, side: Side::Least }
}

/// The value of the record with the greatest score: the first one that has it, by position.
pub fn max_by<D, O, V, F: Fn(&D) -> O, G: Fn(&D) -> V>(score: F, value: G) -> Edge<F, G> {
    Edge { version: score, value, side: Side::Greatest }
}

/// The value of the first record by event time (ties, and streams without event time: the least position, then the least value).
pub fn first<D, V, G: Fn(&D) -> V>(value: G) -> End<G> {
    End { value, side: Side::First }
}

/// The value of the last record by event time (ties, and streams without event time: the greatest position, then the greatest value).
pub fn last<D, V, G: Fn(&D) -> V>(value: G) -> End<G> {
    End { value, side: Side::Last }
}

/// Which record of all wins. Whatever the rule, (version, position, value) decides, so the order of arrival does not.
#[derive(Clone, Copy, Debug)]
enum Side {
    First,
    Last,
    Least,
    Greatest,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Side::First => "first",
            Side::Last => "last",
            Side::Least => "min",
            Side::Greatest => "max",
        }
    }

    /// Takes a record in if it wins over the one that is held.
    fn take<O: Ord, V: Ord>(
        self,
        held: &mut Option<(O, u64, V)>,
        (version, pos): (O, u64),
        value: impl FnOnce() -> V,
    ) {
        let Some((held_version, held_pos, held_value)) = held else {
            *held = Some((version, pos, value()));
            return;
        };
        // Greater is better, as this side sees it.
        let (by_version, by_pos) = (version.cmp(held_version), pos.cmp(held_pos));
        let order = match self {
            Side::First | Side::Least => by_version.reverse().then(by_pos.reverse()),
            Side::Last => by_version.then(by_pos),
            Side::Greatest => by_version.then(by_pos.reverse()),
        };
        match order {
            Ordering::Less => {}
            Ordering::Greater => *held = Some((version, pos, value())),
            Ordering::Equal => {
                let value = value();
                let wins = match self {
                    Side::Last => value > *held_value,
                    _ => value < *held_value,
                };
                if wins {
                    *held_value = value;
                }
            }
        }
    }
}

/// See [`first_by`], [`last_by`], [`min_by`] and [`max_by`].
#[derive(Clone, Copy, Debug)]
pub struct Edge<F, G> {
    version: F,
    value: G,
    side: Side,
}

impl<D, O, V, F, G> Aggregate<D> for Edge<F, G>
where
    O: Row,
    V: Row,
    F: Fn(&D) -> O + 'static,
    G: Fn(&D) -> V + 'static,
{
    type State = Option<(O, u64, V)>;
    type Out = V;

    fn zero(&self) -> Self::State {
        None
    }

    fn add(&self, state: &mut Self::State, rec: &Rec<D>) -> Result<()> {
        let key = ((self.version)(&rec.row), rec.pos.0);
        self.side.take(state, key, || (self.value)(&rec.row));
        Ok(())
    }

    fn finish(&self, state: &Self::State) -> V {
        state.as_ref().expect("a shown state has taken a record").2.clone()
    }

    fn describe(&self) -> String {
        format!("{}_by", self.side.name())
    }
}

/// See [`first()`] and [`last()`].
#[derive(Clone, Copy, Debug)]
pub struct End<G> {
    value: G,
    side: Side,
}

impl<D, V: Row, G: Fn(&D) -> V + 'static> Aggregate<D> for End<G> {
    type State = Option<(i64, u64, V)>;
    type Out = V;

    fn zero(&self) -> Self::State {
        None
    }

    fn add(&self, state: &mut Self::State, rec: &Rec<D>) -> Result<()> {
        self.side.take(state, (rec.at, rec.pos.0), || (self.value)(&rec.row));
        Ok(())
    }

    fn finish(&self, state: &Self::State) -> V {
        state.as_ref().expect("a shown state has taken a record").2.clone()
    }

    fn describe(&self) -> String {
        self.side.name().to_owned()
    }
}

macro_rules! tuple {
    ($($name:ident $at:tt),+) => {
        impl<D: 'static, $($name: Aggregate<D>),+> Aggregate<D> for ($($name,)+) {
            type State = ($($name::State,)+);
            type Out = ($($name::Out,)+);

            fn zero(&self) -> Self::State {
                ($(self.$at.zero(),)+)
            }

            fn add(&self, state: &mut Self::State, rec: &Rec<D>) -> Result<()> {
                $(self.$at.add(&mut state.$at, rec)?;)+
                Ok(())
            }

            fn finish(&self, state: &Self::State) -> Self::Out {
                ($(self.$at.finish(&state.$at),)+)
            }

            fn describe(&self) -> String {
                [$(self.$at.describe()),+].join(", ")
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, E 3);
tuple!(A 0, B 1, C 2, E 3, F 4);
tuple!(A 0, B 1, C 2, E 3, F 4, G 5);

/// An accumulator as the logic of a keyed operator.
pub(crate) struct Accumulate<K, D, A> {
    pub(crate) aggregate: Rc<A>,
    pub(crate) rows: PhantomData<(K, D)>,
}

impl<K, D, A> Clone for Accumulate<K, D, A> {
    fn clone(&self) -> Self {
        Accumulate { aggregate: Rc::clone(&self.aggregate), rows: PhantomData }
    }
}

impl<K, D, A: Aggregate<D>> Accumulate<K, D, A> {
    /// Takes a record in that is only lent.
    pub(crate) fn add(&self, state: &mut Option<A::State>, rec: &Rec<D>) -> Result<()> {
        self.aggregate.add(state.get_or_insert_with(|| self.aggregate.zero()), rec)
    }
}

impl<K: Row, D: timely::ExchangeData, A: Aggregate<D>> Logic for Accumulate<K, D, A> {
    type Key = K;
    type In = D;
    type State = A::State;
    type Out = A::Out;

    fn apply(&self, state: &mut Option<A::State>, rec: Rec<D>) -> Result<()> {
        self.add(state, &rec)
    }

    fn output(&self, state: &A::State) -> Option<A::Out> {
        Some(self.aggregate.finish(state))
    }
}
