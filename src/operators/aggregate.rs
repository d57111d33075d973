//! Accumulators: commutative and associative, exact, and equal to their state. A tuple of them is one.

use crate::error::{Error, Kind, Result};
use crate::flow::Rec;
use crate::operators::keyed::Logic;
use crate::row::{F64, Row};
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

/// The value of the record with the least version (ties: the least position).
pub fn first_by<D, O, V, F: Fn(&D) -> O, G: Fn(&D) -> V>(version: F, value: G) -> Edge<F, G> {
    Edge { version, value, last: false }
}

/// The value of the record with the greatest version (ties: the greatest position).
pub fn last_by<D, O, V, F: Fn(&D) -> O, G: Fn(&D) -> V>(version: F, value: G) -> Edge<F, G> {
    Edge { version, value, last: true }
}

/// See [`first_by`] and [`last_by`].
#[derive(Clone, Copy, Debug)]
pub struct Edge<F, G> {
    version: F,
    value: G,
    last: bool,
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
        let found = ((self.version)(&rec.row), rec.pos.0);
        let wins = state.as_ref().is_none_or(|(version, pos, _)| {
            let held = (version, pos);
            if self.last { (&found.0, &found.1) >= held } else { (&found.0, &found.1) < held }
        });
        if wins {
            *state = Some((found.0, found.1, (self.value)(&rec.row)));
        }
        Ok(())
    }

    fn finish(&self, state: &Self::State) -> V {
        state.as_ref().expect("a shown state has taken a record").2.clone()
    }

    fn describe(&self) -> String {
        if self.last { "last".to_owned() } else { "first".to_owned() }
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

impl<K: Row, D: timely::ExchangeData, A: Aggregate<D>> Logic for Accumulate<K, D, A> {
    type Key = K;
    type In = D;
    type State = A::State;
    type Out = A::Out;

    fn apply(&self, state: &mut Option<A::State>, rec: Rec<D>) -> Result<()> {
        self.aggregate.add(state.get_or_insert_with(|| self.aggregate.zero()), &rec)
    }

    fn output(&self, state: &A::State) -> Option<A::Out> {
        Some(self.aggregate.finish(state))
    }
}
