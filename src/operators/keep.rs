//! Keep: every row of a stream, with its count. The state grows with the number of distinct rows.

use crate::error::Result;
use crate::flow::Rec;
use crate::operators::keyed::Logic;
use crate::row::Row;
use std::marker::PhantomData;

/// The count of a row.
pub(crate) struct Counted<D>(pub(crate) PhantomData<D>);

impl<D: Row> Logic for Counted<D> {
    type Key = D;
    type In = ();
    type State = u64;
    type Out = u64;

    fn apply(&self, state: &mut Option<u64>, _: Rec<()>) -> Result<()> {
        *state.get_or_insert(0) += 1;
        Ok(())
    }

    fn output(&self, state: &u64) -> Option<u64> {
        Some(*state)
    }
}
