//! The laws that every dataflow keeps, whatever it computes.
//!
//! - **Independence.** Closed results, late records and final tables are functions of the input alone: of what each partition holds, in
//!   its order. Ticks, workers, crashes, snapshots and how partitions are interleaved only choose what becomes visible on the way.
//! - **Replay.** The rows of a sink at a tick are a function of the tick log and of the bytes that it names: whoever follows the log, on
//!   however many workers, writes the same rows at the same ticks, in the same order.
//! - **State is all there is.** A dataflow that is rebuilt from its kept state after every tick goes on as if nothing had happened.
//! - **Commutation** ([`commutes`]). A user's own accumulator takes records in any order.

use super::Job;
use crate::EventTime;
use crate::flow::{Build, Rec};
use crate::ids::{Inlet, Pos, Tick};
use crate::operators::aggregate::Aggregate;
use crate::row::{Row, show};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// One record of the input: source, partition, and its JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The source.
    pub source: String,
    /// The partition.
    pub partition: String,
    /// The record.
    pub json: String,
}

impl Input {
    /// A record.
    ///
    /// # Panics
    /// If the row can't be written as JSON.
    pub fn new(source: &str, partition: u32, row: &impl serde::Serialize) -> Input {
        let json = serde_json::to_string(row).expect("a row is JSON");
        Input { source: source.to_owned(), partition: partition.to_string(), json }
    }
}

/// What must not depend on ticks, workers and crashes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    /// View -> its rows at the end.
    tables: BTreeMap<String, Vec<String>>,
    /// Append sink -> its rows, sorted; other sinks -> what they add up to.
    sinks: BTreeMap<String, Vec<String>>,
}

/// How one run cuts the input.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Records in a tick.
    tick: usize,
    workers: usize,
    /// Ticks that are open at once; with 1 the next is opened when all of the last was read.
    open: u64,
    /// A crash after every so many ticks, with another number of workers then.
    crash_every: usize,
    /// A snapshot at every so many ticks.
    snapshot_every: usize,
    /// Interleaves the partitions anew, by this seed; 0 leaves them as they are given.
    interleave: u64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tick {
            NEVER => write!(f, "one tick")?,
            tick => write!(f, "ticks of {tick} records")?,
        }
        write!(f, " on {} worker(s)", self.workers)?;
        if self.open > 1 {
            write!(f, ", {} ticks open at once", self.open)?;
        }
        for (what, every) in [("snapshot", self.snapshot_every), ("crash", self.crash_every)] {
            if every != NEVER {
                write!(f, ", a {what} after every {every} tick(s)")?;
            }
        }
        if self.interleave != 0 {
            write!(f, ", partitions interleaved by seed {}", self.interleave)?;
        }
        Ok(())
    }
}

const NEVER: usize = usize::MAX;
/// Records of which runs with very many ticks see only the first.
const SHORT: usize = 120;

/// Checks the laws on `input`, which is pushed in its order: ticks of 1 and 7 records (of a prefix, if it is long), of 1,000, and one of
/// all; one tick at a time, and many on their way at once; on 1 to 3 workers; with crashes after ticks with and without a snapshot, after
/// every tick too, and while ticks are on their way; with partitions interleaved in other ways. At last event time ends. Runs without
/// snapshots are followed by a second job, tick by tick.
///
/// # Panics
/// If two runs differ: says how each was run, in which view or sink they differ, and in which rows.
pub fn laws(build: Build, input: &[Input]) {
    let size = input.len();
    let run = |tick: usize, workers| Run {
        tick: tick.max(1),
        workers,
        open: 1,
        crash_every: NEVER,
        snapshot_every: NEVER,
        interleave: 0,
    };
    let short = &input[..size.min(SHORT)];
    check(
        build,
        short,
        &[
            run(NEVER, 1),
            run(1, 1),
            Run { crash_every: 10, snapshot_every: 4, interleave: 1, ..run(1, 2) },
            // Rebuilt from its state after every tick.
            Run { crash_every: 1, snapshot_every: 1, interleave: 2, ..run(7, 1) },
            Run { open: 5, ..run(1, 2) },
        ],
    );
    check(
        build,
        input,
        &[
            run(NEVER, 1),
            run(NEVER, 3),
            Run { crash_every: 50, interleave: 3, ..run(7.max(size / 150), 2) },
            Run { crash_every: 1, ..run(1000.min(size / 2), 1) },
            Run { crash_every: 1, snapshot_every: 1, ..run(size / 9, 3) },
            Run { crash_every: 2, snapshot_every: 3, interleave: 4, ..run(size / 13, 2) },
            Run { open: 8, crash_every: 40, interleave: 5, ..run(size / 150, 3) },
            Run { open: 3, crash_every: 30, snapshot_every: 20, ..run(size / 100, 1) },
        ],
    );
}

/// What an accumulator gives for these rows, checked to be the same (and its state too) in whatever order they come.
///
/// # Panics
/// If it does not: shows both states and the order.
pub fn commutes<D: Row, A: Aggregate<D>>(aggregate: &A, rows: &[(EventTime, D)]) -> A::Out {
    let records = rows.iter().enumerate().map(|(n, (at, row))| Rec {
        at: at.micros(),
        stamp: i64::MIN,
        pos: Pos::new(Inlet(0), n as u64),
        row: row.clone(),
    });
    let records: Vec<Rec<D>> = records.collect();
    let mut first: Option<(A::State, A::Out)> = None;
    for seed in 0..20 {
        let mut order: Vec<usize> = (0..records.len()).collect();
        let mut random = Random(seed);
        for n in (1..order.len()).rev().filter(|_| seed > 0) {
            order.swap(n, random.below(n + 1));
        }
        let mut state = aggregate.zero();
        for n in &order {
            aggregate.add(&mut state, &records[*n]).unwrap_or_else(|error| panic!("{error}"));
        }
        let found = (aggregate.finish(&state), state);
        let Some(expected) = &first else {
            first = Some((found.1, found.0));
            continue;
        };
        assert!(
            (&found.1, &found.0) == (&expected.0, &expected.1),
            "accumulator {:?} depends on the order of records: in order {} from state {}, in the order {order:?} {} from state {}",
            aggregate.describe(),
            show(&expected.1),
            show(&expected.0),
            show(&found.0),
            show(&found.1),
        );
    }
    first.expect("it was tried in its own order").1
}

/// Splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

/// The same records in another order that keeps the order of each partition.
fn interleave(input: &[Input], seed: u64) -> Vec<Input> {
    if seed == 0 {
        return input.to_vec();
    }
    let mut partitions: BTreeMap<(&str, &str), VecDeque<&Input>> = BTreeMap::new();
    for record in input {
        partitions.entry((&record.source, &record.partition)).or_default().push_back(record);
    }
    let mut random = Random(seed);
    let mut left: Vec<_> = partitions.into_values().collect();
    let mut out = Vec::with_capacity(input.len());
    while !left.is_empty() {
        let at = random.below(left.len());
        // Runs, so that one partition gets ahead of the others.
        for _ in 0..=random.below(20) {
            out.extend(left[at].pop_front().cloned());
        }
        if left[at].is_empty() {
            left.swap_remove(at);
        }
    }
    out
}

fn check(build: Build, input: &[Input], runs: &[Run]) {
    let mut first: Option<(Run, Outcome)> = None;
    for run in runs {
        let outcome = catch_unwind(AssertUnwindSafe(|| execute(build, input, *run)));
        let outcome = outcome.unwrap_or_else(|panic| {
            panic!("with {run}: {}", crate::job::panics::text(panic.as_ref()))
        });
        let Some((other, expected)) = &first else {
            first = Some((*run, outcome));
            continue;
        };
        for (kind, expected, found) in
            [("view", &expected.tables, &outcome.tables), ("sink", &expected.sinks, &outcome.sinks)]
        {
            for (name, rows) in expected {
                if let Some(text) = differ(rows, &found[name]) {
                    panic!(
                        "{kind} {name:?} depends on more than the input of {} records.\n  first: {other}\n  second: {run}\n{text}",
                        input.len()
                    );
                }
            }
        }
    }
}

/// How two lists of rows differ as multisets, if they do.
fn differ(expected: &[String], found: &[String]) -> Option<String> {
    const SHOWN: usize = 5;
    if expected == found {
        return None;
    }
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    expected.iter().for_each(|row| *counts.entry(row).or_default() += 1);
    found.iter().for_each(|row| *counts.entry(row).or_default() -= 1);
    let mut text = String::new();
    for (side, sign) in [("first", 1), ("second", -1)] {
        let rows: Vec<_> = counts.iter().filter(|(_, n)| **n * sign > 0).collect();
        text += &format!("{} row(s) only in the {side}:\n", rows.len());
        for (row, n) in rows.iter().take(SHOWN) {
            let times = if n.abs() == 1 { String::new() } else { format!(" ({} times)", n.abs()) };
            text += &format!("  {row}{times}\n");
        }
        if rows.len() > SHOWN {
            text += "  ...\n";
        }
    }
    if counts.values().all(|n| *n == 0) {
        text = format!("the same {} rows in another order", found.len());
    }
    Some(text)
}

fn execute(build: Build, input: &[Input], run: Run) -> Outcome {
    let mut job = Job::new(build).workers(run.workers);
    let mut workers = run.workers;
    // A partition that appears later would hold from the watermark of that tick on.
    for record in input {
        job.topic(&record.source).create(&record.partition);
    }
    let input = interleave(input, run.interleave);
    let mut ends = Vec::new();
    for (n, chunk) in input.chunks(run.tick.min(input.len().max(1))).enumerate() {
        for record in chunk {
            job.topic(&record.source).push(&record.partition, None, Some(record.json.as_bytes()));
        }
        ends.push(job.ends());
        let [snapshot, crash] =
            [run.snapshot_every, run.crash_every].map(|every| (n + 1) % every == 0);
        if run.open == 1 || snapshot {
            job.ticks_to(std::mem::take(&mut ends), run.open, snapshot);
        }
        if crash {
            if !ends.is_empty() {
                job.crash_within(std::mem::take(&mut ends), run.open);
            }
            workers = workers % 3 + 1;
            job.restart(workers);
        }
    }
    if !ends.is_empty() {
        job.ticks_to(ends, run.open, false);
    }
    // The watermark that the last records gave is in force only at the next tick.
    job.tick();
    job.end_of_time().tick();
    let outcome = outcome(&mut job);
    if run.snapshot_every == NEVER {
        follow(&mut job, workers % 3 + 1, &outcome);
    }
    outcome
}

fn outcome(job: &mut Job) -> Outcome {
    let views: Vec<String> = job.plan().views.iter().map(|view| view.name().to_owned()).collect();
    let sinks: Vec<_> = job.plan().sinks.iter().map(|s| (s.name.clone(), s.mode)).collect();
    let tables = views.into_iter().map(|view| (view.clone(), job.table(&view))).collect();
    let sinks =
        sinks.into_iter().map(|(sink, mode)| (sink.clone(), fold(job, &sink, mode))).collect();
    Outcome { tables, sinks }
}

/// The law of replay: a second job that follows the log from its begin writes the same rows at the same ticks.
fn follow(job: &mut Job, workers: usize, expected: &Outcome) {
    let mut follower = job.follow(workers);
    for sink in &job.plan().sinks {
        let rows = |job: &Job| -> Vec<(Tick, Vec<String>)> {
            let all = job.target(&sink.name).committed(crate::ids::Lane(0)).into_iter();
            let all = all.filter(|tick| !tick.rows.is_empty());
            all.map(|tick| (tick.tick, tick.rows.iter().map(|row| format!("{row:?}")).collect()))
                .collect()
        };
        let (written, again) = (rows(job), rows(&follower));
        for ((tick, rows), (tick_again, rows_again)) in written.iter().zip(&again) {
            assert!(
                tick == tick_again && rows == rows_again,
                "sink {:?} gets other rows when {workers} worker(s) follow the log.\n  first: what was written at tick {tick}\n  \
                 second: at tick {tick_again}\n{}",
                sink.name,
                differ(rows, rows_again).unwrap_or_default()
            );
        }
        assert_eq!(written.len(), again.len(), "ticks with rows in sink {:?}", sink.name);
    }
    let tables = outcome(&mut follower).tables;
    assert_eq!(tables, expected.tables, "views of a job that follows the log");
}

/// What a sink's rows add up to.
fn fold(job: &Job, sink: &str, mode: &str) -> Vec<String> {
    let rows = job.target(sink).rows();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match mode {
        "append" => {
            let mut rows: Vec<_> =
                rows.iter().filter_map(|r| r.value.as_deref().map(text)).collect();
            rows.sort();
            rows
        }
        "upsert" => {
            let mut last: BTreeMap<String, String> = BTreeMap::new();
            for row in &rows {
                let key = text(row.key.as_deref().unwrap_or_default());
                match &row.value {
                    Some(value) => last.insert(key, text(value)),
                    None => last.remove(&key),
                };
            }
            last.into_iter().map(|(key, value)| format!("{key} -> {value}")).collect()
        }
        _ => {
            let mut sums: BTreeMap<String, i64> = BTreeMap::new();
            for row in &rows {
                let value = text(row.value.as_deref().unwrap_or_default());
                let bare = value.rsplit_once(",\"diff\":").map_or(value.as_str(), |(bare, _)| bare);
                *sums.entry(bare.to_owned()).or_default() += i64::from(row.diff);
            }
            sums.retain(|_, sum| *sum != 0);
            sums.into_iter().map(|(row, sum)| format!("{row} x {sum}")).collect()
        }
    }
}

#[cfg(test)]
mod tests;
