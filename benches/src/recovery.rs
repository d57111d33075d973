//! Recovery: from `kill -9` until the job serves again and has caught up.

use crate::job::Job;
use crate::process::warm;
use crate::table::{Table, head, say};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;
use tidemark_tests::{Result, clock};

const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_secs(300);

/// The bench: `rows` rows of state, and `after` changes that the newest snapshot does not have.
pub(crate) fn run(rows: u64, after: u64) -> Result<()> {
    head(
        "recovery: how long after kill -9 until the job serves again, with everything that it had read?",
    );
    say(&format!(
        "{rows} kept and served rows of 60 bytes, {after} records since the snapshot; a file as source, local store and log;\n\
         seconds from the start of the process; bad: ready above 3 s on two quiet cores\n"
    ));
    let mut table =
        Table::new(&["", "round", "ready", "caught up", "replayed", "cpu", "memory MB"]);
    for workers in [1, 2] {
        let folder = tempfile::tempdir()?;
        let (input, state) = (folder.path().join("rows.jsonl"), folder.path().join("state"));
        write(&input, 0..rows, "first")?;
        let mut job = start(&input, &state, workers)?;
        read(&mut job, rows)?;
        savepoint(&job)?;
        write(&input, 0..after, "again")?;
        read(&mut job, rows + after)?;
        for round in 1..=ROUNDS {
            job.kill()?;
            warm(&input)?;
            let begun = clock::now();
            job = start(&input, &state, workers)?;
            job.ready()?;
            let ready = begun.elapsed();
            job.wait("every row", LIMIT, |job| {
                Ok(job.get(&format!("/api/v1/views/rows?key={}", after - 1))?.1.contains("again"))
            })?;
            let caught_up = begun.elapsed();
            let (usage, replayed) = (job.usage()?, job.metric("replayed_records_total")?);
            let memory = job.metric("process_resident_memory_bytes")? / 1e6;
            table.row(vec![
                if workers == 1 { "1 worker".into() } else { format!("{workers} workers") },
                round.to_string(),
                format!("{:.2}", ready.as_secs_f64()),
                format!("{:.2}", caught_up.as_secs_f64()),
                format!("{replayed:.0}"),
                format!("{:.2}", usage.cpu().as_secs_f64()),
                format!("{memory:.0}"),
            ]);
        }
    }
    table.print();
    Ok(())
}

fn start(input: &Path, state: &Path, workers: usize) -> Result<Job> {
    let settings = [
        ("source.rows.connector", "file".to_owned()),
        ("source.rows.path", input.to_string_lossy().into_owned()),
        ("source.rows.follow", "true".to_owned()),
        // Only the savepoint is there to restore, so that each round replays the same.
        ("snapshots.interval", "1h".to_owned()),
    ];
    Job::start("rows", workers, state, &settings)
}

fn write(path: &Path, ids: std::ops::Range<u64>, text: &str) -> Result<()> {
    let file: File = OpenOptions::new().create(true).append(true).open(path)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    for id in ids {
        writeln!(out, "{{\"id\":{id},\"text\":\"{text} text of row number {id:012}, padding\"}}")?;
    }
    Ok(out.flush()?)
}

/// Waits until so many records are read and visible.
fn read(job: &mut Job, records: u64) -> Result<()> {
    job.ready()?;
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are small")]
    let wanted = records as f64;
    job.wait("the input", LIMIT, |job| {
        let status = job.status()?;
        Ok(job.metric("records_total")? >= wanted && status["tick"] == status["tick_current"])
    })?;
    Ok(())
}

fn savepoint(job: &Job) -> Result<()> {
    job.post("/api/v1/job/savepoint", "{}")
}
