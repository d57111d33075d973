//! The persister's thread: buckets of changes, and the writing of segments and manifests.

use super::queue::Message;
use super::{Event, Handle, Kept, Part, Role, Settings};
use crate::error::{Error, Kind, Result};
use crate::ids::Tick;
use crate::state::bucket::{Bucket, Drained};
use crate::state::changes::Changes;
use crate::state::compaction::{self, Catalog, Compactor, Merged};
use crate::state::manifest::{self, KeptState, Manifest, ManifestFacts};
use crate::state::restore::Snapshot;
use crate::state::segment::{Finished, Header, SegmentRef, SegmentWriter};
use crate::state::store::Store;
use crate::time::clock;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Why the thread stops.
pub(super) enum Stop {
    /// The queue was closed.
    Closed,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}

/// A snapshot that is expected.
struct Expected {
    /// Changes of ticks up to the snapshot's, above the one before.
    bucket: Bucket,
    finished: BTreeSet<usize>,
    /// What other processes have written of it, by their numbers.
    parts: BTreeMap<usize, Part>,
    facts: Option<Box<ManifestFacts>>,
    written: Written,
}

/// What was written of a bucket before its snapshot was due.
#[derive(Default)]
struct Written {
    segments: Vec<(usize, SegmentRef)>,
    bytes: u64,
    rows: u64,
}

pub(super) struct Writing {
    store: Store,
    settings: Settings,
    kept: Vec<Kept>,
    workers: usize,
    events: Box<dyn Fn(Event) + Send>,
    handle: Handle,
    expected: BTreeMap<Tick, Expected>,
    /// Changes above the last expected snapshot.
    open: Bucket,
    open_written: Written,
    /// The last snapshot's tick, expected or written.
    last: Tick,
    catalog: Catalog,
    compactor: Option<Compactor>,
}

impl Writing {
    pub(super) fn new(
        store: Store,
        settings: Settings,
        kept: Vec<Kept>,
        workers: usize,
        base: Option<Snapshot>,
        events: Box<dyn Fn(Event) + Send>,
        handle: Handle,
    ) -> Result<Writing> {
        let mut catalog = Catalog::new(kept.len());
        if let Some(base) = &base {
            for (uid, kept) in kept.iter().enumerate() {
                let same = |state: &&KeptState| state.fingerprint == kept.fingerprint && !kept.anew;
                let Some(state) = base.manifest().kept(&kept.uid).filter(same) else { continue };
                for segment in &state.segments {
                    catalog.append(uid, segment.clone());
                }
                handle.queue.hold(state.segments.iter().map(|s| s.name.clone()));
            }
        }
        let merges = settings.compaction && matches!(settings.role, Role::Whole { .. });
        let compactor = if merges {
            let queue = std::sync::Arc::clone(&handle.queue);
            let done = move |merged| queue.push(Message::Merged(Box::new(merged)));
            Some(Compactor::start(Box::new(done))?)
        } else {
            None
        };
        let open = Bucket::new(kept.len());
        // Rows that are kept anew are changes of base's own tick, and belong to the snapshot after it.
        let last = base.as_ref().map_or(0, Snapshot::tick).saturating_sub(1);
        Ok(Writing {
            store,
            settings,
            kept,
            workers,
            events,
            handle,
            expected: BTreeMap::new(),
            open,
            open_written: Written::default(),
            last,
            catalog,
            compactor,
        })
    }

    /// Works until the queue is closed or something fails for good.
    pub(super) fn run(mut self) {
        self.measure();
        while let Some(message) = self.handle.queue.pop() {
            match self.take(message) {
                Ok(()) => self.measure(),
                Err(Stop::Closed) => break,
                Err(Stop::Failed(error)) => {
                    (self.events)(Event::Failed(error));
                    break;
                }
            }
        }
        self.handle.queue.close();
    }

    fn take(&mut self, message: Message) -> Result<(), Stop> {
        match message {
            Message::Changes(changes) => {
                let applied = self.apply(&changes);
                self.handle.queue.done(changes);
                applied?;
                self.spill()
            }
            Message::Expect(tick) => Ok(self.expect(tick)?),
            Message::Finished(worker, tick) => {
                self.expect(tick)?;
                if let Some(expected) = self.expected.get_mut(&tick) {
                    expected.finished.insert(worker);
                }
                self.write_due()
            }
            Message::Facts(facts) => {
                self.expect(facts.tick)?;
                if let Some(expected) = self.expected.get_mut(&facts.tick) {
                    expected.facts = Some(facts);
                }
                self.write_due()
            }
            Message::Part(part) => {
                self.expect(part.tick)?;
                self.handle.queue.hold(part.segments.iter().map(|(_, s)| s.name.clone()));
                if let Some(expected) = self.expected.get_mut(&part.tick) {
                    expected.parts.insert(part.process, *part);
                }
                self.write_due()
            }
            Message::Merged(merged) => {
                self.merged(*merged)?;
                self.compact();
                Ok(())
            }
        }
    }

    /// Step 1.
    fn expect(&mut self, tick: Tick) -> Result<()> {
        if tick <= self.last {
            return Ok(());
        }
        if self.open.tick_max() > tick {
            return Err(Error::internal(format!(
                "a snapshot at tick {tick} was announced after a change of tick {}",
                self.open.tick_max()
            )));
        }
        let bucket = std::mem::replace(&mut self.open, Bucket::new(self.kept.len()));
        let written = std::mem::take(&mut self.open_written);
        let expected = Expected {
            bucket,
            finished: BTreeSet::new(),
            parts: BTreeMap::new(),
            facts: None,
            written,
        };
        self.expected.insert(tick, expected);
        self.last = tick;
        Ok(())
    }

    fn apply(&mut self, changes: &Changes) -> Result<()> {
        for change in changes.iter() {
            if usize::from(change.uid) >= self.kept.len() {
                return Err(Error::internal(format!("there is no kept uid {}", change.uid)));
            }
            if change.tick > self.last {
                self.open.apply(&change);
                continue;
            }
            let late = || {
                Error::internal(format!(
                    "a change of tick {} came after the snapshot that holds it",
                    change.tick
                ))
            };
            let (_, expected) = self.expected.range_mut(change.tick..).next().ok_or_else(late)?;
            expected.bucket.apply(&change);
        }
        Ok(())
    }

    /// Writes what is in memory before its snapshot is due, if it is much.
    fn spill(&mut self) -> Result<(), Stop> {
        let limit = self.settings.spill_bytes;
        let ticks: Vec<Tick> = self.expected.keys().copied().collect();
        for tick in ticks {
            if let Some(mut expected) = self.expected.remove(&tick) {
                let spilled = self.spill_bucket(&mut expected.bucket, &mut expected.written, limit);
                self.expected.insert(tick, expected);
                spilled?;
            }
        }
        let mut open = std::mem::replace(&mut self.open, Bucket::new(0));
        let mut written = std::mem::take(&mut self.open_written);
        let spilled = self.spill_bucket(&mut open, &mut written, limit);
        self.open = open;
        self.open_written = written;
        spilled
    }

    fn spill_bucket(
        &mut self,
        bucket: &mut Bucket,
        written: &mut Written,
        limit: usize,
    ) -> Result<(), Stop> {
        if bucket.bytes() < limit {
            return Ok(());
        }
        bucket.sweep();
        if bucket.bytes() < limit / 2 {
            return Ok(());
        }
        self.write_bucket(bucket, written)
    }

    /// Step 2: a bucket's changes into segments.
    fn write_bucket(&mut self, bucket: &mut Bucket, written: &mut Written) -> Result<(), Stop> {
        let tick = bucket.tick_max();
        for (uid, drained) in bucket.drain().into_iter().enumerate() {
            let Some((first_tick, last_tick)) = drained.ticks() else { continue };
            let header = Header {
                uid: self.kept[uid].uid.clone(),
                schema: self.kept[uid].schema.clone(),
                fingerprint: self.kept[uid].fingerprint,
                generation: self.settings.generation,
                first_tick,
                last_tick,
            };
            let run = crate::random::nonce().0;
            let parts = encode(&header, drained, &self.settings)?;
            for (part, finished) in parts.into_iter().enumerate() {
                let named = compaction::named(&header, &finished, tick, run, part as u64);
                written.bytes += named.bytes;
                written.rows += named.puts + named.removes;
                self.handle.queue.hold([named.name.clone()]);
                self.put(&named.name, finished.bytes)?;
                written.segments.push((uid, named));
            }
        }
        Ok(())
    }

    /// Steps 2 and 3 for every snapshot that is due, in order.
    fn write_due(&mut self) -> Result<(), Stop> {
        while let Some(entry) = self.expected.first_entry() {
            let expected = entry.get();
            if expected.finished.len() < self.workers {
                break;
            }
            match self.settings.role {
                Role::Part { process } => {
                    let (tick, expected) = entry.remove_entry();
                    self.write_part(process, tick, expected)?;
                }
                Role::Whole { others } => {
                    if expected.parts.len() < others || expected.facts.is_none() {
                        break;
                    }
                    let mut expected = entry.remove();
                    let Some(facts) = expected.facts.take() else { break };
                    self.write_snapshot(*facts, expected)?;
                }
            }
        }
        Ok(())
    }

    fn write_part(
        &mut self,
        process: usize,
        tick: Tick,
        mut expected: Expected,
    ) -> Result<(), Stop> {
        let mut written = std::mem::take(&mut expected.written);
        self.write_bucket(&mut expected.bucket, &mut written)?;
        let Written { segments, bytes, rows } = written;
        self.count(bytes, rows);
        // The first process holds them from now on.
        let names: Vec<String> = segments.iter().map(|(_, segment)| segment.name.clone()).collect();
        self.handle.queue.release(&names);
        (self.events)(Event::Part(Part { tick, process, segments, bytes, rows }));
        Ok(())
    }

    fn write_snapshot(&mut self, facts: ManifestFacts, mut expected: Expected) -> Result<(), Stop> {
        let since = clock::instant();
        let mut written = std::mem::take(&mut expected.written);
        self.write_bucket(&mut expected.bucket, &mut written)?;
        for part in std::mem::take(&mut expected.parts).into_values() {
            written.segments.extend(part.segments);
            written.bytes += part.bytes;
            written.rows += part.rows;
        }
        let changed: BTreeSet<usize> = written.segments.iter().map(|(uid, _)| *uid).collect();
        for (uid, segment) in written.segments {
            self.catalog.append(uid, segment);
        }
        self.catalog.snapshot_taken(&changed);

        let (tick, savepoint) = (facts.tick, facts.savepoint.clone());
        let name = manifest::name(facts.generation, tick);
        let kept = self.kept.iter().enumerate().map(|(uid, kept)| KeptState {
            uid: kept.uid.clone(),
            schema: kept.schema.clone(),
            fingerprint: kept.fingerprint,
            segments: self.catalog.segments(uid).to_vec(),
        });
        let manifest = Manifest { facts, kept: kept.collect() };
        let mut names: Vec<String> = manifest.segments().map(str::to_string).collect();
        names.push(name.clone());
        self.handle.queue.uncounted(tick, names);
        let bytes = manifest.encode()?;
        written.bytes += bytes.len() as u64;
        self.put(&name, bytes)?;

        self.count(written.bytes, written.rows);
        let seconds = clock::instant().duration_since(since).as_secs_f64();
        self.compact();
        (self.events)(Event::Written {
            tick,
            manifest: name,
            savepoint,
            bytes: written.bytes,
            rows: written.rows,
            seconds,
            merging: self.catalog.merging(),
        });
        Ok(())
    }

    fn count(&self, bytes: u64, rows: u64) {
        let counters = &self.handle.counters;
        counters.bytes_written.fetch_add(bytes, Ordering::Relaxed);
        counters.rows_written.fetch_add(rows, Ordering::Relaxed);
        counters.snapshots.fetch_add(1, Ordering::Relaxed);
    }

    /// Makes the object, trying again for as long as the store fails. That it is there already with the same bytes is
    /// success: an answer was lost.
    fn put(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), Stop> {
        let bytes = Bytes::from(bytes);
        let mut pause = PAUSE_MIN;
        loop {
            match self.store.put_own(name, bytes.clone()) {
                Ok(()) => return Ok(()),
                Err(e) if matches!(e.kind(), Kind::Retry | Kind::Undecided) => {
                    (self.events)(Event::Retrying(e));
                }
                Err(e) => return Err(Stop::Failed(e)),
            }
            if !self.handle.queue.pause(pause) {
                return Err(Stop::Closed);
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Takes the outcome of a merge into the list for the next manifest.
    fn merged(&mut self, merged: Merged) -> Result<()> {
        match merged.outcome {
            Ok(outputs) => {
                let bytes = outputs.iter().map(|s| s.bytes).sum();
                self.handle.counters.merges.fetch_add(1, Ordering::Relaxed);
                self.handle.counters.merged_bytes.fetch_add(bytes, Ordering::Relaxed);
                self.catalog.replace(merged.uid, &merged.inputs, outputs);
                self.handle.queue.release(&merged.inputs);
                (self.events)(Event::Merged {
                    uid: self.kept[merged.uid].uid.clone(),
                    inputs: merged.inputs.len() as u64,
                    bytes,
                });
            }
            Err(error) if matches!(error.kind(), Kind::Retry | Kind::Undecided) => {
                self.catalog.not_merged();
                self.handle.queue.release(&merged.named);
                (self.events)(Event::Retrying(error));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Gives the compactor its next merge, if one is worth it.
    fn compact(&mut self) {
        let Some(compactor) = &self.compactor else { return };
        let Some((uid, inputs, bottom)) = self.catalog.next_merge() else { return };
        let header = Header {
            uid: self.kept[uid].uid.clone(),
            schema: self.kept[uid].schema.clone(),
            fingerprint: self.kept[uid].fingerprint,
            generation: self.settings.generation,
            first_tick: inputs.iter().map(|s| s.first_tick).min().unwrap_or(0),
            last_tick: inputs.iter().map(|s| s.last_tick).max().unwrap_or(0),
        };
        let queue = std::sync::Arc::clone(&self.handle.queue);
        compactor.merge(compaction::Job {
            store: self.store.clone(),
            uid,
            header,
            inputs,
            bottom,
            segment_bytes: self.settings.segment_bytes,
            block_bytes: self.settings.block_bytes,
            hold: Box::new(move |name| queue.hold([name])),
        });
    }

    fn measure(&self) {
        let counters = &self.handle.counters;
        let memory = self.open.bytes()
            + self.expected.values().map(|expected| expected.bucket.bytes()).sum::<usize>();
        counters.memory_bytes.store(memory as u64, Ordering::Relaxed);
        counters.live_bytes.store(self.catalog.bytes(), Ordering::Relaxed);
        counters.merges_open.store(u64::from(self.catalog.merging()), Ordering::Relaxed);
    }
}

/// The segments of a bucket's uid. Tombstones go into the first: they are older than what the others hold of their ticks.
fn encode(header: &Header, mut drained: Drained, settings: &Settings) -> Result<Vec<Finished>> {
    let begin = || SegmentWriter::new(header.clone(), settings.block_bytes);
    let mut finished = Vec::new();
    let mut tombstones = std::mem::take(&mut drained.tombstones);
    let mut writer = begin()?;
    for (key, tick, value) in drained.entries() {
        if writer.len() >= settings.segment_bytes {
            let full = std::mem::replace(&mut writer, begin()?);
            finished.push(full.finish(&std::mem::take(&mut tombstones))?);
        }
        writer.push(key, tick, value)?;
    }
    finished.push(writer.finish(&tombstones)?);
    Ok(finished)
}
