//! The dataflows that are measured: those of `dataflows/`, and a few that only a bench wants.

use dataflows::nexmark;
use std::process::ExitCode;
use std::time::Duration;
use tidemark::flow::endpoint::{file, kafka};
use tidemark::flow::{Build, Flow, KeyedTable, Lag};
use tidemark::operators::aggregate::{count, max};
use tidemark::operators::window::tumbling;
use tidemark::{EventTime, Row};

/// The engine's own command line.
pub(crate) fn main() -> ExitCode {
    tidemark::main([
        ("q1", nexmark::q1 as Build),
        ("q3", q3),
        ("q5", nexmark::q5),
        ("relay", relay),
        ("totals", totals),
        ("rows", rows),
        ("pairs", pairs),
        ("pairs-kept", pairs_kept),
    ])
}

/// Q3 without its view, so that a job over a bounded input ends.
fn q3(flow: &Flow<'_>) {
    flow.sink("q3", &nexmark::local_items(flow), kafka::topic("q3").json().changelog());
}

/// An event that says when it was sent, in microseconds since the Unix epoch.
#[derive(Row)]
struct Sent {
    sent: u64,
    key: u64,
}

impl Sent {
    fn at(&self) -> EventTime {
        let micros = i64::try_from(self.sent).unwrap_or(i64::MAX);
        EventTime::from_micros(micros).unwrap_or(EventTime::MAX)
    }
}

/// Every event as it came.
fn relay(flow: &Flow<'_>) {
    let events = flow.source("events", kafka::topic("events").json::<Sent>());
    flow.sink("results", &events.map(Sent::clone), kafka::topic("results").json());
}

/// In every second, for each of a thousand keys its events and when the newest was sent.
fn totals(flow: &Flow<'_>) {
    let events = flow
        .source("events", kafka::topic("events").json::<Sent>())
        .event_time(Sent::at, Lag(Duration::from_millis(500)));
    let totals = events
        .key_by(|e| e.key)
        .window(tumbling(Duration::from_secs(1)))
        .aggregate("totals", (count(), max(|e: &Sent| e.sent)));
    flow.sink("results", &totals.table, kafka::topic("results").json().upsert());
}

/// A row of a table that is kept and served.
#[derive(Row)]
struct Item {
    id: u64,
    text: String,
}

/// The newest row of each id.
fn rows(flow: &Flow<'_>) {
    let rows =
        flow.source("rows", file::path("rows").json::<Item>()).upsert("rows", |item| item.id);
    flow.serve("rows", &rows);
}

/// A small row.
#[derive(Row)]
struct Pair {
    key: u64,
    value: u64,
}

fn kept<'s>(flow: &Flow<'s>) -> KeyedTable<'s, u64, u64> {
    let pairs = flow.source("pairs", file::path("pairs").json::<Pair>());
    pairs.upsert_map("pairs", |pair| (pair.key, Some(pair.value)))
}

/// The newest value of each key, served.
fn pairs(flow: &Flow<'_>) {
    flow.serve("pairs", &kept(flow));
}

/// The newest value of each key, of which only the one of key 0 is served.
fn pairs_kept(flow: &Flow<'_>) {
    flow.serve("pairs", &kept(flow).filter(|key, _| *key == 0));
}
