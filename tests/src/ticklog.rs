//! What a test must know of a tick log and of a local store: which snapshots count, which segments lie there.
//! Written from `doc/formats/tick-log.md`, not from the engine's code.

use crate::{Failure, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const MAGIC: &[u8] = b"TIDELOG\n";
const HEADER_BYTES: usize = 32;
const FRAME_HEAD_BYTES: usize = 8;

/// A snapshot or segment is of a generation and a tick.
pub type Place = (u64, u64);

/// What counts in a tick log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The generation of the newest open that counts.
    pub generation: u64,
    /// The last tick that counts.
    pub tick: u64,
    /// Every snapshot that counts, dropped ones too.
    pub snapshots: BTreeSet<Place>,
    /// The ticks that are still in the log.
    pub ticks: BTreeMap<u64, Tick>,
}

/// A tick that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    /// Records read in it.
    pub records: u64,
    /// The next offset after it of each inlet of which something was read since the log's head.
    pub next: BTreeMap<u16, u64>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "type")]
    kind: String,
    generation: u64,
    #[serde(default)]
    tick: u64,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    snapshots: Vec<Snapshot>,
    open: Option<Open>,
}

#[derive(Deserialize)]
struct Range {
    inlet: u16,
    to: u64,
    records: u64,
}

#[derive(Deserialize)]
struct Snapshot {
    generation: u64,
    tick: u64,
}

#[derive(Deserialize)]
struct Open {
    generation: u64,
}

impl Counted {
    /// What counts in the log of these bytes. A tail that ends inside a record is passed over, as a crash leaves it.
    ///
    /// # Errors
    /// If the bytes are no log, or a whole record is none.
    pub fn read(bytes: &[u8]) -> Result<Counted> {
        let mut frames = bytes
            .strip_prefix(MAGIC)
            .and_then(|_| bytes.get(HEADER_BYTES..))
            .ok_or_else(|| Failure::new("these bytes are no tick log"))?;
        let mut payloads = Vec::new();
        while let Some((head, rest)) = frames.split_at_checked(FRAME_HEAD_BYTES) {
            let length = u32::from_le_bytes(head[..4].try_into().expect("four bytes"));
            let length = usize::try_from(length).expect("32 bits fit");
            let Some((payload, rest)) = rest.split_at_checked(length).filter(|_| length > 0) else {
                break;
            };
            payloads.push(payload);
            frames = rest;
        }
        Counted::of(payloads)
    }

    /// What counts among these records, each as JSON, in the order of the log.
    ///
    /// # Errors
    /// If one is no record.
    pub fn of<'a>(payloads: impl IntoIterator<Item = &'a [u8]>) -> Result<Counted> {
        let mut counted = Counted::default();
        let mut next = BTreeMap::new();
        for payload in payloads {
            counted.add(serde_json::from_slice(payload)?, &mut next);
        }
        Ok(counted)
    }

    fn add(&mut self, record: Record, next: &mut BTreeMap<u16, u64>) {
        if record.kind == "open" {
            self.generation = self.generation.max(record.generation);
            return;
        }
        // The log may have been cut before a state record, which says all that was before it.
        if let ("state", Some(open)) = (record.kind.as_str(), &record.open)
            && self.generation == 0
        {
            (self.generation, self.tick) = (open.generation, record.tick);
        }
        if record.generation != self.generation {
            return;
        }
        match record.kind.as_str() {
            "tick" if self.tick == 0 || record.tick == self.tick + 1 => {
                self.tick = record.tick;
                next.extend(record.ranges.iter().map(|range| (range.inlet, range.to)));
                let records = record.ranges.iter().map(|range| range.records).sum();
                self.ticks.insert(record.tick, Tick { records, next: next.clone() });
            }
            "snapshot" => drop(self.snapshots.insert((record.generation, record.tick))),
            "state" => {
                self.snapshots.extend(record.snapshots.iter().map(|s| (s.generation, s.tick)));
            }
            _ => {}
        }
    }

    /// Records read in the ticks from `first` to `last`; `None` if one of them is not here.
    pub fn records_between(&self, first: u64, last: u64) -> Option<u64> {
        (first..=last).map(|tick| Some(self.ticks.get(&tick)?.records)).sum()
    }

    /// With the ticks that were in the same log earlier, before its head was cut.
    #[must_use]
    pub fn after(mut self, earlier: &Counted) -> Counted {
        for (tick, read) in &earlier.ticks {
            self.ticks.entry(*tick).or_insert_with(|| read.clone());
        }
        self
    }

    /// The sum of all next offsets after tick `last`: what a replay from the start would read.
    pub fn records_until(&self, last: u64) -> u64 {
        let tick = self.ticks.range(..=last).next_back();
        tick.map_or(0, |(_, tick)| tick.next.values().sum())
    }

    /// Segments of the newest generation that lie in the store of `state` for a snapshot that does not count.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn uncounted_segments(&self, state: &Path) -> Result<usize> {
        let places = segments(state)?;
        let of_newest = places.into_iter().filter(|place| place.0 == self.generation);
        Ok(of_newest.filter(|place| !self.snapshots.contains(place)).count())
    }
}

/// Generation and tick of each segment in a local store: objects `segment/GENERATION-TICK-...`.
///
/// # Errors
/// If the folder can't be read, or an object has another name.
pub fn segments(state: &Path) -> Result<Vec<Place>> {
    let folder = state.join("segment");
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut places = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // The local store writes `NAME#1` and renames it: not an object yet.
        if name.contains('#') {
            continue;
        }
        let mut numbers = name.split('-').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(generation)), Some(Ok(tick))) => places.push((generation, tick)),
            _ => return Err(Failure(format!("{name} is no name of a segment"))),
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests;
