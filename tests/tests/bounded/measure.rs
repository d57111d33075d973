//! What a job at rest holds, walked from outside: rows of the newest snapshot read back from disk, rows of views asked for one by one,
//! updates in traces, entries of operators, bytes of files, memory of the process.

use crate::flow::{UIDS, VIEWS};
use crate::heap;
use crate::job::Job;
use std::collections::BTreeMap;
use std::path::Path;
use tidemark::state::manifest;
use tidemark::state::restore::Snapshot;
use tidemark::telemetry::process;
use tidemark::views::kind::Ask;
use tidemark::views::router::At;

/// Rows asked for at once.
const PAGE: usize = 10_000;

/// What there was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Live rows by uid, read from the newest snapshot's segments.
    pub(crate) live: BTreeMap<String, u64>,
    /// Entries in the operators' maps by uid.
    pub(crate) entries: BTreeMap<String, u64>,
    /// Rows by view, read as a client does.
    pub(crate) views: BTreeMap<String, u64>,
    /// Updates in each trace over all workers, ascending.
    pub(crate) traces: Vec<u64>,
    /// Bytes of all files of the store.
    pub(crate) store_bytes: u64,
    /// Bytes of the tick log.
    pub(crate) log_bytes: u64,
    /// Bytes allocated.
    pub(crate) heap_bytes: u64,
    /// Bytes of the process that are in memory.
    pub(crate) resident_bytes: u64,
}

impl Measured {
    pub(crate) fn of(job: &Job) -> Measured {
        Measured {
            live: live(job),
            entries: entries(job),
            views: VIEWS.iter().map(|&view| (view.to_owned(), rows(job, view))).collect(),
            traces: traces(job),
            store_bytes: file_bytes(&job.folder().join("store")),
            log_bytes: file_bytes(&job.folder().join("tick.log")),
            heap_bytes: heap::bytes() as u64,
            resident_bytes: resident(),
        }
    }
}

/// Bytes of the process in memory.
pub(crate) fn resident() -> u64 {
    process::read().unwrap().resident_bytes
}

fn live(job: &Job) -> BTreeMap<String, u64> {
    let status = job.shared.status();
    let name = manifest::name(status.generation, status.snapshot.unwrap());
    let snapshot = Snapshot::load(&job.store, &name).unwrap();
    let rows = |uid: &str| snapshot.rows(uid, 0, 1).unwrap().map(Result::unwrap).count() as u64;
    UIDS.iter().map(|&uid| (uid.to_owned(), rows(uid))).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
pub(crate) fn entries(job: &Job) -> BTreeMap<String, u64> {
    let gauge = |uid| job.shared.registry().gauge("operator_rows", "", &[("uid", uid)]);
    UIDS.iter().map(|&uid| (uid.to_owned(), gauge(uid).value() as u64)).collect()
}

/// Each operator's trace over all workers, ascending.
pub(crate) fn traces(job: &Job) -> Vec<u64> {
    let mut by_operator: BTreeMap<usize, isize> = BTreeMap::new();
    for ((_, operator), updates) in job.meter.traces() {
        *by_operator.entry(operator).or_default() += updates;
    }
    let mut all: Vec<_> = by_operator.values().map(|n| u64::try_from(*n).unwrap()).collect();
    all.sort_unstable();
    all
}

fn rows(job: &Job, view: &str) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let router = job.shared.router();
    let (mut ask, mut rows) = (Ask { limit: PAGE, ..Ask::default() }, 0);
    loop {
        // At rest every tick is the same.
        let (_, page) = runtime.block_on(router.query(view, &ask, At::Newest)).unwrap();
        rows += page.rows.len() as u64;
        ask.after = page.after;
        if ask.after.is_none() {
            return rows;
        }
    }
}

/// Changes that views keep for older ticks.
pub(crate) fn history(job: &Job) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let router = job.shared.router();
    let changes = |view: &&str| runtime.block_on(router.status(view)).unwrap().size.changes;
    VIEWS.iter().map(changes).sum()
}

/// Bytes of a file, or of all files below a folder. A file that goes while one looks is gone.
pub(crate) fn file_bytes(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else { return 0 };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let Ok(entries) = path.read_dir() else { return 0 };
    entries.map(|entry| file_bytes(&entry.unwrap().path())).sum()
}
