//! Sinks that keep what they have written, so that a changed program can write the difference to it. No transport is known here.
//!
//! Laws:
//! - Of an upsert sink each key's last row is kept, of a changelog each row's sum: what a reader has who folds all rows.
//! - What is kept changes by the rows of a tick as they are written, so it never depends on how they were derived.
//! - The difference is the new table with the kept rows taken away, at one tick; consolidation leaves what differs.

use super::context::Flow;
use super::plan::{KeptPlan, Place};
use super::sink::{net, writer_of};
use crate::hash::{Map, shard};
use crate::ids::{Diff, Tick};
use crate::job::ports::{Mode, OutRow, Pending};
use crate::operators::keyed::frontier_of;
use crate::operators::restore;
use crate::row::Row;
use crate::state::changes::ChangeBuffer;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe::Probe;

/// What uids of what sinks have written begin with.
pub(crate) const SINK_UIDS: &str = "sink/";

/// The uid under which a sink keeps what it has written.
pub(crate) fn written_uid(sink: &str) -> String {
    format!("{SINK_UIDS}{sink}")
}

/// The key of a kept row: of an upsert sink the row's key and nothing, of a changelog the key (if it has one) and the row.
type Key = (Option<Vec<u8>>, Vec<u8>);
/// How often the row is there, and of an upsert sink the row.
type State = (i64, Vec<u8>);

/// What is fixed about one sink.
pub(super) struct Keeping {
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) lanes: u16,
    pub(super) place: Place,
}

fn plan(sink: &Keeping) -> KeptPlan {
    let operator = match sink.mode {
        Mode::Upsert => "sink upsert",
        Mode::Changelog | Mode::Append => "sink changelog",
    };
    KeptPlan {
        uid: written_uid(&sink.name),
        operator: operator.to_owned(),
        key: Key::schema(),
        state: State::schema().with("operator", operator),
        bound: "one row for each row of the table that the sink writes".to_owned(),
        place: sink.place,
    }
}

/// A kept row as the row that the sink has written, `diff` times.
fn out_row((key, row): &Key, (count, last): &State, diff: Diff) -> OutRow {
    let value = if row.is_empty() { last } else { row };
    let shard = shard(key.as_ref().unwrap_or(value));
    let diff = diff * isize::try_from(*count).unwrap_or(isize::MAX);
    let key = key.clone().map(Bytes::from);
    OutRow { shard, key, pos: 0, value: value.clone().into(), diff }
}

/// What is kept of a changelog on this worker: sums need what was there. An upsert sink's rows replace each other.
struct Kept {
    mode: Mode,
    number: u16,
    sums: Map<Key, i64>,
}

impl Kept {
    fn restored(&mut self, key: Key, state: &State) {
        if self.mode != Mode::Upsert {
            self.sums.insert(key, state.0);
        }
    }

    /// Takes in what is written at a tick: `rows` are consolidated and in their order, so those of a key stand together.
    fn write(&mut self, tick: Tick, rows: &[OutRow], changes: &mut ChangeBuffer) {
        for rows in rows.chunk_by(|a, b| self.mode == Mode::Upsert && a.key == b.key) {
            let row_key = rows[0].key.as_ref().map(|key| key.to_vec());
            if self.mode == Mode::Upsert {
                let key: Key = (row_key, Vec::new());
                let last = rows.iter().rev().find(|row| row.diff > 0);
                let state = last.map(|row| (1, row.value.to_vec()));
                put(changes, self.number, tick, &key, state);
                continue;
            }
            let row = &rows[0];
            let key = (row_key, row.value.to_vec());
            let sum = self.sums.remove(&key).unwrap_or(0) + row.diff as i64;
            let state = (sum != 0).then(|| (sum, Vec::new()));
            put(changes, self.number, tick, &key, state);
            if sum != 0 {
                self.sums.insert(key, sum);
            }
        }
    }
}

fn put(changes: &mut ChangeBuffer, uid: u16, tick: Tick, key: &Key, state: Option<State>) {
    match state {
        Some(state) => changes.put(uid, tick, |b| key.encode(b), |b| state.encode(b)),
        None => changes.remove(uid, tick, |b| key.encode(b)),
    }
}

/// Fills `pending` with the rows of ticks above the one through which the sink is written, and keeps what they add up to.
pub(super) fn keeping<'s>(
    flow: &Flow<'s>,
    sink: &Keeping,
    rows: &StreamVec<'s, Tick, (Tick, OutRow)>,
    pending: Pending<OutRow>,
) -> StreamVec<'s, Tick, ()> {
    let kept: restore::Kept<'s, Key, State> = restore::keep(flow, plan(sink));
    let context = Rc::clone(&flow.context);
    let written = context.written.get(&sink.name).copied().unwrap_or(0);
    let image = context.images.get(&sink.name).copied();
    let image_tick = image.map_or(0, |image| image.tick);
    let (mode, lanes) = (sink.mode, sink.lanes);
    let writers = flow.context.writers;
    let lane = move |shard: u16| writer_of(shard, lanes, writers);
    let mut builder = OperatorBuilder::new(format!("Sink({})", sink.name), flow.scope);
    let by_lane = Exchange::new(move |(_, row): &(Tick, OutRow)| lane(row.shard));
    let mut data = builder.new_input(rows.clone(), by_lane);
    let kept_by_lane =
        Exchange::new(move |(key, state): &(Key, State)| lane(out_row(key, state, 1).shard));
    let mut restored = builder.new_input(kept.restored, kept_by_lane);
    let (output, stream) = builder.new_output::<Vec<()>>();
    // Nothing is given; its frontier says how far the sink is.
    let _output = OutputBuilder::<_, CapacityContainerBuilder<Vec<()>>>::from(output);
    builder.build(move |mut capabilities| {
        let mut capability = capabilities.pop();
        let mut kept_rows = Kept { mode, number: kept.number, sums: Map::default() };
        let (start, live) = (context.start, kept.live);
        let mut stash: BTreeMap<Tick, Vec<OutRow>> = BTreeMap::new();
        move |frontiers| {
            restored.for_each(|_, rows| {
                for (key, state) in rows.drain(..) {
                    if image.is_some_and(|image| image.less_written) {
                        stash.entry(image_tick).or_default().push(out_row(&key, &state, -1));
                    }
                    kept_rows.restored(key, &state);
                }
            });
            data.for_each(|_, rows| {
                for (tick, row) in rows.drain(..) {
                    stash.entry(tick.max(image_tick)).or_default().push(row);
                }
            });
            let frontier = frontier_of(frontiers);
            while let Some(entry) = stash.first_entry()
                && frontier.is_none_or(|frontier| *entry.key() < frontier)
            {
                let (tick, rows) = entry.remove_entry();
                // The table as it was restored is what was written.
                if tick <= start {
                    continue;
                }
                let rows = net(rows);
                kept_rows.write(tick, &rows, &mut context.changes.borrow_mut());
                if tick > written {
                    pending.borrow_mut().entry(tick).or_default().extend(rows);
                }
            }
            live.set(kept_rows.sums.len());
            // Held until here, so that a tick is not through before its changes are handed over.
            match (capability.as_mut(), frontier) {
                (Some(held), Some(frontier)) if frontier > *held.time() => {
                    held.downgrade(&frontier)
                }
                (_, None) => capability = None,
                _ => {}
            }
        }
    });
    stream.probe_with(&flow.probe)
}
