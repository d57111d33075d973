//! Reading segments and verifying every byte of them.

use super::{
    BlockEntry, FOOTER, Header, MAGIC, OP_PUT, OP_REMOVE, READ_BLOCKS, SegmentRef, Tombstones,
    VERSION,
};
use crate::error::{Error, Result};
use crate::ids::Tick;
use crate::state::coding::{Cursor, crc};
use crate::state::store::Store;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Bytes that are read at a segment's end at first; a larger index is read with a second call.
const TAIL: u64 = 64 * 1024;

/// A segment whose header, tombstones and index are read and verified. Blocks are read as they are asked for.
#[derive(Debug)]
pub struct Segment {
    store: Store,
    named: SegmentRef,
    header: Header,
    tombstones: Tombstones,
    pub(in crate::state) blocks: Vec<BlockEntry>,
    last_key: Vec<u8>,
    read: Arc<AtomicU64>,
    /// Blocks that were read before somebody asks for their entries.
    held: Mutex<BTreeMap<usize, Bytes>>,
}

/// One entry of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// The tick.
    pub tick: Tick,
    /// The value, or `None` if the key is gone.
    pub value: Option<Bytes>,
}

/// What an entry needs at least: key length, tick and operation, a byte each.
const ENTRY_BYTES_MIN: usize = 3;

impl Segment {
    /// The segment that a manifest names. Bytes read are added to `read`.
    ///
    /// # Errors
    /// `Corrupt`, naming object and byte, if the object is gone, damaged, or another one; `Retry` if the store did not answer.
    pub fn open(store: &Store, named: &SegmentRef, read: Arc<AtomicU64>) -> Result<Segment> {
        let mut opening = Opening { store, named, read: &read };
        let tail_start = named.bytes.saturating_sub(TAIL);
        let tail = opening.fetch(tail_start..named.bytes)?;
        if opening
            .store
            .get_range(&named.name, named.bytes..named.bytes + 1)?
            .is_some_and(|b| !b.is_empty())
        {
            return Err(opening.wrong(named.bytes, "there are more bytes than were written"));
        }
        let (index_offset, index_len) = opening.footer(&tail)?;
        let index = if index_offset >= tail_start {
            let from = (index_offset - tail_start) as usize;
            tail.slice(from..from + index_len as usize)
        } else {
            opening.fetch(index_offset..index_offset + u64::from(index_len))?
        };
        let payload = opening.frame(index_offset, &index, 0, named.index_crc)?;
        let index = Index::parse(payload)
            .ok_or_else(|| opening.wrong(index_offset, "the index has another shape"))?;
        opening.layout(&index, index_offset)?;

        let first = index.blocks.first().map_or(index.tombstones_offset, |b| b.offset);
        let bytes = opening.fetch(0..first)?;
        let header = opening.header(&bytes, index.header_crc)?;

        let bytes = opening.fetch(index.tombstones_offset..index_offset)?;
        let payload = opening.frame(index.tombstones_offset, &bytes, 0, index.tombstones_crc)?;
        let tombstones = parse_tombstones(payload, &header)
            .filter(|t| t.len() as u64 == named.tombstones)
            .ok_or_else(|| {
                opening.wrong(index.tombstones_offset, "the tombstones have another shape")
            })?;
        Ok(Segment {
            store: store.clone(),
            named: named.clone(),
            header,
            tombstones,
            blocks: index.blocks,
            last_key: index.last_key,
            read,
            held: Mutex::default(),
        })
    }

    /// How the manifest names it.
    pub fn named(&self) -> &SegmentRef {
        &self.named
    }

    /// What it says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its range tombstones.
    pub fn tombstones(&self) -> &Tombstones {
        &self.tombstones
    }

    /// The number of blocks.
    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// The greatest key; empty if there is no entry.
    pub fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// The entries of these blocks, in order, read with one call unless they are held.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub fn read(&self, blocks: Range<usize>) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for (block, payload) in blocks.clone().zip(self.payloads(blocks)?) {
            self.entries(block, &payload, &mut entries)?;
        }
        Ok(entries)
    }

    /// Reads and verifies these blocks, and holds them until their entries are asked for, or until they are let go.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub(in crate::state) fn verify(&self, wanted: &Range<usize>) -> Result<()> {
        let mut entries = Vec::new();
        for first in wanted.clone().step_by(READ_BLOCKS) {
            let blocks = first..wanted.end.min(first + READ_BLOCKS);
            for (block, payload) in blocks.clone().zip(self.payloads(blocks)?) {
                self.entries(block, &payload, &mut entries)?;
                entries.clear();
                self.held().insert(block, payload);
            }
        }
        Ok(())
    }

    /// Holds no block any more.
    pub(in crate::state) fn let_go(&self) {
        self.held().clear();
    }

    /// Whether it holds a block.
    #[cfg(test)]
    pub(in crate::state) fn holds(&self) -> bool {
        !self.held().is_empty()
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<usize, Bytes>> {
        self.held.lock().expect("no panic while it is held")
    }

    fn opening(&self) -> Opening<'_> {
        Opening { store: &self.store, named: &self.named, read: &self.read }
    }

    /// What is in these blocks, with the right checksum.
    fn payloads(&self, blocks: Range<usize>) -> Result<Vec<Bytes>> {
        let taken: Vec<_> = {
            let mut held = self.held();
            blocks.clone().map_while(|block| held.remove(&block)).collect()
        };
        if taken.len() == blocks.len() {
            return Ok(taken);
        }
        let Some((first, last)) =
            self.blocks.get(blocks.clone()).and_then(|b| b.first().zip(b.last()))
        else {
            return Ok(Vec::new());
        };
        let (opening, start) = (self.opening(), first.offset);
        let bytes = opening.fetch(start..last.offset + u64::from(last.bytes))?;
        let payload = |block: &BlockEntry| {
            let from = (block.offset - start) as usize;
            let frame = bytes.slice(from..from + block.bytes as usize);
            opening.frame(block.offset, &frame, 0, block.crc)?;
            Ok(frame.slice(4..frame.len() - 4))
        };
        self.blocks[blocks].iter().map(payload).collect()
    }

    fn entries(&self, block: usize, payload: &Bytes, out: &mut Vec<Entry>) -> Result<()> {
        let entry = &self.blocks[block];
        self.parse_block(payload, entry, out)
            .ok_or_else(|| self.opening().wrong(entry.offset, "the block has another shape"))
    }

    fn parse_block(&self, payload: &Bytes, block: &BlockEntry, out: &mut Vec<Entry>) -> Option<()> {
        let mut cursor = Cursor::new(payload);
        out.reserve((block.entries as usize).min(payload.len() / ENTRY_BYTES_MIN));
        for i in 0..block.entries {
            let key = cursor.bytes()?;
            if i == 0 && key != block.first_key {
                return None;
            }
            let key = payload.slice_ref(key);
            let tick = tick(&mut cursor, &self.header)?;
            let value = match cursor.u8()? {
                OP_PUT => Some(payload.slice_ref(cursor.bytes()?)),
                OP_REMOVE => None,
                _ => return None,
            };
            out.push(Entry { key, tick, value });
        }
        cursor.is_empty().then_some(())
    }
}

fn tick(cursor: &mut Cursor<'_>, header: &Header) -> Option<Tick> {
    header.first_tick.checked_add(cursor.varint()?).filter(|tick| *tick <= header.last_tick)
}

fn parse_tombstones(payload: &[u8], header: &Header) -> Option<Tombstones> {
    let mut cursor = Cursor::new(payload);
    let mut found = Tombstones::new();
    for _ in 0..cursor.varint()? {
        let prefix = cursor.bytes()?.to_vec();
        found.insert(prefix, tick(&mut cursor, header)?);
    }
    cursor.is_empty().then_some(found)
}

struct Index {
    header_crc: u32,
    tombstones_offset: u64,
    tombstones_crc: u32,
    puts: u64,
    removes: u64,
    last_key: Vec<u8>,
    blocks: Vec<BlockEntry>,
}

impl Index {
    fn parse(payload: &[u8]) -> Option<Index> {
        let mut cursor = Cursor::new(payload);
        let header_crc = cursor.u32()?;
        let tombstones_offset = cursor.u64()?;
        let tombstones_crc = cursor.u32()?;
        let puts = cursor.varint()?;
        let removes = cursor.varint()?;
        let last_key = cursor.bytes()?.to_vec();
        let mut blocks = Vec::new();
        for _ in 0..cursor.varint()? {
            blocks.push(BlockEntry {
                offset: cursor.u64()?,
                bytes: cursor.u32()?,
                entries: cursor.u32()?,
                crc: cursor.u32()?,
                first_key: cursor.bytes()?.to_vec(),
            });
        }
        cursor.is_empty().then_some(Index {
            header_crc,
            tombstones_offset,
            tombstones_crc,
            puts,
            removes,
            last_key,
            blocks,
        })
    }
}

/// What is needed to read and to say what is wrong.
struct Opening<'a> {
    store: &'a Store,
    named: &'a SegmentRef,
    read: &'a AtomicU64,
}

impl Opening<'_> {
    fn wrong(&self, offset: u64, what: &str) -> Error {
        Error::corrupt(format!(
            "{} in {} is damaged at byte {offset}: {what}; bring the object back, or start from an older snapshot",
            self.named.name,
            self.store.url()
        ))
    }

    fn fetch(&self, range: Range<u64>) -> Result<Bytes> {
        if range.start > range.end || range.end > self.named.bytes {
            return Err(self.wrong(range.start, "a part lies outside the object"));
        }
        let Some(bytes) = self.store.get_range(&self.named.name, range.clone())? else {
            return Err(Error::corrupt(format!(
                "{} in {} is gone (byte 0 of {}): begin again at a newer snapshot, or bring the object back",
                self.named.name,
                self.store.url(),
                self.named.bytes
            )));
        };
        self.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if bytes.len() as u64 != range.end - range.start {
            let end = range.start + bytes.len() as u64;
            return Err(
                self.wrong(end, &format!("it ends here instead of at {}", self.named.bytes))
            );
        }
        Ok(bytes)
    }

    /// Where the index is and how long.
    fn footer(&mut self, tail: &Bytes) -> Result<(u64, u32)> {
        let end = self.named.bytes;
        let Some(from) = tail.len().checked_sub(FOOTER) else {
            return Err(self.wrong(end, "it is shorter than a footer"));
        };
        let (at, footer) = (end - FOOTER as u64, &tail[from..]);
        let shape = "a footer has a fixed size";
        let mut cursor = Cursor::new(footer);
        let index_offset = cursor.u64().expect(shape);
        let index_len = cursor.u32().expect(shape);
        let length = cursor.u64().expect(shape);
        let version = cursor.u32().expect(shape);
        let magic = cursor.take(MAGIC.len()).expect(shape);
        let crc_found = cursor.u32().expect(shape);
        if crc_found != crc(&footer[..FOOTER - 4]) {
            return Err(self.wrong(at, "the footer's checksum is another"));
        }
        if magic != MAGIC {
            return Err(self.wrong(at, "it is no segment"));
        }
        if version != VERSION {
            return Err(self.wrong(
                at,
                &format!("it has format version {version}, this program reads {VERSION}"),
            ));
        }
        if length != end || index_offset.checked_add(u64::from(index_len)) != Some(at) {
            return Err(self.wrong(at, "the footer belongs to an object of another length"));
        }
        Ok((index_offset, index_len))
    }

    /// The payload of a frame that begins at `offset` with `lead` bytes before its length.
    fn frame<'b>(&self, offset: u64, frame: &'b [u8], lead: usize, want: u32) -> Result<&'b [u8]> {
        let whole = (|| {
            let mut cursor = Cursor::new(frame);
            cursor.take(lead)?;
            let len = cursor.u32()? as usize;
            let payload = cursor.take(len)?;
            let found = crc(&frame[..cursor.at()]);
            (cursor.u32()? == found && found == want && cursor.is_empty()).then_some(payload)
        })();
        whole.ok_or_else(|| {
            self.wrong(
                offset,
                &format!("the checksum of the {} bytes from here is another", frame.len()),
            )
        })
    }

    /// The parts follow each other without a gap, and the counts are those of the manifest.
    fn layout(&self, index: &Index, index_offset: u64) -> Result<()> {
        let mut expected = index.blocks.first().map_or(index.tombstones_offset, |b| b.offset);
        let mut entries = 0;
        for block in &index.blocks {
            if block.offset != expected {
                return Err(self.wrong(block.offset, "blocks do not follow each other"));
            }
            expected += u64::from(block.bytes);
            entries += u64::from(block.entries);
        }
        let counted = index.puts.checked_add(index.removes) == Some(entries)
            && index.puts == self.named.puts
            && index.removes == self.named.removes;
        if expected != index.tombstones_offset || !counted {
            return Err(self.wrong(index_offset, "the index has another shape"));
        }
        Ok(())
    }

    fn header(&self, bytes: &[u8], want: u32) -> Result<Header> {
        let lead = MAGIC.len() + 4;
        let payload = self.frame(0, bytes, lead, want)?;
        if &bytes[..MAGIC.len()] != MAGIC || bytes[MAGIC.len()..lead] != VERSION.to_le_bytes() {
            return Err(self.wrong(0, "it is no segment of this format version"));
        }
        let header: Header = serde_json::from_slice(payload)
            .map_err(|e| self.wrong(0, &format!("the header can't be read: {e}")))?;
        if header.first_tick != self.named.first_tick || header.last_tick != self.named.last_tick {
            return Err(self.wrong(0, "the header names other ticks than the manifest"));
        }
        Ok(header)
    }
}
