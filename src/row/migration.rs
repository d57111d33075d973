//! Stored rows of one schema as rows of another. Reads no files.

use super::{DecodeError, Schema};
use crate::error::{Error, Result};

/// How stored rows become rows of the current program.
#[derive(Clone, Debug)]
pub struct Migration;

impl Migration {
    /// The way from rows of schema `stored` to rows of schema `current`.
    ///
    /// # Errors
    /// `Config` if there is none; the message has both schemas and what to do.
    pub fn between(stored: &Schema, current: &Schema) -> Result<Migration> {
        if stored != current {
            return Err(Error::config(format!(
                "stored rows are {stored}, the program has {current}"
            )));
        }
        Ok(Migration)
    }

    /// Whether stored rows are current rows as they are.
    pub fn is_identity(&self) -> bool {
        true
    }

    /// Takes one stored row off the front of `input` and appends the bytes of the current one to `out`.
    ///
    /// # Errors
    /// If the bytes are not a stored row.
    pub fn transcode(&self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        out.extend_from_slice(input);
        *input = &[];
        Ok(())
    }
}
