//! A message on a connection: its length, the checksum of its bytes, its bytes (`doc/formats/cluster.md`).

use crate::error::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read};

/// Bytes before those of the message.
const HEAD_BYTES: usize = 8;

/// The frame of a message.
///
/// # Errors
/// `Internal` if it can't be written as JSON or has more than `bytes_max` then.
pub(super) fn encode<T: Serialize>(message: &T, bytes_max: usize) -> Result<Vec<u8>> {
    let mut frame = vec![0; HEAD_BYTES];
    serde_json::to_writer(&mut frame, message).map_err(|e| {
        Error::internal(format!("a message between processes can't be written: {e}"))
    })?;
    let payload = &frame[HEAD_BYTES..];
    let len = u32::try_from(payload.len()).ok().filter(|len| *len as usize <= bytes_max);
    let Some(len) = len else {
        return Err(Error::internal(format!(
            "a message between processes has {} bytes; {bytes_max} are allowed",
            payload.len()
        )));
    };
    let crc = crc_fast::crc32_iscsi(payload);
    frame[..4].copy_from_slice(&len.to_le_bytes());
    frame[4..HEAD_BYTES].copy_from_slice(&crc.to_le_bytes());
    Ok(frame)
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// A message, and the bytes of its payload.
    Message(T, usize),
    /// The connection ended between two frames.
    End,
    /// The connection broke, or what came is no message: why.
    Broken(String),
}

/// Reads the next message. Memory is taken as bytes come, so a length alone takes none.
pub(super) fn read<T: DeserializeOwned>(reader: &mut impl Read, bytes_max: usize) -> Found<T> {
    let mut head = [0; HEAD_BYTES];
    match fill(reader, &mut head) {
        Ok(HEAD_BYTES) => {}
        Ok(0) => return Found::End,
        Ok(_) => return cut(),
        Err(error) => return Found::Broken(format!("the connection for messages broke: {error}")),
    }
    let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| head[at + i]));
    let (len, crc) = (number(0) as usize, number(4));
    if len > bytes_max {
        return Found::Broken(format!("it sent a message of {len} bytes; {bytes_max} are allowed"));
    }
    let mut payload = Vec::new();
    match reader.take(len as u64).read_to_end(&mut payload) {
        Ok(read) if read == len => {}
        Ok(_) => return cut(),
        Err(error) => return Found::Broken(format!("the connection for messages broke: {error}")),
    }
    if crc_fast::crc32_iscsi(&payload) != crc {
        return Found::Broken("it sent a message whose checksum is wrong".into());
    }
    match serde_json::from_slice(&payload) {
        Ok(message) => Found::Message(message, len),
        Err(error) => {
            Found::Broken(format!("it sent a message that this program does not know: {error}"))
        }
    }
}

fn cut<T>() -> Found<T> {
    Found::Broken("the connection for messages ended inside a message".into())
}

/// Reads until `bytes` are full or the stream ends: how many there were.
fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match reader.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
