//! Rows: the values that flow, how their bytes look, and how old bytes become new ones. Knows nothing of streams, tables or files.
//!
//! | module | what |
//! |---|---|
//! | `primitive`, `containers` | rows of the standard library |
//! | `float`, `decimal` | [`F64`] and [`Decimal`] |
//! | [`schema`] | what a row type looks like, readable and stored |
//! | [`codec`] | many rows as one block |
//! | `migration` | stored bytes of one schema to bytes of another |

#[cfg(feature = "abomonation")]
pub mod abomonation;
pub mod codec;
mod containers;
mod decimal;
#[doc(hidden)]
pub mod derived;
mod error;
mod float;
mod migration;
mod plan;
mod primitive;
pub mod schema;
#[cfg(test)]
mod tests;

pub use decimal::Decimal;
pub use error::DecodeError;
pub use float::F64;
pub use migration::Migration;
pub(crate) use migration::Way;
pub use schema::Schema;
pub use tidemark_derive::Row;

use crate::error::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::hash::Hash;

/// A value that flows through a dataflow, is kept and is sent. `#[derive(Row)]` writes it together with its supertraits.
///
/// The encoding is deterministic and canonical: equal values have equal bytes, and bytes that decode are the bytes that the
/// value encodes to. Integers are big-endian with the sign bit flipped, so that their byte order is their order.
/// `doc/formats/row.md` has it byte by byte. A row type cannot contain itself.
///
/// ```
/// use tidemark::{EventTime, Row};
///
/// #[derive(Row)]
/// struct Click {
///     user: u64,
///     page: String,
///     at: EventTime,
/// }
///
/// let click = Click { user: 7, page: "/".into(), at: EventTime::from_millis(0)? };
/// let bytes = tidemark::row::to_bytes(&click);
/// assert_eq!(tidemark::row::from_bytes::<Click>(&bytes)?, click);
/// # Ok::<(), tidemark::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a row",
    label = "not a row",
    note = "structs and enums: `#[derive(tidemark::Row)]`; floats: `tidemark::row::F64` or `Decimal`; maps and sets: `BTreeMap`, `BTreeSet`; shared or borrowed text: `String`"
)]
pub trait Row:
    Clone + Debug + Ord + Hash + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// What the type looks like.
    ///
    /// # Panics
    /// If the type contains itself.
    fn schema() -> Schema;

    /// Appends the value's bytes to `out`.
    ///
    /// # Panics
    /// If a string or collection has 2^32 bytes or items, or more.
    fn encode(&self, out: &mut Vec<u8>);

    /// Takes one value off the front of `input`. Never panics and never reserves more than the input can fill, whatever the bytes.
    ///
    /// # Errors
    /// If the bytes are not what [`Row::encode`] writes; `input` is then of no use any more.
    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError>;

    /// Appends the bytes of several values.
    #[doc(hidden)]
    fn encode_all(rows: &[Self], out: &mut Vec<u8>) {
        for row in rows {
            row.encode(out);
        }
    }

    /// Takes `count` values off the front of `input`.
    #[doc(hidden)]
    fn decode_all(count: usize, input: &mut &[u8]) -> Result<Vec<Self>, DecodeError> {
        containers::decode_items(count, input)
    }
}

/// A row in a message: as JSON, cut where it gets long.
pub(crate) fn show<R: Row>(row: &R) -> String {
    const CHARS_MAX: usize = 200;
    let text = serde_json::to_string(row).unwrap_or_else(|_| format!("{row:?}"));
    match text.char_indices().nth(CHARS_MAX) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}

/// The bytes of a row.
pub fn to_bytes<R: Row>(row: &R) -> Vec<u8> {
    let mut out = Vec::new();
    row.encode(&mut out);
    out
}

/// The row that `bytes` are, all of them.
///
/// # Errors
/// `Corrupt`, naming the type and the byte at which it failed.
pub fn from_bytes<R: Row>(bytes: &[u8]) -> Result<R> {
    let mut input = bytes;
    let row = R::decode(&mut input).and_then(|row| match input.len() {
        0 => Ok(row),
        _ => Err(DecodeError::new(input, "the row ends here, but bytes follow")),
    });
    row.map_err(|error| corrupt::<R>(bytes, error))
}

/// The current row that `bytes`, written under the stored schema of `migration`, are.
///
/// # Errors
/// `Corrupt`, naming the type and the byte at which it failed.
pub fn decode_migrated<R: Row>(migration: &Migration, bytes: &[u8]) -> Result<R> {
    if migration.is_identity() {
        return from_bytes(bytes);
    }
    let (mut input, mut current) = (bytes, Vec::with_capacity(bytes.len() + 16));
    migration
        .transcode(&mut input, &mut current)
        .and_then(|()| match input.len() {
            0 => Ok(()),
            _ => Err(DecodeError::new(input, "the stored row ends here, but bytes follow")),
        })
        .map_err(|error| corrupt::<R>(bytes, error))?;
    from_bytes(&current)
}

fn corrupt<R: Row>(bytes: &[u8], error: DecodeError) -> Error {
    let (name, total) = (R::schema().name(), bytes.len());
    Error::corrupt(format!(
        "stored row {name}, byte {} of {total}: {}",
        error.offset(total),
        error.what()
    ))
}

/// Takes `N` bytes off the front of `input`.
#[inline]
fn take<const N: usize>(input: &mut &[u8], what: &'static str) -> Result<[u8; N], DecodeError> {
    match input.split_first_chunk::<N>() {
        Some((first, rest)) => {
            *input = rest;
            Ok(*first)
        }
        None => Err(DecodeError::new(input, what)),
    }
}

/// Takes an enum's variant number off the front of `input`.
///
/// # Errors
/// If `input` is empty.
pub fn tag(input: &mut &[u8]) -> Result<u8, DecodeError> {
    take::<1>(input, "an enum's variant is missing").map(|[tag]| tag)
}

/// The error for a variant number, just taken off `input`, that the enum does not have.
#[cold]
pub fn no_variant(input: &[u8]) -> DecodeError {
    DecodeError::before(input, 1, "the enum has no such variant")
}
