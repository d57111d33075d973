//! Upsert: the newest row of each key, by position. The records of a key are expected in one partition, as Kafka keeps them.

use crate::error::Result;
use crate::flow::Rec;
use crate::operators::keyed::Logic;
use crate::row::Row;
use std::marker::PhantomData;

/// The newest row and where it stood. Of two records the one with the greater position wins, whatever their ticks.
pub(crate) struct Newest<K, V>(pub(crate) PhantomData<(K, V)>);

impl<K: Row, V: Row> Logic for Newest<K, V> {
    type Key = K;
    type In = Option<V>;
    type State = (u64, V);
    type Out = V;

    fn apply(&self, state: &mut Option<(u64, V)>, rec: Rec<Option<V>>) -> Result<()> {
        if state.as_ref().is_none_or(|(pos, _)| *pos <= rec.pos.0) {
            *state = rec.row.map(|row| (rec.pos.0, row));
        }
        Ok(())
    }

    fn output(&self, state: &(u64, V)) -> Option<V> {
        Some(state.1.clone())
    }
}
