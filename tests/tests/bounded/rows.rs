//! State is bounded by live rows: after so many and after twice so many updates of the same keys a job at rest holds the same.

use crate::flow::{self, UIDS};
use crate::input::Input;
use crate::job::{Job, Pace};
use crate::measure::{self, Measured};
use crate::rest::rest;
use crate::{alone, number, say};
use std::time::Duration;
use tidemark::job::shared::TICK_RECORDS_MAX;
use tidemark_tests::clock;

/// By how much two numbers that should be equal may differ.
const EQUAL: f64 = 1.1;
/// What traces may hold under load, as a multiple of what they hold at rest.
const TRACES_UNDER_LOAD: f64 = 2.5;
/// What the process may have in memory under load, as a multiple of what it has at rest.
const MEMORY_UNDER_LOAD: f64 = 2.0;

/// Bytes of the records of ticks since the kept snapshots, of which there are more or fewer as it happens.
const TICKS_BYTES: u64 = 1 << 20;
/// Bytes that an allocator keeps more or fewer.
const ALLOCATOR_BYTES: u64 = 8 << 20;
/// Ticks in which as many updates come as there are keys: what the ticks under way add to a trace is small beside it.
const TICKS_FOR_ALL_KEYS: u64 = 50;

/// What was the most under load.
#[derive(Debug, Default)]
struct Most {
    traces: u64,
    resident_bytes: u64,
}

/// Lets the job read `updates` in all; what it held at most meanwhile, and what it holds at rest.
fn load(job: &Job, updates: u64) -> (Most, Measured) {
    let begun = clock::now();
    let mut most = Most::default();
    job.meter.most();
    job.input.allow(updates);
    job.until("the updates are read", |job| {
        most.traces = most.traces.max(u64::try_from(job.meter.most()).unwrap());
        most.resident_bytes = most.resident_bytes.max(measure::resident());
        let read = job.records();
        if read == updates { Ok(()) } else { Err(format!("{read} of {updates}")) }
    });
    let read = begun.elapsed();
    rest(job);
    let measured = Measured::of(job);
    say(&format!(
        "{updates} updates, {read:.1?} (at rest after {:.1?}), tick {}",
        begun.elapsed(),
        job.tick()
    ));
    say(&format!("  under load at most: {most:?}\n  at rest: {measured:?}"));
    (most, measured)
}

fn equal(what: &str, a: u64, b: u64) {
    let ratio = a.max(b) as f64 / a.min(b).max(1) as f64;
    assert!(ratio <= EQUAL, "{what}: {a} and {b}");
}

fn not_more(what: &str, before: u64, after: u64, slack: u64) {
    assert!(
        after as f64 <= before as f64 * EQUAL + slack as f64,
        "{what}: {before}, later {after}"
    );
}

#[test]
fn what_a_job_holds_is_bounded_by_its_live_rows() {
    let _alone = alone();
    let keys = number("BOUNDED_KEYS", 1_000);
    let updates = number("BOUNDED_UPDATES", 30_000);
    let pace = Pace {
        workers: 2,
        heartbeat: Duration::from_millis(1),
        interval_min: Duration::ZERO,
        records: usize::try_from(keys / TICKS_FOR_ALL_KEYS).unwrap(),
        snapshots: Duration::from_millis(100),
    };
    let job = Job::start(Input::new(keys, keys), &pace);
    // The records of so many ticks are kept for whoever asks; with them both measurements are alike.
    job.until("the kept ticks", |job| {
        let (tick, kept) = (job.tick(), TICK_RECORDS_MAX as u64);
        if tick > kept { Ok(()) } else { Err(format!("{tick} of {kept}")) }
    });
    let (first_most, first) = load(&job, updates);
    let (second_most, second) = load(&job, updates * 2);

    for (most, at_rest) in [(first_most, &first), (second_most, &second)] {
        assert_eq!((at_rest.live["latest"], at_rest.live["counts"]), (keys, keys));
        assert!(at_rest.live["windows"] > 0, "a window is open");
        assert_eq!(at_rest.live, at_rest.entries, "an entry is a row");
        assert_eq!(at_rest.views["joined"], keys);
        assert_eq!(at_rest.views["windows"], at_rest.live["windows"]);
        let rows = |of: &str| at_rest.views[of];
        let expected = flow::traces(keys, keys, rows("top"), rows("kinds"));
        assert_eq!(at_rest.traces.len(), expected.len(), "{:?}", at_rest.traces);
        for (held, live) in at_rest.traces.iter().zip(&expected) {
            equal("a trace and its live rows", *held, *live);
        }
        let all: u64 = at_rest.traces.iter().sum();
        let traces = most.traces as f64 / all as f64;
        assert!(traces <= TRACES_UNDER_LOAD, "traces had {traces} times the rows under load");
        let memory = most.resident_bytes as f64 / at_rest.resident_bytes as f64;
        assert!(memory <= MEMORY_UNDER_LOAD, "{memory} times the memory under load");
    }
    for uid in UIDS {
        equal(uid, first.live[uid], second.live[uid]);
    }
    for (a, b) in first.traces.iter().zip(&second.traces) {
        equal("a trace", *a, *b);
    }
    equal("the store", first.store_bytes, second.store_bytes);
    not_more("allocated memory", first.heap_bytes, second.heap_bytes, TICKS_BYTES);
    not_more("resident memory", first.resident_bytes, second.resident_bytes, ALLOCATOR_BYTES);
    job.stop();
}
