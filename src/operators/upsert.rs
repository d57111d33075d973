//! Upsert: the newest row of each key, by position.
//!
//! Laws:
//! - Of two records of a key the one with the greater position wins, in whatever order they come within a tick. Records that have one
//!   position (several rows that `flat_map` made of one record, results of one window) are ordered by what they say: the greatest row
//!   wins, and any row wins over a deletion.
//! - A deletion is remembered until its tick is over, and not longer: state is bounded by live rows. So the deletions of a key belong
//!   in one partition with its rows, as Kafka keeps them; then what comes in a later tick stands behind them anyway.

use crate::error::Result;
use crate::flow::Rec;
use crate::operators::keyed::Logic;
use crate::row::Row;
use std::marker::PhantomData;

/// The newest row and where it stood; `None` is a deletion, and lives only within its tick.
pub(crate) struct Newest<K, V>(pub(crate) PhantomData<(K, V)>);

impl<K: Row, V: Row> Logic for Newest<K, V> {
    type Key = K;
    type In = Option<V>;
    type State = (u64, Option<V>);
    type Out = V;

    fn apply(&self, state: &mut Option<(u64, Option<V>)>, rec: Rec<Option<V>>) -> Result<()> {
        let wins = state
            .as_ref()
            .is_none_or(|(pos, held)| *pos < rec.pos.0 || (*pos == rec.pos.0 && *held < rec.row));
        if wins {
            *state = Some((rec.pos.0, rec.row));
        }
        Ok(())
    }

    fn output(&self, state: &(u64, Option<V>)) -> Option<V> {
        state.1.clone()
    }

    fn lives(&self, state: &(u64, Option<V>)) -> bool {
        state.1.is_some()
    }
}
