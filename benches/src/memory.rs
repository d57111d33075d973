//! Memory: what a kept row takes, and a served one.

use crate::job::Job;
use crate::table::{Table, head, say};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;
use tidemark::views::index::HISTORY_TICKS;
use tidemark_tests::Result;

const LIMIT: Duration = Duration::from_secs(300);

/// The bench: `rows` rows, beside a job with a hundredth of them, so that what a process takes without rows is not counted.
pub(crate) fn run(rows: u64) -> Result<()> {
    head("memory: how many bytes does a row of a table take?");
    say(&format!(
        "resident bytes of the process at rest, {rows} rows less {} rows, by the rows between; a row is a u64 key and a u64 value in an \
         upsert table, 1 worker;\nbad: more than 100 bytes kept, 200 served\n",
        rows / 100
    ));
    let mut table = Table::new(&["", "bytes a row", "rows", "memory MB"]);
    for (what, dataflow) in [("kept", "pairs-kept"), ("kept and served", "pairs")] {
        let few = resident(dataflow, rows / 100)?;
        let many = resident(dataflow, rows)?;
        #[expect(clippy::cast_precision_loss, reason = "counts of a bench are small")]
        let between = (rows - rows / 100) as f64;
        table.row(vec![
            what.to_owned(),
            format!("{:.0}", (many - few) / between),
            rows.to_string(),
            format!("{:.0}", many / 1e6),
        ]);
    }
    table.print();
    Ok(())
}

/// What a job has in memory that has read so many rows and taken its snapshot.
fn resident(dataflow: &str, rows: u64) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let (input, state) = (folder.path().join("pairs.jsonl"), folder.path().join("state"));
    write(&input, rows)?;
    let settings = [
        ("source.pairs.connector", "file".to_owned()),
        ("source.pairs.path", input.to_string_lossy().into_owned()),
        ("source.pairs.follow", "true".to_owned()),
        ("tick.records_max", "10000".to_owned()),
        ("snapshots.interval", "1s".to_owned()),
    ];
    let mut job = Job::start(dataflow, 1, &state, &settings)?;
    job.ready()?;
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are small")]
    let wanted = rows as f64;
    job.wait("the rows", LIMIT, |job| Ok(job.metric("operator_rows{uid=\"pairs\"}")? >= wanted))?;
    // Views have no history any more, and there was time for some snapshots.
    let read = job.status()?["tick"].as_u64().unwrap_or(0);
    job.wait("rest", LIMIT, |job| {
        let status = job.status()?;
        Ok(!status["snapshot"].is_null() && status["tick"].as_u64() > Some(read + HISTORY_TICKS))
    })?;
    job.metric("process_resident_memory_bytes")
}

fn write(path: &Path, rows: u64) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for key in 0..rows {
        writeln!(out, "{{\"key\":{key},\"value\":{}}}", key * 977)?;
    }
    Ok(out.flush()?)
}
