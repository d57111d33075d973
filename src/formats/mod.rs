//! Formats: from a record's bytes to a row and back. No format knows a transport, an operator or a sink.
//!
//! A format is shared data without state: the same bytes give the same row or the same rejection, whatever came before.

pub mod csv;
pub mod excerpt;
pub mod json;

pub use csv::{Csv, encode_csv_into};
pub use excerpt::excerpt;
pub use json::{Json, encode_json, encode_json_into};

use crate::error::{Error, Kind};
use crate::sources::{PAYLOAD_BYTES_MAX, Raw};
use std::fmt;

/// Why a record was rejected. The few values are label values of a metric and part of the dead letter's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Not the format, or not the shape of the row.
    Malformed,
    /// Not UTF-8.
    Utf8,
    /// More bytes than the limit.
    TooLarge,
    /// Nested deeper than the limit.
    TooDeep,
    /// An event time that microseconds in 64 bits, or the source's bounds, do not hold.
    EventTimeRange,
    /// A field that the row needs is absent.
    MissingField,
    /// A record without a payload where the source expects rows.
    Tombstone,
    /// The user's code panicked on the record.
    Panicked,
}

impl Reason {
    /// The reason as it stands in metrics and dead letters.
    pub fn code(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::Utf8 => "utf8",
            Reason::TooLarge => "too-large",
            Reason::TooDeep => "too-deep",
            Reason::EventTimeRange => "event-time-range",
            Reason::MissingField => "missing-field",
            Reason::Tombstone => "tombstone",
            Reason::Panicked => "panicked",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A record that can't be decoded or breaks a limit. What becomes of it (`fail`, `skip`, `dead-letter`) is the source's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Why, by kind.
    pub reason: Reason,
    /// Why, in words: what was found, and where in the record. At most [`Rejected::DETAIL_BYTES_MAX`] bytes.
    pub detail: String,
}

impl Rejected {
    /// The greatest length of [`Rejected::detail`] in bytes.
    pub const DETAIL_BYTES_MAX: usize = 512;

    /// A rejection; `detail` is cut at its limit.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Rejected {
        let mut detail = detail.into();
        if detail.len() > Self::DETAIL_BYTES_MAX {
            detail.truncate(detail.floor_char_boundary(Self::DETAIL_BYTES_MAX - 3));
            detail.push_str("...");
        }
        Rejected { reason, detail }
    }

    /// The error under which a source that may not reject records stops; `place` names source, partition and offset.
    pub fn into_error(self, place: impl fmt::Display) -> Error {
        Error::new(
            Kind::Input,
            format!(
                "{place}: {self}; correct the input, or set `on_error = \"skip\"` or `\"dead-letter\"` for the source"
            ),
        )
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.detail)
    }
}

/// Gives rows of type `D` from records. `D` may borrow from the record (`'a`).
pub trait Decode<'a, D> {
    /// The row of a record; `None` for a record that by the format carries none (a header line).
    ///
    /// Never panics and never takes memory beyond a small multiple of the limit, whatever the bytes are.
    ///
    /// # Errors
    /// The reason for which the record can't be a row.
    fn decode(&self, raw: &Raw<'a>) -> Result<Option<D>, Rejected>;
}

/// Bounds that hold for every format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    payload_bytes_max: usize,
    depth_max: usize,
}

impl Default for Limits {
    /// 1 MiB of payload, nesting of 64.
    fn default() -> Self {
        Limits { payload_bytes_max: 1 << 20, depth_max: 64 }
    }
}

impl Limits {
    /// The greatest nesting that can be allowed; what decoders can follow on a worker's stack.
    pub const DEPTH_CEILING: usize = 128;

    /// Limits of `payload_bytes_max` bytes a record, and `depth_max` objects or arrays inside each other.
    ///
    /// # Errors
    /// `Config` if a limit is 0 or above its ceiling ([`PAYLOAD_BYTES_MAX`], which bounds what a transport gives whole;
    /// [`Limits::DEPTH_CEILING`]).
    pub fn new(payload_bytes_max: usize, depth_max: usize) -> crate::Result<Limits> {
        if payload_bytes_max == 0 || payload_bytes_max > PAYLOAD_BYTES_MAX {
            return Err(Error::config(format!(
                "a record's limit of {payload_bytes_max} bytes is not between 1 and {PAYLOAD_BYTES_MAX}"
            )));
        }
        if depth_max == 0 || depth_max > Self::DEPTH_CEILING {
            return Err(Error::config(format!(
                "a nesting limit of {depth_max} is not between 1 and {}",
                Self::DEPTH_CEILING
            )));
        }
        Ok(Limits { payload_bytes_max, depth_max })
    }

    /// The greatest payload in bytes.
    pub fn payload_bytes_max(&self) -> usize {
        self.payload_bytes_max
    }

    /// The greatest nesting.
    pub fn depth_max(&self) -> usize {
        self.depth_max
    }

    /// The payload as text, if it is there, within its size and UTF-8.
    fn text<'a>(&self, raw: &Raw<'a>) -> Result<&'a str, Rejected> {
        let Some(payload) = raw.payload else {
            return Err(Rejected::new(Reason::Tombstone, "the record has no payload"));
        };
        if payload.len() > self.payload_bytes_max {
            let size = if payload.len() > PAYLOAD_BYTES_MAX {
                format!("more than {PAYLOAD_BYTES_MAX}")
            } else {
                payload.len().to_string()
            };
            return Err(Rejected::new(
                Reason::TooLarge,
                format!("{size} bytes, the limit is {}", self.payload_bytes_max),
            ));
        }
        std::str::from_utf8(payload).map_err(|error| {
            Rejected::new(Reason::Utf8, format!("byte {} is not UTF-8", error.valid_up_to()))
        })
    }
}

#[cfg(test)]
mod tests;
