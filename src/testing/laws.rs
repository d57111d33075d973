//! The laws that every dataflow keeps: closed results, late records and final tables are functions of the input alone. Ticks, workers,
//! crashes and snapshots only choose what becomes visible on the way.

use super::Job;
use crate::flow::Build;
use std::collections::BTreeMap;

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
    /// A crash after every so many ticks, with another number of workers then.
    crash_every: usize,
    /// A snapshot at every so many ticks.
    snapshot_every: usize,
}

const NEVER: usize = usize::MAX;

/// Checks the laws on `input`, which is pushed in its order: ticks of 1 (a prefix only, if it is long), 7 and 1,000 records and one
/// of all, on 1 to 3 workers; crashes after every tick with and without a snapshot at it; at last event time ends.
///
/// # Panics
/// If two runs differ: names the runs and the first row that differs.
pub fn laws(build: Build, input: &[Input]) {
    let short = &input[..input.len().min(120)];
    check(
        build,
        short,
        &[
            Run { tick: NEVER, workers: 1, crash_every: NEVER, snapshot_every: NEVER },
            Run { tick: 1, workers: 1, crash_every: NEVER, snapshot_every: NEVER },
            Run { tick: 1, workers: 2, crash_every: 10, snapshot_every: 4 },
            // Rebuilt from its state after every tick.
            Run { tick: 11, workers: 1, crash_every: 1, snapshot_every: 1 },
        ],
    );
    let size = input.len();
    check(
        build,
        input,
        &[
            Run { tick: NEVER, workers: 1, crash_every: NEVER, snapshot_every: NEVER },
            Run { tick: NEVER, workers: 3, crash_every: NEVER, snapshot_every: NEVER },
            Run { tick: 7.max(size / 300), workers: 2, crash_every: 97, snapshot_every: 31 },
            Run { tick: 1000, workers: 1, crash_every: 1, snapshot_every: NEVER },
            Run { tick: (size / 9).max(1), workers: 3, crash_every: 1, snapshot_every: 1 },
            Run { tick: (size / 13).max(1), workers: 2, crash_every: 2, snapshot_every: 3 },
        ],
    );
}

fn check(build: Build, input: &[Input], runs: &[Run]) {
    let mut first: Option<(Run, Outcome)> = None;
    for run in runs {
        let outcome = execute(build, input, *run);
        let Some((other, expected)) = &first else {
            first = Some((*run, outcome));
            continue;
        };
        for (kind, expected, found) in
            [("view", &expected.tables, &outcome.tables), ("sink", &expected.sinks, &outcome.sinks)]
        {
            for (name, rows) in expected {
                differ(kind, name, (other, rows), (run, &found[name]));
            }
        }
    }
}

fn differ(
    kind: &str,
    name: &str,
    (a, expected): (&Run, &Vec<String>),
    (b, found): (&Run, &Vec<String>),
) {
    if expected == found {
        return;
    }
    let missing: Vec<_> = expected.iter().filter(|row| !found.contains(row)).take(3).collect();
    let extra: Vec<_> = found.iter().filter(|row| !expected.contains(row)).take(3).collect();
    panic!(
        "{kind} {name:?} depends on more than the input: {} rows with {a:?}, {} rows with {b:?};\nonly with the first: {missing:#?}\n\
         only with the second: {extra:#?}",
        expected.len(),
        found.len()
    );
}

fn execute(build: Build, input: &[Input], run: Run) -> Outcome {
    let mut job = Job::new(build).workers(run.workers);
    let mut workers = run.workers;
    for (n, chunk) in input.chunks(run.tick.min(input.len().max(1))).enumerate() {
        for record in chunk {
            job.topic(&record.source).push(&record.partition, None, Some(record.json.as_bytes()));
        }
        if (n + 1) % run.snapshot_every == 0 {
            job.snapshot();
        } else {
            job.tick();
        }
        if (n + 1) % run.crash_every == 0 {
            workers = workers % 3 + 1;
            job.restart(workers);
        }
    }
    // Twice: what a watermark closes may be late or early for what comes after it.
    job.end_of_time().tick();
    job.end_of_time().tick();
    let views: Vec<String> = job.plan().views.iter().map(|view| view.name().to_owned()).collect();
    let sinks: Vec<_> = job.plan().sinks.iter().map(|s| (s.name.clone(), s.mode)).collect();
    let tables = views.into_iter().map(|view| (view.clone(), job.table(&view))).collect();
    let sinks =
        sinks.into_iter().map(|(sink, mode)| (sink.clone(), fold(&job, &sink, mode))).collect();
    Outcome { tables, sinks }
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
