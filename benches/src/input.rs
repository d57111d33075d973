//! Input that is written once and kept: Nexmark events as lines of JSON, as the generator makes them.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidemark::ids::Inlet;
use tidemark::sources::generator::Nexmark;
use tidemark::sources::{Budget, Polled, Raw, Reader, Transport};
use tidemark_tests::{Failure, Result};

/// Partitions of the input, so that two workers have work.
pub(crate) const PARTITIONS: u16 = 2;

fn target() -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let target = exe.ancestors().find(|path| path.ends_with("target"));
    Ok(target.map_or_else(std::env::temp_dir, Path::to_owned))
}

/// The directory with `events` events in [`PARTITIONS`] files; written if it is not there.
pub(crate) fn nexmark(events: u64) -> Result<PathBuf> {
    let folder = target()?.join("bench-input").join(format!("nexmark-{events}-{PARTITIONS}"));
    if folder.is_dir() {
        return Ok(folder);
    }
    let aside = folder.with_extension(format!("{}.tmp", std::process::id()));
    fs::create_dir_all(&aside)?;
    for partition in 0..PARTITIONS {
        let mut out = BufWriter::with_capacity(
            1 << 20,
            File::create(aside.join(format!("{partition}.jsonl")))?,
        );
        each(events, partition, |line| {
            out.write_all(line)?;
            Ok(out.write_all(b"\n")?)
        })?;
        out.flush()?;
    }
    fs::rename(&aside, &folder)?;
    Ok(folder)
}

/// Gives every event of one partition.
pub(crate) fn each(
    events: u64,
    partition: u16,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let told = |error: tidemark::Error| Failure(error.to_string());
    let nexmark = Nexmark::new().partitions(PARTITIONS).map_err(told)?.events(events);
    let mut reader: Box<dyn Reader> = nexmark.open(Arc::new(|| ())).map_err(told)?;
    reader.assign(Inlet(0), &partition.to_string(), 0).map_err(told)?;
    let budget = Budget { records: 10_000, bytes: 64 << 20 };
    let mut failed = None;
    loop {
        let mut give = |raw: Raw<'_>| {
            if failed.is_none() {
                failed = take(raw.payload.unwrap_or_default()).err();
            }
            Ok(())
        };
        let polled = reader.poll(Inlet(0), u64::MAX, budget, &mut give).map_err(told)?;
        if let Some(failure) = failed {
            return Err(failure);
        }
        if polled == Polled::Finished {
            return Ok(());
        }
    }
}
