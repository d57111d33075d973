//! The record of a stream: the row with its three stamps.

use crate::ids::Pos;
use serde::{Deserialize, Serialize};

/// The event time of a record that has none.
pub(crate) const UNKNOWN: i64 = i64::MIN;

/// A row with its event time, its stamp and its position (24 bytes beside the row).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rec<D> {
    /// Event time in microseconds; `i64::MIN` if the source has none.
    pub at: i64,
    /// The partition's greatest event time before this record minus the lag, in microseconds: what lateness is judged by.
    pub stamp: i64,
    /// Where the record stands.
    pub pos: Pos,
    /// The row.
    pub row: D,
}

impl<D> Rec<D> {
    /// The same stamps with another row.
    pub fn with<E>(&self, row: E) -> Rec<E> {
        Rec { at: self.at, stamp: self.stamp, pos: self.pos, row }
    }
}
