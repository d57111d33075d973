//! Rows as lines of JSON, for files and standard output.

use super::Row;
use crate::error::{Error, Result};
use crate::formats::encode_json_into;

/// How a row is written as a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lines {
    /// The row's value, which says all: append and changelog.
    #[default]
    Plain,
    /// `{"key":..,"value":..}`: upsert, whose values need not hold their key.
    Keyed,
}

impl Lines {
    /// Appends the row and a line feed to `out`. A tombstone is `{"key":..,"value":null}` in any case.
    ///
    /// # Errors
    /// `Internal` if the row's bytes hold a line feed, which no format for lines writes.
    pub(super) fn put(self, row: &Row, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        match (&row.value, self) {
            (Some(value), Lines::Plain) => out.extend_from_slice(value),
            (value, _) => {
                out.extend_from_slice(b"{\"key\":");
                put_key(row.key.as_deref(), out)?;
                out.extend_from_slice(b",\"value\":");
                out.extend_from_slice(value.as_deref().unwrap_or(b"null"));
                out.push(b'}');
            }
        }
        if memchr::memchr(b'\n', &out[start..]).is_some() {
            out.truncate(start);
            return Err(Error::internal("a row for a sink of lines holds a line feed"));
        }
        out.push(b'\n');
        Ok(())
    }
}

fn put_key(key: Option<&[u8]>, out: &mut Vec<u8>) -> Result<()> {
    match key {
        None => out.extend_from_slice(b"null"),
        Some(key) if serde_json::from_slice::<serde::de::IgnoredAny>(key).is_ok() => {
            out.extend_from_slice(key);
        }
        Some(key) => encode_json_into(&String::from_utf8_lossy(key), out)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests;
