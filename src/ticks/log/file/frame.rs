//! The bytes of a file log: header and frames, and what a tail is that is no whole frame. No I/O.

use crate::error::{Error, Result};
use crate::ids::Nonce;
use crate::ticks::log::RECORD_BYTES_MAX;

const MAGIC: &[u8; 8] = b"TIDELOG\n";
const VERSION: u32 = 1;

/// Bytes of the header.
pub(super) const HEADER_LEN: u64 = 32;
/// Bytes of a frame before its payload.
pub(in crate::ticks::log) const FRAME_HEAD: u64 = 8;

/// What the file begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) log_id: Nonce,
    /// The position of the first frame.
    pub(super) start: u64,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.log_id.0.to_le_bytes());
        bytes.extend(self.start.to_le_bytes());
        bytes.extend(sum(&bytes).to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Header> {
        let corrupt = |what: &str| Error::corrupt(format!("byte 0: {what}"));
        if bytes.len() != HEADER_LEN as usize {
            return Err(corrupt("the file ends inside its header"));
        }
        if !bytes.starts_with(MAGIC) {
            return Err(corrupt("the file is no tick log, or its beginning is damaged"));
        }
        if u32_at(bytes, 28) != sum(&bytes[..28]) {
            return Err(corrupt("the checksum of the header is wrong"));
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(Error::config(format!(
                "format version {version}, this program reads {VERSION}; run the version that wrote it"
            )));
        }
        Ok(Header { log_id: Nonce(u64_at(bytes, 12)), start: u64_at(bytes, 20) })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// CRC32C.
pub(in crate::ticks::log) fn sum(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// Appends a frame with this payload to `out`.
pub(in crate::ticks::log) fn encode(payload: &[u8], out: &mut Vec<u8>) {
    let len = u32::try_from(payload.len()).expect("checked against RECORD_BYTES_MAX");
    out.extend(len.to_le_bytes());
    out.extend(sum(payload).to_le_bytes());
    out.extend(payload);
}

/// Length and checksum of a frame.
pub(in crate::ticks::log) fn head(bytes: &[u8]) -> (u32, u32) {
    (u32_at(bytes, 0), u32_at(bytes, 4))
}

/// What stands at a place where no whole frame with a right checksum stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// An append that a crash cut short.
    Torn,
    /// Something that no crash makes.
    Corrupt(String),
}

/// Judges `rest`, the bytes from that place to the end of the file.
///
/// A crash leaves a file that ends inside the frame or in zeros (a payload is JSON, its last byte is never zero). A frame that is all
/// there with a wrong checksum is damaged; so is one whose length points beyond the end if it proves to be wrong: the checksum is
/// right for what is there, or another whole frame follows.
pub(super) fn judge_tail(rest: &[u8]) -> Tail {
    let zeros_from = rest.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    if rest.len() < FRAME_HEAD as usize || zeros_from == 0 {
        return Tail::Torn;
    }
    let (len, expected) = head(rest);
    let len = len as usize;
    let payload = &rest[FRAME_HEAD as usize..];
    if len == 0 || len > RECORD_BYTES_MAX {
        return Tail::Corrupt(format!("a record can't have {len} bytes"));
    }
    if let Some(payload) = payload.get(..len) {
        return if zeros_from < FRAME_HEAD as usize + len {
            Tail::Torn
        } else {
            Tail::Corrupt(format!(
                "the checksum of the record of {len} bytes is {:08x}, written was {expected:08x}",
                sum(payload)
            ))
        };
    }
    if payload.ends_with(b"}") && sum(payload) == expected {
        return Tail::Corrupt(format!(
            "the record has {} bytes and a right checksum, but its length says {len}",
            payload.len()
        ));
    }
    match (1..rest.len()).find(|at| is_frame(&rest[*at..])) {
        Some(at) => Tail::Corrupt(format!(
            "the record's length of {len} bytes goes beyond the end of the file, but a whole record follows {at} bytes after it"
        )),
        None => Tail::Torn,
    }
}

/// Whether a whole frame stands at the beginning of `bytes`.
fn is_frame(bytes: &[u8]) -> bool {
    if bytes.get(FRAME_HEAD as usize) != Some(&b'{') {
        return false;
    }
    let (len, expected) = head(bytes);
    let payload = bytes[FRAME_HEAD as usize..].get(..len as usize);
    payload.is_some_and(|p| p.ends_with(b"}") && sum(p) == expected)
}

#[cfg(test)]
mod tests;
