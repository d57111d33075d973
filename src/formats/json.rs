//! JSON, one value a record.

use super::{Decode, Limits, Reason, Rejected};
use crate::error::{Error, Kind};
use crate::sources::Raw;
use serde::{Deserialize, Serialize};

/// JSON: a record is one value, in UTF-8.
///
/// Rejected are bytes that are not UTF-8 (anywhere, also in fields that the row does not name), values nested deeper than the
/// limit (likewise), anything after the value, and what does not fit the row. Fields that the row does not name are passed
/// over; that their brackets and quotes match is checked, not every detail within.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json {
    limits: Limits,
}

impl Json {
    /// JSON within `limits`.
    pub fn new(limits: Limits) -> Json {
        Json { limits }
    }
}

impl<'a, D: Deserialize<'a>> Decode<'a, D> for Json {
    fn decode(&self, raw: &Raw<'a>) -> Result<Option<D>, Rejected> {
        let text = self.limits.text(raw)?;
        if deeper_than(text.as_bytes(), self.limits.depth_max()) {
            return Err(Rejected::new(
                Reason::TooDeep,
                format!("nested deeper than {}", self.limits.depth_max()),
            ));
        }
        sonic_rs::from_str(text).map(Some).map_err(|error| reject(&error))
    }
}

/// Whether brackets nest deeper than `max`. Exact for JSON; for anything else some answer, without recursion.
fn deeper_than(bytes: &[u8], max: usize) -> bool {
    // There are at least as many opening brackets as levels, so few of them settle it. This is the usual case and quick.
    if memchr::memchr2_iter(b'{', b'[', bytes).nth(max).is_none() {
        return false;
    }
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for &byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

fn reject(error: &sonic_rs::Error) -> Rejected {
    // The first line says what and where, the rest draws the place.
    let text = error.to_string();
    let detail = text.lines().next().unwrap_or_default();
    let reason = if detail.starts_with("missing field") {
        Reason::MissingField
    } else if detail.contains(EVENT_TIME_RANGE) {
        Reason::EventTimeRange
    } else {
        Reason::Malformed
    };
    Rejected::new(reason, detail)
}

/// What `EventTime` says of a time that it does not hold.
pub(super) const EVENT_TIME_RANGE: &str = "lies outside the years 0001 to 9999";

/// The row as JSON without spaces or newlines: the same row gives the same bytes.
///
/// # Errors
/// `Input` if the row can't be JSON: a map whose keys are neither text nor integers.
pub fn encode_json<T: Serialize + ?Sized>(row: &T) -> crate::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(128);
    encode_json_into(row, &mut out)?;
    Ok(out)
}

/// As [`encode_json`], behind what `out` holds. After an error `out` is as it was.
///
/// # Errors
/// As [`encode_json`].
pub fn encode_json_into<T: Serialize + ?Sized>(row: &T, out: &mut Vec<u8>) -> crate::Result<()> {
    let before = out.len();
    serde_json::to_writer(&mut *out, row).map_err(|error| {
        out.truncate(before);
        Error::new(Kind::Input, format!("the row can't be written as JSON: {error}"))
    })
}

#[cfg(test)]
mod tests;
