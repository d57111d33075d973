//! Compaction: which segments to merge, and the thread that merges them. Merged segments take the place of their inputs in
//! the list; the next manifest uses them. It deletes nothing.
//!
//! A *run* is a group of segments written together without a key in common. The oldest run is the *base*, the others the
//! *tail*. A merge takes the newest so many runs of the tail, or all runs; the latter drops removals and what they remove.
//! (It must be all: a worker that was behind may have left an entry in a newer segment that a removal in the base covers.
//! What is appended while the merge goes on is of later ticks.)

use crate::error::{Error, Result};
use crate::ids::Tick;
use crate::state::merge::{Merge, Span};
use crate::state::segment::{
    self, Finished, Header, Segment, SegmentRef, SegmentWriter, Tombstones,
};
use crate::state::store::Store;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

/// Runs of about one size that are merged into one.
const TIER_RUNS: usize = 4;

/// Snapshots after which little garbage is merged away although changes go on.
const FULL_AFTER_SNAPSHOTS: u64 = 256;

/// What is known of a run without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Bytes of its segments.
    pub bytes: u64,
    /// Entries that put a row.
    pub puts: u64,
    /// Entries that remove one.
    pub removes: u64,
    /// Range tombstones.
    pub tombstones: u64,
}

/// Which runs to merge, oldest first; `None` if all is well. `quiet`: the last snapshot had no change of this uid.
/// `since_full`: snapshots since the base was last merged.
///
/// 1. A tail that may have killed half of the base is merged with it: the store holds at most about twice the live rows.
/// 2. When changes stop, or after many snapshots, a twentieth is enough, and so is any tombstone.
/// 3. Else runs of about one size are merged with each other, so that there are few.
pub fn pick(runs: &[Run], quiet: bool, since_full: u64) -> Option<Range<usize>> {
    let (base, tail) = runs.split_first()?;
    let all = Some(0..runs.len());
    let base_rows = (base.puts + base.removes).max(1);
    let row_bytes = base.bytes / base_rows;
    // A change in the tail kills at most one row of the base; how many bytes that is the base's average says.
    let weight = |run: &Run| run.bytes.max((run.puts + run.removes) * row_bytes);
    let killed = tail.iter().map(weight).sum::<u64>() + base.removes * row_bytes;
    let tombstones = runs.iter().any(|run| run.tombstones > 0);
    if !tail.is_empty() && killed * 2 >= base.bytes {
        return all;
    }
    if (quiet || since_full >= FULL_AFTER_SNAPSHOTS) && (tombstones || killed * 20 > base.bytes) {
        return all;
    }
    let mut sum = 0;
    let mut from = runs.len();
    while from > 1 && (sum == 0 || runs[from - 1].bytes <= sum * 2) {
        from -= 1;
        sum += runs[from].bytes;
    }
    (runs.len() - from >= TIER_RUNS).then_some(from..runs.len())
}

/// How a manifest names a segment that is about to be written.
pub(super) fn named(
    header: &Header,
    finished: &Finished,
    tick: Tick,
    run: u64,
    part: u64,
) -> SegmentRef {
    SegmentRef {
        name: segment::name(header.generation, tick, run, part),
        bytes: finished.bytes.len() as u64,
        index_crc: finished.index_crc,
        puts: finished.puts,
        removes: finished.removes,
        tombstones: finished.tombstones,
        first_tick: header.first_tick,
        last_tick: header.last_tick,
        run,
    }
}

/// The lists of segments that the next manifest builds on, by uid.
#[derive(Debug)]
pub(super) struct Catalog {
    lists: Vec<List>,
    /// The uid being merged. One merge at a time: they share one disk.
    merging: Option<usize>,
    /// Where to look first, so that no uid starves.
    next: usize,
}

#[derive(Debug, Default)]
struct List {
    segments: Vec<SegmentRef>,
    quiet: bool,
    since_full: u64,
}

impl Catalog {
    pub(super) fn new(uids: usize) -> Catalog {
        let lists = (0..uids).map(|_| List::default()).collect();
        Catalog { lists, merging: None, next: 0 }
    }

    pub(super) fn segments(&self, uid: usize) -> &[SegmentRef] {
        &self.lists[uid].segments
    }

    pub(super) fn bytes(&self) -> u64 {
        self.lists.iter().flat_map(|list| &list.segments).map(|s| s.bytes).sum()
    }

    pub(super) fn merging(&self) -> bool {
        self.merging.is_some()
    }

    pub(super) fn append(&mut self, uid: usize, segment: SegmentRef) {
        self.lists[uid].segments.push(segment);
    }

    /// Notes that a snapshot with changes of these uids is in the lists.
    pub(super) fn snapshot_taken(&mut self, changed: &BTreeSet<usize>) {
        for (uid, list) in self.lists.iter_mut().enumerate() {
            list.quiet = !changed.contains(&uid);
            list.since_full += 1;
        }
    }

    /// The next merge, noted as under way: uid, inputs (oldest first), and whether nothing older lies below them.
    pub(super) fn next_merge(&mut self) -> Option<(usize, Vec<SegmentRef>, bool)> {
        if self.merging.is_some() {
            return None;
        }
        let count = self.lists.len();
        for uid in (0..count).map(|i| (self.next + i) % count) {
            let list = &self.lists[uid];
            let groups: Vec<&[SegmentRef]> =
                list.segments.chunk_by(|a, b| a.run == b.run).collect();
            let runs: Vec<Run> = groups.iter().map(|group| run(group)).collect();
            if let Some(picked) = pick(&runs, list.quiet, list.since_full) {
                self.merging = Some(uid);
                self.next = uid + 1;
                return Some((uid, groups[picked.clone()].concat(), picked.start == 0));
            }
        }
        None
    }

    /// Puts the outputs of a merge in the place of its inputs.
    pub(super) fn replace(&mut self, uid: usize, inputs: &[String], outputs: Vec<SegmentRef>) {
        self.merging = None;
        let list = &mut self.lists[uid];
        let at = list.segments.iter().position(|s| Some(&s.name) == inputs.first());
        let Some(at) = at else { return };
        if at == 0 {
            list.since_full = 0;
        }
        list.segments.splice(at..at + inputs.len(), outputs);
    }

    /// Notes that the merge under way came to nothing.
    pub(super) fn not_merged(&mut self) {
        self.merging = None;
    }
}

fn run(segments: &[SegmentRef]) -> Run {
    segments.iter().fold(Run::default(), |run, s| Run {
        bytes: run.bytes + s.bytes,
        puts: run.puts + s.puts,
        removes: run.removes + s.removes,
        tombstones: run.tombstones + s.tombstones,
    })
}

/// A merge to do.
pub(super) struct Job {
    pub(super) store: Store,
    pub(super) uid: usize,
    pub(super) header: Header,
    pub(super) inputs: Vec<SegmentRef>,
    /// Whether nothing older lies below the inputs.
    pub(super) bottom: bool,
    pub(super) segment_bytes: usize,
    pub(super) block_bytes: usize,
    /// Told the name of an object before it is written.
    pub(super) hold: Box<dyn Fn(String) + Send>,
}

/// A merge that is done or failed.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) uid: usize,
    /// Names of the inputs, oldest first.
    pub(super) inputs: Vec<String>,
    /// Names of what was or may have been written.
    pub(super) named: Vec<String>,
    pub(super) outcome: Result<Vec<SegmentRef>>,
}

/// The thread that merges. Dropping it ends the merge under way.
pub(super) struct Compactor {
    jobs: Option<mpsc::Sender<Job>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Compactor {
    /// A thread that reports to `done`.
    pub(super) fn start(done: Box<dyn Fn(Merged) + Send>) -> Result<Compactor> {
        let (jobs, received) = mpsc::channel::<Job>();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("compaction".to_string())
            .spawn(move || {
                while let Ok(job) = received.recv() {
                    let mut named = Vec::new();
                    let outcome = merge(&job, &stopped, &mut named);
                    let inputs = job.inputs.into_iter().map(|s| s.name).collect();
                    done(Merged { uid: job.uid, inputs, named, outcome });
                }
            })
            .map_err(|e| Error::internal(format!("no thread for compaction: {e}")))?;
        Ok(Compactor { jobs: Some(jobs), stop, thread: Some(thread) })
    }

    pub(super) fn merge(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // Fails only if the thread has panicked; then nothing is merged any more, and nothing is lost.
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Compactor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Merges the inputs into new segments; none if nothing is left.
fn merge(job: &Job, stop: &AtomicBool, named: &mut Vec<String>) -> Result<Vec<SegmentRef>> {
    let read = Arc::new(AtomicU64::new(0));
    let mut segments = Vec::new();
    for input in &job.inputs {
        segments.push(Arc::new(Segment::open(&job.store, input, Arc::clone(&read))?));
    }
    let merge = Merge::new(&segments, Span::default(), None, job.bottom);
    let mut tombstones: Tombstones = if job.bottom {
        Tombstones::new()
    } else {
        merge.tombstones().map(|(prefix, tick)| (prefix.clone(), tick)).collect()
    };
    let mut outputs = Outputs { job, run: crate::random::nonce().0, written: Vec::new(), named };
    let begin = || SegmentWriter::new(job.header.clone(), job.block_bytes);
    let mut writer = begin()?;
    for entry in merge {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::new(crate::error::Kind::Retry, "the merge was stopped".to_string()));
        }
        let entry = entry?;
        if writer.len() >= job.segment_bytes {
            let full = std::mem::replace(&mut writer, begin()?);
            outputs.write(full.finish(&std::mem::take(&mut tombstones))?)?;
        }
        writer.push(&entry.key, entry.tick, entry.value.as_deref())?;
    }
    if !writer.is_empty() || !tombstones.is_empty() {
        outputs.write(writer.finish(&tombstones)?)?;
    }
    Ok(outputs.written)
}

struct Outputs<'a> {
    job: &'a Job,
    run: u64,
    written: Vec<SegmentRef>,
    named: &'a mut Vec<String>,
}

impl Outputs<'_> {
    fn write(&mut self, finished: Finished) -> Result<()> {
        let header = &self.job.header;
        let part = self.written.len() as u64;
        let named = named(header, &finished, header.last_tick, self.run, part);
        (self.job.hold)(named.name.clone());
        self.named.push(named.name.clone());
        self.job.store.put_own(&named.name, finished.bytes)?;
        self.written.push(named);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
