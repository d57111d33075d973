//! Sinks as a dataflow declares them: which changes they take, how rows are encoded, and in which one order they go out.
//!
//! Law: the rows of a lane at a tick, and their order, are a function of the tick's consolidated changes. Nothing of arrival,
//! workers or hash maps is in it. Order: (shard, key, retractions first, row bytes), for streams with the position after the key.

use super::context::Flow;
use super::endpoint::{Append, Changelog, Endpoint, Upsert};
use super::graph::What;
use super::plan::{Place, SinkPlan};
use super::reconcile::{Keeping, keeping};
use super::{KeyedTable, Stream, Table};
use crate::error::{Error, Kind, Result};
use crate::formats::encode_json_into;
use crate::hash::{SHARDS, shard};
use crate::ids::{Diff, Tick};
use crate::job::generation::change::OnChange;
use crate::job::ports::{Mode, OutRow, Pending, SinkPort};
use crate::row::Row;
use crate::sinks;
use bytes::Bytes;
use serde::Serialize;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::probe::Probe;

/// What configuration says about a table's sink beside its transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkOptions {
    /// What happens when another program goes on.
    pub on_change: OnChange,
    /// Whether it keeps what it has written, so that [`OnChange::Reconcile`] is possible later.
    pub keeps_written: bool,
}

impl SinkOptions {
    fn keeps(self) -> bool {
        self.keeps_written || self.on_change == OnChange::Reconcile
    }
}

/// What can be written to a sink of kind `M`.
pub trait SinksTo<M> {
    /// The rows that the endpoint takes.
    type Row;

    /// Connects this to the sink.
    #[doc(hidden)]
    fn connect(&self, sink: &Connecting<'_>);
}

/// A sink that is being connected.
#[doc(hidden)]
pub struct Connecting<'a> {
    name: &'a str,
    keys: std::collections::BTreeMap<String, String>,
    place: Place,
}

impl<'s> Flow<'s> {
    /// Declares a sink: a name, what goes there, and the transport that holds unless configuration says otherwise.
    #[track_caller]
    pub fn sink<M, S: SinksTo<M>>(&self, name: &str, rows: &S, endpoint: Endpoint<S::Row, M>) {
        self.sink_at(name, rows, &endpoint, Location::caller());
    }

    pub(crate) fn sink_at<M, S: SinksTo<M>>(
        &self,
        name: &str,
        rows: &S,
        endpoint: &Endpoint<S::Row, M>,
        place: Place,
    ) {
        rows.connect(&Connecting { name, keys: endpoint.keys.clone(), place });
    }
}

/// What feeds a sink.
#[derive(Clone, Copy)]
struct Feed<'a> {
    /// The operator's name, for messages.
    by: &'a dyn std::fmt::Display,
    table: bool,
}

/// A row whose bytes lie in a buffer that is still filled with others: an allocation for a message of rows, not for each row and on
/// another thread than the one that frees it.
struct Draft {
    shard: u16,
    key: Option<Range<usize>>,
    pos: u64,
    value: Range<usize>,
    diff: Diff,
}

impl Draft {
    fn of(self, buffer: &Bytes) -> OutRow {
        let Draft { shard, key, pos, value, diff } = self;
        let key = key.map(|key| buffer.slice(key));
        OutRow { shard, key, pos, value: buffer.slice(value), diff }
    }
}

/// Puts a value as JSON behind what the buffer holds, and gives where it is.
fn put<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<Range<usize>> {
    let begin = buffer.len();
    encode_json_into(value, buffer)?;
    Ok(begin..buffer.len())
}

/// A keyed row as a value that carries its key.
#[derive(Serialize)]
struct Whole<'a, K, V> {
    key: &'a K,
    value: &'a V,
}

impl<D: Row> SinksTo<Append> for Stream<'_, D> {
    type Row = D;

    fn connect(&self, sink: &Connecting<'_>) {
        let encoded = encode(
            &self.inner(),
            &self.flow,
            sink,
            |_, stamp| stamp,
            |rec, buffer| {
                let value = put(&rec.row, buffer)?;
                let shard = shard(&buffer[value.clone()]);
                Ok(Draft { shard, key: None, pos: rec.pos.0, value, diff: 1 })
            },
        );
        attach(&self.flow, sink, Mode::Append, Feed { by: &self.made_by, table: false }, &encoded);
    }
}

impl<D: Row> SinksTo<Append> for Table<'_, D> {
    type Row = D;

    fn connect(&self, sink: &Connecting<'_>) {
        connect_table(self, sink, Mode::Append);
    }
}

impl<D: Row> SinksTo<Changelog> for Table<'_, D> {
    type Row = D;

    fn connect(&self, sink: &Connecting<'_>) {
        connect_table(self, sink, Mode::Changelog);
    }
}

fn connect_table<D: Row>(table: &Table<'_, D>, sink: &Connecting<'_>, mode: Mode) {
    let encoded = encode(
        &table.rows.inner,
        &table.flow,
        sink,
        |(_, tick, _), _| *tick,
        |(row, _, diff), buffer| {
            let value = put(row, buffer)?;
            let shard = shard(&buffer[value.clone()]);
            Ok(Draft { shard, key: None, pos: 0, value, diff: *diff })
        },
    );
    attach(&table.flow, sink, mode, Feed { by: &table.origin, table: true }, &encoded);
}

impl<K: Row, V: Row> SinksTo<Append> for KeyedTable<'_, K, V> {
    type Row = V;

    fn connect(&self, sink: &Connecting<'_>) {
        connect_keyed(self, sink, Mode::Append);
    }
}

impl<K: Row, V: Row> SinksTo<Upsert> for KeyedTable<'_, K, V> {
    type Row = V;

    fn connect(&self, sink: &Connecting<'_>) {
        connect_keyed(self, sink, Mode::Upsert);
    }
}

impl<K: Row, V: Row> SinksTo<Changelog> for KeyedTable<'_, K, V> {
    type Row = V;

    fn connect(&self, sink: &Connecting<'_>) {
        connect_keyed(self, sink, Mode::Changelog);
    }
}

fn connect_keyed<K: Row, V: Row>(table: &KeyedTable<'_, K, V>, sink: &Connecting<'_>, mode: Mode) {
    let rows = table.proven(&format!("sink {:?}", sink.name), sink.place);
    let encoded = encode(
        &rows.inner,
        &table.flow,
        sink,
        |(_, tick, _), _| *tick,
        move |((key, row), _, diff), buffer| {
            let bare = put(key, buffer)?;
            let value = match mode {
                Mode::Append => put(&Whole { key, value: row }, buffer)?,
                Mode::Upsert | Mode::Changelog => put(row, buffer)?,
            };
            let shard = shard(&buffer[bare.clone()]);
            Ok(Draft { shard, key: Some(bare), pos: 0, value, diff: *diff })
        },
    );
    attach(&table.flow, sink, mode, Feed { by: &table.origin, table: true }, &encoded);
}

/// Encodes rows where they are, before they are sent to their lane; ticks that the sink has are cut before that. `tick` is the tick of
/// a row, given that of its message: a message of a collection may carry updates of later ticks than its own.
fn encode<'s, D: Clone + 'static>(
    stream: &StreamVec<'s, Tick, D>,
    flow: &Flow<'s>,
    sink: &Connecting<'_>,
    tick: impl Fn(&D, Tick) -> Tick + 'static,
    row: impl Fn(&D, &mut Vec<u8>) -> Result<Draft> + 'static,
) -> StreamVec<'s, Tick, (Tick, OutRow)> {
    // What a sink keeps is of all ticks, and an image is made of ticks before its own.
    let all = flow.context.images.contains_key(sink.name) || options(flow, sink).keeps();
    let written = flow.context.written.get(sink.name).copied().filter(|_| !all).unwrap_or(0);
    let (context, name) = (Rc::clone(&flow.context), sink.name.to_owned());
    stream.clone().unary::<CapacityContainerBuilder<Vec<(Tick, OutRow)>>, _, _, _>(
        Pipeline,
        "Encode",
        move |_, _| {
            let mut drafts: Vec<(Tick, Draft)> = Vec::new();
            // Bytes of a row of the message before.
            let mut width = 0;
            move |input, output| {
                input.for_each(|stamp, rows| {
                    let sent = *stamp.least().expect("a message has a time");
                    let mut buffer = Vec::with_capacity(rows.len() * width);
                    for given in rows.drain(..) {
                        let tick = tick(&given, sent);
                        if tick <= written {
                            continue;
                        }
                        match row(&given, &mut buffer) {
                            Ok(draft) => drafts.push((tick, draft)),
                            Err(error) => context.failure.fail(error.at(format!("sink {name:?}"))),
                        }
                    }
                    width = buffer.len().div_ceil(drafts.len().max(1));
                    let buffer = Bytes::from(buffer);
                    let rows = drafts.drain(..).map(|(tick, draft)| (tick, draft.of(&buffer)));
                    output.session(&stamp).give_iterator(rows);
                });
            }
        },
    )
}

fn options(flow: &Flow<'_>, sink: &Connecting<'_>) -> SinkOptions {
    flow.context.sink_options.get(sink.name).copied().unwrap_or_default()
}

fn declare(flow: &Flow<'_>, sink: &Connecting<'_>, mode: Mode, feed: Feed<'_>) {
    let mut plan = flow.context.plan.borrow_mut();
    let earlier: Vec<_> = plan.sinks.iter().map(|s| (s.name.clone(), s.place)).collect();
    plan.once("sink", sink.name, sink.place, earlier.iter().map(|(n, p)| (n.as_str(), *p)));
    if options(flow, sink).keeps() && (!feed.table || mode == Mode::Append) {
        let text = format!(
            "sink {:?} can't reconcile: {}; take reconcile and on_change = \"reconcile\" out of [sink.{}]",
            sink.name,
            if feed.table {
                "it only appends, and could take nothing back"
            } else {
                "it is fed by a stream, whose rows came once and for all"
            },
            sink.name
        );
        plan.problem(sink.place, text);
    }
    let (name, defaults) = (sink.name.to_owned(), sink.keys.clone());
    let mode = mode.name();
    plan.sinks.push(SinkPlan { name, defaults, mode, of_table: feed.table, place: sink.place });
}

fn attach<'s>(
    flow: &Flow<'s>,
    sink: &Connecting<'_>,
    mode: Mode,
    feed: Feed<'_>,
    rows: &StreamVec<'s, Tick, (Tick, OutRow)>,
) {
    declare(flow, sink, mode, feed);
    let lanes = flow.context.lanes.get(sink.name).copied().unwrap_or(1).max(1);
    let pending: Pending<OutRow> = Rc::default();
    let filled = Rc::clone(&pending);
    // Of an upsert sink only the store has what it has written.
    let copies = usize::from(options(flow, sink).keeps() && mode == Mode::Changelog);
    let end = if options(flow, sink).keeps() {
        let sink = Keeping { name: sink.name.to_owned(), mode, lanes, place: sink.place };
        keeping(flow, &sink, rows, filled)
    } else {
        let image = flow.context.images.get(sink.name).map_or(0, |image| image.tick);
        let writers = flow.context.writers;
        let by_lane =
            Exchange::new(move |(_, row): &(Tick, OutRow)| writer_of(row.shard, lanes, writers));
        rows.clone()
            .unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(by_lane, "Sink", move |_, _| {
                move |input, _| {
                    input.for_each(|_, rows| {
                        let mut filled = filled.borrow_mut();
                        let Some(first) = rows.first().map(|(tick, _)| *tick) else { return };
                        if rows.iter().all(|(tick, _)| *tick == first) {
                            let rows = rows.drain(..).map(|(_, row)| row);
                            filled.entry(first.max(image)).or_default().extend(rows);
                            return;
                        }
                        for (tick, row) in rows.drain(..) {
                            filled.entry(tick.max(image)).or_default().push(row);
                        }
                    });
                }
            })
            .probe_with(&flow.probe)
    };
    flow.made(
        What::new(format!("sink ({})", mode.name()), sink.place).named(sink.name).holds(copies),
        &end,
    );
    flow.context.sinks.borrow_mut().push(SinkPort {
        name: sink.name.to_owned(),
        mode,
        lanes,
        fed_by: feed.by.to_string(),
        pending,
    });
}

/// The worker, of the first `writers`, that has the lane of `shard`.
pub(super) fn writer_of(shard: u16, lanes: u16, writers: usize) -> u64 {
    (usize::from(shard % lanes) % writers) as u64
}

/// The rows that go out for the changes of one lane at one tick.
pub(crate) fn order_rows(
    port: &SinkPort,
    tick: Tick,
    rows: Vec<OutRow>,
) -> Result<Vec<sinks::Row>> {
    let net = net(rows);
    let place = || format!("sink {:?}, tick {tick}", port.name);
    let mut out = match port.mode {
        Mode::Append => append(net, port),
        Mode::Changelog => Ok(changelog(net)),
        Mode::Upsert => upsert(net),
    }
    .map_err(|error| error.at(place()))?;
    if port.mode == Mode::Append {
        return Ok(out);
    }
    out.sort();
    Ok(out)
}

/// Rows in their order, equal ones as one with the sum of their diffs, those that sum to nothing left out.
pub(super) fn net(rows: Vec<OutRow>) -> Vec<OutRow> {
    let rows = sorted(rows);
    let mut net: Vec<OutRow> = Vec::with_capacity(rows.len());
    for row in rows {
        match net.last_mut() {
            Some(last) if same(last, &row) => last.diff += row.diff,
            _ => net.push(row),
        }
    }
    net.retain(|row| row.diff != 0);
    net
}

/// Below this a comparing sort is as quick.
const BUCKETED: usize = 1024;

/// The rows in their order. Many rows are dealt out by shard first, which leaves only a few to compare with each other.
fn sorted(mut rows: Vec<OutRow>) -> Vec<OutRow> {
    if rows.len() < BUCKETED {
        rows.sort_unstable();
        return rows;
    }
    let mut ends = vec![0_usize; usize::from(SHARDS)];
    for row in &rows {
        ends[usize::from(row.shard)] += 1;
    }
    let mut end = 0;
    for count in &mut ends {
        end += std::mem::replace(count, end);
    }
    let mut order = vec![0_usize; rows.len()];
    for (index, row) in rows.iter().enumerate() {
        let place = &mut ends[usize::from(row.shard)];
        order[*place] = index;
        *place += 1;
    }
    let mut begin = 0;
    for end in ends {
        order[begin..end].sort_unstable_by(|a, b| rows[*a].cmp(&rows[*b]));
        begin = end;
    }
    let mut rows: Vec<Option<OutRow>> = rows.into_iter().map(Some).collect();
    order.into_iter().map(|index| rows[index].take().expect("each index once")).collect()
}

fn same(a: &OutRow, b: &OutRow) -> bool {
    (a.shard, &a.key, a.pos, &a.value) == (b.shard, &b.key, b.pos, &b.value)
}

fn times(diff: Diff) -> usize {
    diff.unsigned_abs()
}

/// Append: nothing may go.
fn append(rows: Vec<OutRow>, port: &SinkPort) -> Result<Vec<sinks::Row>> {
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        if row.diff < 0 {
            return Err(Error::new(
                Kind::Config,
                format!(
                    "{} takes the row {} back, but the sink only appends; use .changelog() or .upsert()",
                    port.fed_by,
                    String::from_utf8_lossy(&row.value)
                ),
            ));
        }
        let count = times(row.diff);
        let row = sinks::Row { shard: row.shard, key: row.key, diff: 1, value: Some(row.value) };
        out.extend(std::iter::repeat_n(row, count));
    }
    Ok(out)
}

/// Changelog: each change as often as it happened, its value wrapped with key and diff.
fn changelog(rows: Vec<OutRow>) -> Vec<sinks::Row> {
    const AROUND: usize = br#"{"key":,"value":,"diff":-1}"#.len();
    let held = |row: &OutRow| AROUND + row.key.as_ref().map_or(0, Bytes::len) + row.value.len();
    let mut buffer = Vec::with_capacity(rows.iter().map(held).sum());
    let mut wrap = |row: &OutRow| {
        let begin = buffer.len();
        buffer.push(b'{');
        if let Some(key) = &row.key {
            buffer.extend_from_slice(b"\"key\":");
            buffer.extend_from_slice(key);
            buffer.push(b',');
        }
        buffer.extend_from_slice(b"\"value\":");
        buffer.extend_from_slice(&row.value);
        let diff: &[u8] = if row.diff < 0 { b",\"diff\":-1}" } else { b",\"diff\":1}" };
        buffer.extend_from_slice(diff);
        begin..buffer.len()
    };
    let wrapped: Vec<Range<usize>> = rows.iter().map(&mut wrap).collect();
    let buffer = Bytes::from(buffer);
    let mut out = Vec::with_capacity(rows.len());
    for (row, value) in rows.into_iter().zip(wrapped) {
        let diff = if row.diff < 0 { -1 } else { 1 };
        let value = Some(buffer.slice(value));
        let wrapped = sinks::Row { shard: row.shard, key: row.key, diff, value };
        out.extend(std::iter::repeat_n(wrapped, times(row.diff)));
    }
    out
}

/// Upsert: the row of each key that stays, or a tombstone.
fn upsert(rows: Vec<OutRow>) -> Result<Vec<sinks::Row>> {
    let mut out: Vec<sinks::Row> = Vec::new();
    for row in rows {
        let fresh = out.last().is_none_or(|last| last.key != row.key);
        if fresh {
            out.push(sinks::Row { shard: row.shard, key: row.key.clone(), diff: 1, value: None });
        }
        let last = out.last_mut().expect("just pushed");
        match row.diff {
            1 if last.value.is_none() => last.value = Some(row.value),
            -1 => {}
            _ => {
                let key =
                    String::from_utf8_lossy(row.key.as_deref().unwrap_or_default()).into_owned();
                return Err(Error::new(
                    Kind::Input,
                    format!("two rows have the key {key}; the table is not unique by its key"),
                ));
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
