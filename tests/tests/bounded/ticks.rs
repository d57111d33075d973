//! Nothing grows with the number of ticks: not what is known of watermarks, tick records, durable and released ticks, sinks' queues,
//! histories of views, nor anything else that allocates memory; and neither store nor log.

use crate::heap;
use crate::input::{Input, PARTITIONS};
use crate::job::{Job, KEPT, Pace};
use crate::measure::{file_bytes, history, traces};
use crate::{alone, number, say};
use std::time::Duration;
use tidemark::job::shared::TICK_RECORDS_MAX;
use tidemark::views::index::HISTORY_TICKS;

const KEYS: u64 = 100;
/// Few, so that windows open and close all the while.
const UPDATES_A_WINDOW: u64 = 40;
/// Ticks over which the least is taken, since what is under way at a moment comes and goes.
const SPAN: u64 = 1_000;
/// By how many bytes a tick may make the heap greater: less than any entry that is left behind.
const BYTES_A_TICK: f64 = 4.0;
/// By how many bytes the least may differ without a cause in ticks.
const NOISE_BYTES: f64 = 49_152.0;

/// What the store may have: some snapshots of some hundred rows.
const STORE_BYTES: u64 = 128 << 10;
/// What the log may have for each tick since the oldest kept snapshot.
const TICK_RECORD_BYTES: u64 = 256;
/// What traces may have: the rows of six, and as much again.
const TRACES: u64 = 12 * KEYS;

/// The least that was found in some ticks.
#[derive(Debug)]
struct Least {
    /// The most ticks from one snapshot to the next: a matter of the machine's speed.
    snapshot_ticks: u64,
    heap_bytes: usize,
    store_bytes: u64,
    log_bytes: u64,
    history: u64,
    traces: u64,
}

/// Runs up to tick `end` with an update now and then; the least of the last [`SPAN`] ticks.
fn run(job: &Job, end: u64) -> Least {
    let mut least = Least {
        snapshot_ticks: 0,
        heap_bytes: usize::MAX,
        store_bytes: u64::MAX,
        log_bytes: u64::MAX,
        history: u64::MAX,
        traces: u64::MAX,
    };
    let mut snapshot = None;
    job.until("the ticks", |job| {
        let newest = job.shared.status().snapshot;
        let since = newest.zip(snapshot).map_or(0, |(newest, before)| newest - before);
        least.snapshot_ticks = least.snapshot_ticks.max(since);
        snapshot = newest;
        job.input.allow(job.input.allowed() + PARTITIONS);
        let tick = job.tick();
        if tick + SPAN > end {
            least.heap_bytes = least.heap_bytes.min(heap::bytes());
            least.store_bytes = least.store_bytes.min(file_bytes(&job.folder().join("store")));
            least.log_bytes = least.log_bytes.min(file_bytes(&job.folder().join("tick.log")));
            least.history = least.history.min(history(job));
            least.traces = least.traces.min(traces(job).iter().sum());
        }
        if tick >= end { Ok(()) } else { Err(format!("{tick} of {end}")) }
    });
    say(&format!("tick {}, {} updates: {least:?}", job.tick(), job.records()));
    least
}

#[test]
fn nothing_grows_with_the_number_of_ticks() {
    let _alone = alone();
    let ticks = number("BOUNDED_TICKS", 6_000);
    let pace = Pace {
        workers: usize::try_from(number("BOUNDED_WORKERS", 1)).unwrap(),
        heartbeat: Duration::ZERO,
        interval_min: Duration::ZERO,
        records: 1_000,
        snapshots: Duration::from_millis(100),
    };
    let job = Job::start(Input::new(KEYS, UPDATES_A_WINDOW), &pace);
    // The records of so many ticks are kept for whoever asks.
    let begin = TICK_RECORDS_MAX as u64 + SPAN;
    let first = run(&job, begin);
    let last = run(&job, begin + ticks);
    let grown = last.heap_bytes as f64 - first.heap_bytes as f64;
    let most = ticks as f64 * BYTES_A_TICK + NOISE_BYTES;
    assert!(grown < most, "{grown} bytes more after {ticks} ticks");
    for least in [first, last] {
        assert!(least.store_bytes < STORE_BYTES, "{} bytes in the store", least.store_bytes);
        // Those of the kept snapshots, the one that is being written, and the one that is being given up.
        let log_bytes = (KEPT as u64 + 2) * least.snapshot_ticks * TICK_RECORD_BYTES;
        assert!(least.log_bytes < log_bytes, "the log is cut: {least:?}");
        assert!(least.traces < TRACES, "{} updates in traces", least.traces);
        assert!(least.history <= HISTORY_TICKS * KEYS, "{} changes kept", least.history);
    }
    assert!(job.shared.status().snapshot.unwrap() > begin, "snapshots went on");
    job.stop();
}
