//! Records in memory, for tests: what was pushed outlives a job that crashes, as a broker's topic does.

use super::{Budget, Partition, Polled, Raw, Reader, Transport, Waker};
use crate::error::{Error, Kind, Result};
use crate::hash::Map;
use crate::ids::{Inlet, Pos};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A topic in memory. Clones are the same topic; give one to the job and keep one to push.
///
/// Offsets are 0, 1, 2, ... in each partition. A partition exists from its first push (or [`MemoryTopic::create`]) on and is open
/// until it is finished. What the job reads depends only on what was pushed before it reads, never on time.
#[derive(Clone, Default)]
pub struct MemoryTopic(Arc<Mutex<Topic>>);

#[derive(Default)]
struct Topic {
    partitions: BTreeMap<String, Records>,
    wakers: BTreeMap<u64, Waker>,
    readers: u64,
    down: bool,
}

#[derive(Default)]
struct Records {
    /// The offset of `records[0]`; those before are gone.
    earliest: u64,
    records: Vec<Record>,
    finished: bool,
}

#[derive(Clone, Debug, Default)]
struct Record {
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    timestamp: Option<i64>,
}

impl Records {
    fn latest(&self) -> u64 {
        self.earliest + self.records.len() as u64
    }

    fn index(&self, offset: u64) -> Option<usize> {
        usize::try_from(offset.checked_sub(self.earliest)?).ok()
    }
}

impl MemoryTopic {
    /// An empty topic.
    pub fn new() -> MemoryTopic {
        MemoryTopic::default()
    }

    /// Makes an empty partition, if there is none of that name.
    pub fn create(&self, partition: &str) {
        self.change(partition, |_| ());
    }

    /// Adds a record to a partition, which is made if there is none of that name; its offset. A payload of `None` is a tombstone.
    ///
    /// # Panics
    /// If the partition is finished.
    pub fn push(&self, partition: &str, key: Option<&[u8]>, payload: Option<&[u8]>) -> u64 {
        self.push_at(partition, key, payload, None)
    }

    /// As [`MemoryTopic::push`], with the transport's own time in microseconds since the Unix epoch.
    ///
    /// # Panics
    /// If the partition is finished.
    pub fn push_at(
        &self,
        partition: &str,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        timestamp: Option<i64>,
    ) -> u64 {
        let (key, payload) = (key.map(<[u8]>::to_vec), payload.map(<[u8]>::to_vec));
        self.change(partition, |records| {
            assert!(!records.finished, "partition {partition} is finished");
            records.records.push(Record { key, payload, timestamp });
            records.latest() - 1
        })
    }

    /// Ends a partition: nothing will follow what is there.
    pub fn finish(&self, partition: &str) {
        self.change(partition, |records| records.finished = true);
    }

    /// Ends every partition that there is.
    pub fn finish_all(&self) {
        let names: Vec<_> = self.lock().partitions.keys().cloned().collect();
        for name in names {
            self.finish(&name);
        }
    }

    /// The next offset behind the last record of a partition; 0 if there is no such partition.
    pub fn latest(&self, partition: &str) -> u64 {
        self.lock().partitions.get(partition).map_or(0, Records::latest)
    }

    /// Changes the past: records before `earliest` are gone, as after a broker's retention.
    pub fn trim(&self, partition: &str, earliest: u64) {
        self.change(partition, |records| {
            let gone = earliest.clamp(records.earliest, records.latest()) - records.earliest;
            records.records.drain(..usize::try_from(gone).unwrap_or(usize::MAX));
            records.earliest += gone;
        });
    }

    /// Changes the past: the record at `offset` has another payload.
    ///
    /// # Panics
    /// If there is no such record.
    pub fn rewrite(&self, partition: &str, offset: u64, payload: Option<&[u8]>) {
        let payload = payload.map(<[u8]>::to_vec);
        self.change(partition, |records| {
            let record = records.index(offset).and_then(|index| records.records.get_mut(index));
            record.expect("the record to rewrite exists").payload = payload;
        });
    }

    /// While `down`, discovery and opening fail with `Retry`, and polls find nothing yet.
    pub fn down(&self, down: bool) {
        self.lock().down = down;
        self.wake();
    }

    fn change<T>(&self, partition: &str, change: impl FnOnce(&mut Records) -> T) -> T {
        let result = {
            let mut topic = self.lock();
            change(topic.partitions.entry(partition.to_owned()).or_default())
        };
        self.wake();
        result
    }

    /// Calls every waker, outside of the lock since a waker may look at the topic.
    fn wake(&self) {
        let wakers: Vec<_> = self.lock().wakers.values().cloned().collect();
        for waker in wakers {
            waker();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Topic> {
        // A panicking test thread leaves nothing half done: every change is one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryTopic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let topic = self.lock();
        let partitions = topic.partitions.iter();
        f.debug_map().entries(partitions.map(|(name, p)| (name, p.earliest..p.latest()))).finish()
    }
}

impl Transport for MemoryTopic {
    fn describe(&self) -> String {
        "memory topic".to_owned()
    }

    fn discover(&self) -> Result<Vec<Partition>> {
        let topic = self.lock();
        refuse_if(topic.down)?;
        let partitions = topic.partitions.iter();
        Ok(partitions
            .map(|(name, p)| Partition { name: name.clone(), start: p.earliest })
            .collect())
    }

    fn open(&self, waker: Waker) -> Result<Box<dyn Reader>> {
        let mut topic = self.lock();
        refuse_if(topic.down)?;
        topic.readers += 1;
        let number = topic.readers;
        topic.wakers.insert(number, waker);
        Ok(Box::new(MemoryReader { topic: self.clone(), number, places: Map::default() }))
    }
}

fn refuse_if(down: bool) -> Result<()> {
    if down { Err(Error::new(Kind::Retry, "memory topic: is down")) } else { Ok(()) }
}

struct MemoryReader {
    topic: MemoryTopic,
    number: u64,
    places: Map<Inlet, (String, u64)>,
}

impl Drop for MemoryReader {
    fn drop(&mut self) {
        self.topic.lock().wakers.remove(&self.number);
    }
}

/// How many records are copied out under one hold of the lock.
const AT_ONCE: usize = 256;

impl Reader for MemoryReader {
    fn assign(&mut self, inlet: Inlet, partition: &str, next: u64) -> Result<()> {
        let topic = self.topic.lock();
        let records = topic.partitions.get(partition);
        let (earliest, latest) = records.map_or((0, 0), |p| (p.earliest, p.latest()));
        if records.is_none() || next < earliest || next > latest {
            return Err(lost(partition, next, earliest, latest));
        }
        self.places.insert(inlet, (partition.to_owned(), next));
        Ok(())
    }

    fn poll(
        &mut self,
        inlet: Inlet,
        limit: u64,
        budget: Budget,
        each: &mut dyn FnMut(Raw<'_>) -> Result<()>,
    ) -> Result<Polled> {
        let (partition, next) = self.places.get_mut(&inlet).ok_or_else(|| {
            Error::internal(format!("inlet {} was polled before it was assigned", inlet.0))
        })?;
        let (mut records, mut bytes) = (0, 0);
        loop {
            // Copied out, so that `each` may push to the topic.
            let most = budget.records.saturating_sub(records).clamp(1, AT_ONCE);
            let (some, after) = look(&self.topic.lock(), partition, *next, limit, most)?;
            if some.is_empty() {
                return Ok(after);
            }
            for record in some {
                let size = record.payload.as_ref().map_or(0, Vec::len);
                if records > 0 && (records >= budget.records || bytes + size > budget.bytes) {
                    return Ok(Polled::More);
                }
                records += 1;
                bytes += size;
                let offset = *next;
                *next += 1;
                each(Raw {
                    offset,
                    next: offset + 1,
                    key: record.key.as_deref(),
                    payload: record.payload.as_deref(),
                    timestamp: record.timestamp,
                })?;
            }
        }
    }

    fn lag(&self, inlet: Inlet) -> Option<u64> {
        let (partition, next) = self.places.get(&inlet)?;
        Some(self.topic.latest(partition).saturating_sub(*next))
    }
}

/// At most `most` records at `next` and below `limit`, or none and why.
fn look(
    topic: &Topic,
    partition: &str,
    next: u64,
    limit: u64,
    most: usize,
) -> Result<(Vec<Record>, Polled)> {
    let records = &topic.partitions[partition];
    let (earliest, latest) = (records.earliest, records.latest());
    if next >= limit {
        return Ok((Vec::new(), Polled::Limit));
    }
    if topic.down {
        return Ok((Vec::new(), Polled::Waiting));
    }
    let replayed_to = if limit <= Pos::OFFSET_MAX { limit } else { 0 };
    let index = records.index(next).filter(|_| replayed_to <= latest || !records.finished);
    let Some(index) = index else {
        return Err(lost(partition, next, earliest, latest));
    };
    let some: Vec<_> = records.records[index..]
        .iter()
        .take(usize::try_from(limit - next).unwrap_or(usize::MAX).min(most))
        .cloned()
        .collect();
    let after = if records.finished { Polled::Finished } else { Polled::CaughtUp };
    Ok((some, after))
}

fn lost(partition: &str, wanted: u64, earliest: u64, latest: u64) -> Error {
    Error::new(
        Kind::SourceChanged,
        format!(
            "memory topic, partition {partition}: wanted offset {wanted} is not there, earliest {earliest}, latest {latest}"
        ),
    )
}

#[cfg(test)]
mod tests;
