//! Segments: immutable sorted runs of one uid's changes. Which segments there are is the manifest's affair.
//!
//! ```text
//! segment = header block* tombstones index footer          (doc/formats/segment.md, byte by byte)
//! ```
//! Every byte lies under a CRC32C. The index holds the checksums of all other parts, the manifest holds the index's, so a
//! segment can't be exchanged for another whole one either.
//!
//! **Law.** In a list of segments (oldest first) a key's row is the entry with the greatest (tick, place in the list); it is
//! gone if that entry is a removal, or if a range tombstone over it has a greater (tick, place).

mod read;

pub use read::{Entry, Segment};

use crate::error::{Error, Result};
use crate::ids::{Generation, Tick};
use crate::state::coding::{crc, put_bytes, put_varint};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format that is written.
pub const VERSION: u32 = 1;

/// Bytes of entries at which a block ends.
pub const BLOCK_BYTES: usize = 64 * 1024;

/// Blocks that are read with one call.
pub(in crate::state) const READ_BLOCKS: usize = 8;

const MAGIC: &[u8; 8] = b"tidemkSG";

/// index offset u64, index length u32, object length u64, version u32, magic, CRC32C u32.
const FOOTER: usize = 8 + 4 + 8 + 4 + 8 + 4;

const OP_PUT: u8 = 0;
const OP_REMOVE: u8 = 1;

/// Range tombstones: prefix -> the newest tick at which it was removed.
pub type Tombstones = BTreeMap<Vec<u8>, Tick>;

/// What a segment says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The uid whose rows these are.
    pub uid: String,
    /// The readable schema of key and value.
    pub schema: serde_json::Value,
    /// The schema's fingerprint.
    #[serde(with = "crate::state::coding::hex")]
    pub fingerprint: u64,
    /// The generation that wrote it.
    pub generation: Generation,
    /// No entry or tombstone has a lower tick.
    pub first_tick: Tick,
    /// None has a higher one.
    pub last_tick: Tick,
}

/// A segment as a manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRef {
    /// The object's name.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// CRC32C of its index, which has the checksums of everything else.
    pub index_crc: u32,
    /// Entries that put a row.
    pub puts: u64,
    /// Entries that remove one.
    pub removes: u64,
    /// Range tombstones.
    pub tombstones: u64,
    /// As in [`Header`].
    pub first_tick: Tick,
    /// As in [`Header`].
    pub last_tick: Tick,
    /// Segments of the same run were written together, have no key in common and lie side by side in the list.
    #[serde(with = "crate::state::coding::hex")]
    pub run: u64,
}

/// The name of a segment object: `segment/<generation>-<tick>-<random>-<part>`.
pub fn name(generation: Generation, tick: Tick, random: u64, part: u64) -> String {
    format!("segment/{generation}-{tick}-{random:016x}-{part}")
}

/// Generation and tick in a segment's or a manifest's name; `None` if it is not such a name.
pub fn parse_name(name: &str) -> Option<(Generation, Tick)> {
    let rest = name.strip_prefix("segment/").or_else(|| name.strip_prefix("manifest/"))?;
    let mut parts = rest.split('-');
    let generation = parts.next()?.parse().ok()?;
    let tick = parts.next()?.parse().ok()?;
    Some((Generation(generation), tick))
}

/// One block in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BlockEntry {
    pub(super) offset: u64,
    pub(super) bytes: u32,
    pub(super) entries: u32,
    pub(super) crc: u32,
    pub(super) first_key: Vec<u8>,
}

/// The bytes of a finished segment, not yet in the store.
#[derive(Debug)]
pub struct Finished {
    /// The whole object.
    pub bytes: Vec<u8>,
    /// CRC32C of its index.
    pub index_crc: u32,
    /// Entries that put a row.
    pub puts: u64,
    /// Entries that remove one.
    pub removes: u64,
    /// Range tombstones.
    pub tombstones: u64,
}

/// Builds a segment in memory: entries in ascending order of keys, then the tombstones.
#[derive(Debug)]
pub struct SegmentWriter {
    out: Vec<u8>,
    header_crc: u32,
    header: Header,
    block_bytes: usize,
    block: Vec<u8>,
    block_entries: u32,
    block_key: Vec<u8>,
    last_key: Vec<u8>,
    index: Vec<BlockEntry>,
    puts: u64,
    removes: u64,
}

impl SegmentWriter {
    /// A segment without entries, whose blocks end at `block_bytes` (normally [`BLOCK_BYTES`]).
    ///
    /// # Errors
    /// `Internal` if the schema can't be written as JSON.
    pub fn new(header: Header, block_bytes: usize) -> Result<SegmentWriter> {
        let json = serde_json::to_vec(&header)
            .map_err(|e| Error::internal(format!("the header of a segment: {e}")))?;
        let mut out = Vec::with_capacity(BLOCK_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        let header_crc = frame(&mut out, 0, &json);
        Ok(SegmentWriter {
            out,
            header_crc,
            header,
            block_bytes,
            block: Vec::new(),
            block_entries: 0,
            block_key: Vec::new(),
            last_key: Vec::new(),
            index: Vec::new(),
            puts: 0,
            removes: 0,
        })
    }

    /// Appends an entry: the key has this value from `tick` on, or is gone (`None`).
    ///
    /// # Errors
    /// `Internal` if the key does not come after the one before, or the tick is outside the header's.
    pub fn push(&mut self, key: &[u8], tick: Tick, value: Option<&[u8]>) -> Result<()> {
        let first = self.puts + self.removes == 0;
        if !first && key <= self.last_key.as_slice() {
            return Err(Error::internal(format!(
                "segment of {}: keys do not ascend",
                self.header.uid
            )));
        }
        self.check_tick(tick)?;
        if self.block_entries == 0 {
            self.block_key.clear();
            self.block_key.extend_from_slice(key);
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        put_bytes(&mut self.block, key);
        put_varint(&mut self.block, tick - self.header.first_tick);
        match value {
            Some(value) => {
                self.block.push(OP_PUT);
                put_bytes(&mut self.block, value);
                self.puts += 1;
            }
            None => {
                self.block.push(OP_REMOVE);
                self.removes += 1;
            }
        }
        self.block_entries += 1;
        if self.block.len() >= self.block_bytes {
            self.end_block();
        }
        Ok(())
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.out.len() + self.block.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.puts + self.removes == 0
    }

    /// The whole object.
    ///
    /// # Errors
    /// `Internal` if a tombstone's tick is outside the header's.
    pub fn finish(mut self, tombstones: &Tombstones) -> Result<Finished> {
        if self.block_entries > 0 {
            self.end_block();
        }
        let mut section = Vec::new();
        put_varint(&mut section, tombstones.len() as u64);
        for (prefix, tick) in tombstones {
            self.check_tick(*tick)?;
            put_bytes(&mut section, prefix);
            put_varint(&mut section, tick - self.header.first_tick);
        }
        let tombstones_offset = self.out.len();
        let tombstones_crc = frame(&mut self.out, tombstones_offset, &section);

        let mut index = Vec::new();
        index.extend_from_slice(&self.header_crc.to_le_bytes());
        index.extend_from_slice(&(tombstones_offset as u64).to_le_bytes());
        index.extend_from_slice(&tombstones_crc.to_le_bytes());
        put_varint(&mut index, self.puts);
        put_varint(&mut index, self.removes);
        put_bytes(&mut index, &self.last_key);
        put_varint(&mut index, self.index.len() as u64);
        for block in &self.index {
            index.extend_from_slice(&block.offset.to_le_bytes());
            index.extend_from_slice(&block.bytes.to_le_bytes());
            index.extend_from_slice(&block.entries.to_le_bytes());
            index.extend_from_slice(&block.crc.to_le_bytes());
            put_bytes(&mut index, &block.first_key);
        }
        let index_offset = self.out.len();
        let index_crc = frame(&mut self.out, index_offset, &index);

        let start = self.out.len();
        self.out.extend_from_slice(&(index_offset as u64).to_le_bytes());
        self.out.extend_from_slice(&((start - index_offset) as u32).to_le_bytes());
        self.out.extend_from_slice(&((start + FOOTER) as u64).to_le_bytes());
        self.out.extend_from_slice(&VERSION.to_le_bytes());
        self.out.extend_from_slice(MAGIC);
        let footer_crc = crc(&self.out[start..]);
        self.out.extend_from_slice(&footer_crc.to_le_bytes());
        Ok(Finished {
            bytes: self.out,
            index_crc,
            puts: self.puts,
            removes: self.removes,
            tombstones: tombstones.len() as u64,
        })
    }

    fn end_block(&mut self) {
        let offset = self.out.len();
        let crc = frame(&mut self.out, offset, &self.block);
        self.index.push(BlockEntry {
            offset: offset as u64,
            bytes: (self.out.len() - offset) as u32,
            entries: self.block_entries,
            crc,
            first_key: self.block_key.clone(),
        });
        self.block.clear();
        self.block_entries = 0;
    }

    fn check_tick(&self, tick: Tick) -> Result<()> {
        if (self.header.first_tick..=self.header.last_tick).contains(&tick) {
            return Ok(());
        }
        Err(Error::internal(format!(
            "segment of {}: tick {tick} is not within {} to {}",
            self.header.uid, self.header.first_tick, self.header.last_tick
        )))
    }
}

/// Appends payload length, payload, and the CRC32C of everything from `from` on; gives that checksum.
fn frame(out: &mut Vec<u8>, from: usize, payload: &[u8]) -> u32 {
    let len = u32::try_from(payload.len()).expect("parts of segments are shorter than 4 GiB");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(payload);
    let crc = crc(&out[from..]);
    out.extend_from_slice(&crc.to_le_bytes());
    crc
}

#[cfg(test)]
mod tests;
