//! The bytes of one object of a log in a store: who made it, where it stands, and records framed as in a file. No I/O.

use crate::error::{Error, Result};
use crate::ids::Nonce;
use crate::ticks::log::file::frame::{self, FRAME_HEAD};
use crate::ticks::record::Record;

const MAGIC: &[u8; 8] = b"TIDEOBJ\n";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 44;

/// What an object begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) log_id: Nonce,
    /// The number in its name: bytes under another name are damage.
    pub(super) number: u64,
    /// Drawn for this object by who made it: an object that "exists already" with it is one's own (PROTOCOL, counterexample 6).
    pub(super) nonce: Nonce,
}

/// The object with these records, as JSON.
pub(super) fn encode(head: Head, payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(head.log_id.0.to_le_bytes());
    bytes.extend(head.number.to_le_bytes());
    bytes.extend(head.nonce.0.to_le_bytes());
    let records = u32::try_from(payloads.len()).expect("an object has at most RECORDS_MAX");
    bytes.extend(records.to_le_bytes());
    bytes.extend(frame::sum(&bytes).to_le_bytes());
    for payload in payloads {
        frame::encode(payload, &mut bytes);
    }
    bytes
}

/// Head and records of an object. An object appears whole or not at all, so there is no torn tail: whatever is not as it was written is
/// damage.
///
/// # Errors
/// `Corrupt` naming the byte, `Config` if another version wrote it.
pub(super) fn decode(bytes: &[u8]) -> Result<(Head, Vec<Record>)> {
    let (head, count) = decode_head(bytes)?;
    let mut records = Vec::new();
    let mut at = HEADER_LEN;
    while at < bytes.len() {
        let corrupt = |what: String| Error::corrupt(format!("byte {at}: {what}"));
        let payload = payload(&bytes[at..]).map_err(corrupt)?;
        let record = Record::from_json(payload)
            .map_err(|e| corrupt(format!("the checksum is right, but it holds {}", e.message())))?;
        records.push(record);
        at += FRAME_HEAD as usize + payload.len();
    }
    if records.len() != count as usize {
        return Err(Error::corrupt(format!(
            "byte {at}: the object ends after {} of {count} records",
            records.len()
        )));
    }
    Ok((head, records))
}

/// The head and the number of records.
fn decode_head(bytes: &[u8]) -> Result<(Head, u32)> {
    let corrupt = |what: &str| Error::corrupt(format!("byte 0: {what}"));
    let Some(header) = bytes.get(..HEADER_LEN) else {
        return Err(corrupt("the object ends inside its header"));
    };
    if !header.starts_with(MAGIC) {
        return Err(corrupt("it is no object of a tick log, or its beginning is damaged"));
    }
    let (u32_at, u64_at) = (
        |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes")),
        |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes")),
    );
    if u32_at(40) != frame::sum(&header[..40]) {
        return Err(corrupt("the checksum of the header is wrong"));
    }
    if u32_at(8) != VERSION {
        return Err(Error::config(format!(
            "format version {}, this program reads {VERSION}; run the version that wrote it",
            u32_at(8)
        )));
    }
    let head = Head { log_id: Nonce(u64_at(12)), number: u64_at(20), nonce: Nonce(u64_at(28)) };
    Ok((head, u32_at(36)))
}

/// The payload of the frame at the beginning of `bytes`, or what is wrong with it.
fn payload(bytes: &[u8]) -> Result<&[u8], String> {
    if bytes.len() < FRAME_HEAD as usize {
        return Err("the object ends inside a record".to_owned());
    }
    let (len, expected) = frame::head(bytes);
    let Some(payload) = bytes[FRAME_HEAD as usize..].get(..len as usize) else {
        return Err(format!("the object ends inside a record of {len} bytes"));
    };
    let found = frame::sum(payload);
    if len == 0 || found != expected {
        return Err(format!(
            "the checksum of the record of {len} bytes is {found:08x}, written was {expected:08x}"
        ));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests;
