//! When a job has come to rest: input read, merges and compaction over, garbage gone.

use crate::job::{Job, KEPT};
use crate::measure;
use std::collections::BTreeSet;
use tidemark::state::manifest::Manifest;

/// Ticks without another snapshot after which there is nothing more to snapshot.
const QUIET_TICKS: u64 = 200;

/// Waits until all that is allowed was read and nothing moves any more. What is asked for:
///
/// 1. All records are read and their tick is released.
/// 2. The kept snapshots name the same segments, and only those lie in the store.
/// 3. No further snapshot has come for some hundred ticks.
/// 4. Views have no history, operators have told their entries, and no trace has changed since the last look.
pub(crate) fn rest(job: &Job) {
    job.until("all is read", |job| {
        let (read, all) = (job.records(), job.input.allowed());
        if read == all { Ok(()) } else { Err(format!("{read} of {all} records")) }
    });
    let read_by = job.shared.status().tick_current;
    job.until("it is released", |job| told("tick", job.tick() >= read_by));
    let mut before = (Vec::new(), measure::entries(job), 0);
    job.until("rest", |job| {
        let (tick, snapshot) = (job.tick(), job.shared.status().snapshot.unwrap_or(0));
        told("a snapshot of the end", snapshot > read_by)?;
        alike(job)?;
        told("quiet", tick > snapshot + QUIET_TICKS)?;
        told("views without history", measure::history(job) == 0)?;
        told("ticks since the last look", tick > before.2 + QUIET_TICKS)?;
        let now = (measure::traces(job), measure::entries(job), tick);
        let last = std::mem::replace(&mut before, now);
        told("the same traces as at the last look", last.0 == before.0 && last.1 == before.1)
    });
}

fn told(what: &str, there: bool) -> Result<(), String> {
    if there { Ok(()) } else { Err(format!("not there: {what}")) }
}

/// Step 2.
fn alike(job: &Job) -> Result<(), String> {
    let names = |prefix| -> Result<BTreeSet<String>, String> {
        let listed = job.store.list(prefix).map_err(|error| error.to_string())?;
        Ok(listed.into_iter().map(|object| object.name).collect())
    };
    let manifests = names("manifest/")?;
    let mut named: BTreeSet<BTreeSet<String>> = BTreeSet::new();
    for name in &manifests {
        let manifest = Manifest::read(&job.store, name).map_err(|error| error.to_string())?;
        named.insert(manifest.segments().map(str::to_owned).collect());
    }
    let segments = names("segment/")?;
    if manifests.len() <= KEPT + 1 && named.len() == 1 && named.contains(&segments) {
        return Ok(());
    }
    Err(format!(
        "{} manifests of {} lists, {} segments",
        manifests.len(),
        named.len(),
        segments.len()
    ))
}
