//! How many rows become one block of bytes. Writes no files and adds no checksum of its own, unless a codec needs one.

use super::primitive::{length, put_length};
use super::{DecodeError, Row};
use crate::error::{Error, Result};

/// A way to turn rows into a block and back.
///
/// The block is read by the codec of the same [`Codec::NAME`] for the same row type; whoever stores it stores the name and the
/// schema beside it, and guards it by a checksum.
pub trait Codec<R: Row> {
    /// The codec's name as it is stored. Never changes its meaning.
    const NAME: &'static str;

    /// Appends the block of `rows` to `out`. Equal rows give equal bytes.
    fn encode(rows: &[R], out: &mut Vec<u8>);

    /// The rows of `block`, which is all of what [`Codec::encode`] appended. Never panics, whatever the bytes.
    ///
    /// # Errors
    /// `Corrupt` if the bytes are no such block.
    fn decode(block: &[u8]) -> Result<Vec<R>>;
}

/// The default: the number of rows, then each row's own encoding. For every row type, and readable on every machine.
#[derive(Clone, Copy, Debug)]
pub struct Canonical;

impl<R: Row> Codec<R> for Canonical {
    const NAME: &'static str = "canonical-1";

    fn encode(rows: &[R], out: &mut Vec<u8>) {
        put_length(rows.len(), out);
        R::encode_all(rows, out);
    }

    fn decode(block: &[u8]) -> Result<Vec<R>> {
        let mut input = block;
        let rows = length(&mut input).and_then(|count| R::decode_all(count, &mut input));
        rows.and_then(|rows| match input.len() {
            0 => Ok(rows),
            _ => Err(DecodeError::new(input, "the last row ends here, but bytes follow")),
        })
        .map_err(|error| corrupt::<R>(block, error))
    }
}

fn corrupt<R: Row>(block: &[u8], error: DecodeError) -> Error {
    let (name, total) = (R::schema().name(), block.len());
    let (offset, what) = (error.offset(total), error.what());
    Error::corrupt(format!("stored block of rows {name}, byte {offset} of {total}: {what}"))
}

#[cfg(test)]
mod tests;
