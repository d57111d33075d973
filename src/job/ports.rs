//! What the worker loop sees of sources, kept state, sinks and views, whatever their types.

use crate::error::Result;
use crate::ids::{Diff, Inlet, Lane, Tick};
use crate::row::Schema;
use crate::sinks;
use crate::sources::{Transport, Waker};
use crate::state::manifest::InletState;
use crate::ticks::record::Range;
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A source on one worker.
pub(crate) trait SourceTask {
    /// The source's name.
    fn name(&self) -> &str;

    /// Whether anything of the dataflow takes its rows.
    fn feeds(&self) -> bool;

    /// Opens the worker's reader.
    fn open(&mut self, transport: &dyn Transport, waker: Waker) -> Result<()>;

    /// Takes a partition over, at the next offset and greatest event time that the log gives.
    fn assign(&mut self, at: &InletState) -> Result<()>;

    /// Opens a tick. With `targets` each partition is read to its target and no further; without, until the tick is closed.
    fn open_tick(&mut self, tick: Tick, watermark: Option<i64>, targets: Option<&[(Inlet, u64)]>);

    /// Reads at most `budget` and sends it into the dataflow; lowers the budget by what it took.
    fn poll(&mut self, budget: &mut crate::sources::Budget) -> Result<Found>;

    /// Closes the tick: what was read of each partition in it.
    fn close_tick(&mut self, next: Tick) -> Vec<Range>;

    /// Takes over how the log says that partitions stood after the tick (when it is read from the log).
    fn adopt(&mut self, ranges: &[Range]);

    /// Records of this worker's partitions that wait to be read, by partition, where known.
    fn lag(&self) -> Vec<(Inlet, u64)>;

    /// The record at this place is not decoded.
    fn skip(&mut self, partition: &str, offset: u64);
}

/// What a poll of a source found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Something was read or a partition's activity changed: the tick is worth closing.
    pub(crate) any: bool,
    /// There may be more at once.
    pub(crate) more: bool,
    /// Every target is reached (with targets).
    pub(crate) reached: bool,
}

/// Rows of kept state as they come from a snapshot: encoded key and state.
pub(crate) type Rows<'a> = Box<dyn Iterator<Item = Result<(Vec<u8>, Vec<u8>)>> + 'a>;

/// Kept state on one worker that waits to be restored.
pub(crate) trait RestoreTask {
    /// Sends these rows at `tick` to the workers that keep them, migrating them from the stored schemas of key and state, and
    /// closes; gives their number. With `anew` they are handed to the persister again.
    fn feed(
        &mut self,
        tick: Tick,
        stored: &(Schema, Schema),
        anew: bool,
        rows: Rows<'_>,
    ) -> Result<u64>;

    /// Nothing comes back.
    fn close(&mut self);
}

/// One row on its way to a sink.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct OutRow {
    /// The virtual shard.
    pub(crate) shard: u16,
    /// The key's bytes.
    pub(crate) key: Option<Bytes>,
    /// The position, for streams; 0 for tables.
    pub(crate) pos: u64,
    /// The row's bytes.
    pub(crate) value: Bytes,
    /// How often it comes or goes.
    pub(crate) diff: Diff,
}

/// Ticks of rows on one worker, filled by an operator, taken when they are released.
pub(crate) type Pending<R> = Rc<RefCell<BTreeMap<Tick, Vec<R>>>>;

/// How a sink's rows are made from changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Rows that only come.
    Append,
    /// The last row of each key; a tombstone when it goes.
    Upsert,
    /// Every change with its diff.
    Changelog,
}

impl Mode {
    /// The mode's name in configuration and messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Append => "append",
            Mode::Upsert => "upsert",
            Mode::Changelog => "changelog",
        }
    }
}

/// A sink on one worker.
pub(crate) struct SinkPort {
    /// The sink's name.
    pub(crate) name: String,
    /// How rows are made.
    pub(crate) mode: Mode,
    /// The sink's lanes.
    pub(crate) lanes: u16,
    /// What the operator that feeds it is called, for messages.
    pub(crate) fed_by: String,
    /// Rows of ticks not yet released.
    pub(crate) pending: Pending<OutRow>,
}

impl SinkPort {
    /// The rows of released tick `tick` for each lane of worker `index`, one of `writers` that have lanes, in their canonical order.
    pub(crate) fn release(
        &self,
        tick: Tick,
        index: usize,
        writers: usize,
    ) -> Result<Vec<(Lane, Vec<sinks::Row>)>> {
        let rows = self.pending.borrow_mut().remove(&tick).unwrap_or_default();
        if self.lanes == 1 {
            let rows = if index == 0 {
                vec![(Lane(0), crate::flow::order_rows(self, tick, rows)?)]
            } else {
                Vec::new()
            };
            return Ok(rows);
        }
        let mut lanes: BTreeMap<Lane, Vec<OutRow>> = (0..self.lanes)
            .filter(|lane| usize::from(*lane) % writers == index)
            .map(|lane| (Lane(lane), Vec::new()))
            .collect();
        for row in rows {
            lanes.entry(Lane(row.shard % self.lanes)).or_default().push(row);
        }
        lanes
            .into_iter()
            .map(|(lane, rows)| Ok((lane, crate::flow::order_rows(self, tick, rows)?)))
            .collect()
    }
}
