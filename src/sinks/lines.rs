//! Rows as lines of JSON, for files and standard output.

use super::Row;
use crate::error::{Error, Result};
use crate::formats::encode_json_into;

/// Appends the row and a line feed to `out`. A tombstone is `{"key":..,"value":null}`.
///
/// # Errors
/// `Internal` if the row's bytes hold a line feed, which no format for lines writes.
pub(super) fn line(row: &Row, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    match &row.value {
        Some(value) => out.extend_from_slice(value),
        None => {
            out.extend_from_slice(b"{\"key\":");
            match row.key.as_deref() {
                None => out.extend_from_slice(b"null"),
                Some(key) if serde_json::from_slice::<serde::de::IgnoredAny>(key).is_ok() => {
                    out.extend_from_slice(key);
                }
                Some(key) => encode_json_into(&String::from_utf8_lossy(key), out)?,
            }
            out.extend_from_slice(b",\"value\":null}");
        }
    }
    if memchr::memchr(b'\n', &out[start..]).is_some() {
        out.truncate(start);
        return Err(Error::internal("a row for a sink of lines holds a line feed"));
    }
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests;
