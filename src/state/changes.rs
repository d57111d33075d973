//! What a worker collects between two hand-overs to the persister. It never blocks and does no I/O.

use crate::ids::Tick;
use crate::state::coding::Cursor;
use crate::time::clock;
use std::time::{Duration, Instant};

/// Bytes at which a buffer should be handed over.
pub const BUFFER_BYTES: usize = 256 * 1024;

/// Age of the oldest change at which a buffer should be handed over.
pub const BUFFER_AGE: Duration = Duration::from_millis(10);

const PUT: u8 = 0;
const REMOVE: u8 = 1;
const REMOVE_PREFIX: u8 = 2;

/// kind u8, uid u16, tick u64, key length u32, value length u32; little-endian.
const HEAD: usize = 1 + 2 + 8 + 4 + 4;

/// Changes of kept rows on one worker, appended as bytes; a change allocates nothing once the buffer has grown.
///
/// Among changes of one key the newest tick wins, and within a tick the last one. Changes of a key come from one worker
/// and in the order of ticks.
#[derive(Debug, Default)]
pub struct ChangeBuffer {
    bytes: Vec<u8>,
    count: u64,
    oldest: Option<Instant>,
}

impl ChangeBuffer {
    /// An empty buffer.
    pub fn new() -> ChangeBuffer {
        ChangeBuffer::default()
    }

    /// At `tick` the key that `key` appends has the value that `value` appends. `uid` is the place of the uid in the list
    /// given to [`Persister::spawn`](crate::state::persister::Persister::spawn).
    ///
    /// # Panics
    /// If key or value is 4 GiB or longer.
    pub fn put(
        &mut self,
        uid: u16,
        tick: Tick,
        key: impl FnOnce(&mut Vec<u8>),
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.begin(PUT, uid, tick);
        key(&mut self.bytes);
        let middle = self.bytes.len();
        value(&mut self.bytes);
        self.finish(start, middle);
    }

    /// From `tick` on the key that `key` appends is gone.
    ///
    /// # Panics
    /// As [`ChangeBuffer::put`].
    pub fn remove(&mut self, uid: u16, tick: Tick, key: impl FnOnce(&mut Vec<u8>)) {
        let start = self.begin(REMOVE, uid, tick);
        key(&mut self.bytes);
        self.finish(start, self.bytes.len());
    }

    /// From `tick` on every key that begins with what `prefix` appends is gone: those put at lower ticks by any worker, and
    /// those put at this tick and handed over before. Other workers' puts of the same tick under the same prefix are in no
    /// order to this: whoever shares a prefix has each worker remove it, or writes below it at other ticks only.
    ///
    /// # Panics
    /// As [`ChangeBuffer::put`].
    pub fn remove_prefix(&mut self, uid: u16, tick: Tick, prefix: impl FnOnce(&mut Vec<u8>)) {
        let start = self.begin(REMOVE_PREFIX, uid, tick);
        prefix(&mut self.bytes);
        self.finish(start, self.bytes.len());
    }

    /// Whether it should be handed over: [`BUFFER_BYTES`] or [`BUFFER_AGE`] is reached. An empty buffer is never due.
    pub fn due(&self) -> bool {
        !self.bytes.is_empty() && self.due_at(clock::instant())
    }

    /// [`ChangeBuffer::due`] at a moment that is already known.
    pub fn due_at(&self, now: Instant) -> bool {
        self.bytes.len() >= BUFFER_BYTES
            || self.oldest.is_some_and(|at| now.saturating_duration_since(at) >= BUFFER_AGE)
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Everything collected; the buffer is empty afterwards and goes on in the memory of `recycled`.
    pub fn take(&mut self, mut recycled: Vec<u8>) -> Changes {
        recycled.clear();
        self.oldest = None;
        Changes {
            bytes: std::mem::replace(&mut self.bytes, recycled),
            count: std::mem::take(&mut self.count),
        }
    }

    fn begin(&mut self, kind: u8, uid: u16, tick: Tick) -> usize {
        if self.oldest.is_none() {
            self.oldest = Some(clock::instant());
        }
        let start = self.bytes.len();
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&uid.to_le_bytes());
        self.bytes.extend_from_slice(&tick.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        start
    }

    fn finish(&mut self, start: usize, middle: usize) {
        let key = u32::try_from(middle - start - HEAD).expect("keys are shorter than 4 GiB");
        let value =
            u32::try_from(self.bytes.len() - middle).expect("values are shorter than 4 GiB");
        self.bytes[start + 11..start + 15].copy_from_slice(&key.to_le_bytes());
        self.bytes[start + 15..start + 19].copy_from_slice(&value.to_le_bytes());
        self.count += 1;
    }
}

/// Changes on their way to the persister.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    bytes: Vec<u8>,
    count: u64,
}

impl Changes {
    /// Bytes held.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no change.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The number of changes.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The changes in their order.
    pub fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        let mut cursor = Cursor::new(&self.bytes);
        std::iter::from_fn(move || {
            if cursor.is_empty() {
                return None;
            }
            let whole = "a buffer holds whole changes";
            let kind = cursor.u8().expect(whole);
            let uid = cursor.u16().expect(whole);
            let tick = cursor.u64().expect(whole);
            let key_len = cursor.u32().expect(whole) as usize;
            let value_len = cursor.u32().expect(whole) as usize;
            let key = cursor.take(key_len).expect(whole);
            let value = cursor.take(value_len).expect(whole);
            let what = match kind {
                PUT => What::Put(value),
                REMOVE => What::Remove,
                _ => What::RemovePrefix,
            };
            Some(Change { uid, tick, key, what })
        })
    }

    /// The memory, to be used again.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The place of the uid in the list of kept uids.
    pub uid: u16,
    /// The tick at which it takes effect.
    pub tick: Tick,
    /// The key, or the prefix of keys.
    pub key: &'a [u8],
    /// What happens to it.
    pub what: What<'a>,
}

/// What happens to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// It has this value.
    Put(&'a [u8]),
    /// It is gone.
    Remove,
    /// Every key with this prefix is gone.
    RemovePrefix,
}

#[cfg(test)]
mod tests;
