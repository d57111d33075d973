//! The dataflow under test: one of each operator that keeps something, on the worker or in differential's traces.

use std::time::Duration;
use tidemark::flow::endpoint::kafka;
use tidemark::flow::{Flow, Lag};
use tidemark::operators::aggregate::{count, sum};
use tidemark::operators::window::tumbling;
use tidemark::{EventTime, Row};

/// A record of the input.
#[derive(Row)]
pub(crate) struct Update {
    pub(crate) key: u64,
    pub(crate) value: u64,
    pub(crate) at: EventTime,
}

/// How long a window is.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);
/// Keys of one group of the top-k.
const GROUP: u64 = 10;
/// Rows of each group.
const TOP: usize = 3;
/// Values are told apart by this.
const KINDS: u64 = 400;

/// Kept state.
pub(crate) const UIDS: [&str; 3] = ["latest", "counts", "windows"];
/// Served views.
pub(crate) const VIEWS: [&str; 4] = ["joined", "top", "kinds", "windows"];

pub(crate) fn build(flow: &Flow<'_>) {
    let updates = flow
        .source("updates", kafka::topic("updates").json::<Update>())
        .event_time(|u| u.at, Lag(Duration::from_secs(1)));
    let latest = updates.upsert("latest", |u| u.key).map_values(|_, u| u.value);
    let by_key = updates.key_by(|u| u.key);
    let counts = by_key.aggregate("counts", (count(), sum(|u: &Update| u.value)));
    let joined = latest.join(&counts);
    flow.serve("joined", &joined);
    flow.sink("joined", &joined, kafka::topic("joined").json().upsert());
    let top = latest.rows().top_k(TOP, |(key, _)| key / GROUP, |(_, value)| *value);
    flow.serve("top", &top);
    let kinds = latest.values().map(|value| value % KINDS).distinct();
    flow.serve("kinds", &kinds);
    let windows = by_key.window(tumbling(WINDOW)).aggregate("windows", count());
    flow.serve("windows", &windows.table);
    flow.sink("windows", &windows.closed, kafka::topic("windows").json());
    flow.sink("late", &windows.late, kafka::topic("late").json());
}

/// What each trace holds at rest, ascending, if there are so many rows of `latest`, `counts`, `top` and `kinds`: both sides of the join,
/// what goes into the top-k and comes out of it, and the same of the distinct.
pub(crate) fn traces(latest: u64, counts: u64, top: u64, kinds: u64) -> Vec<u64> {
    let mut all = vec![latest, counts, latest, top, kinds, kinds];
    all.sort_unstable();
    all
}
