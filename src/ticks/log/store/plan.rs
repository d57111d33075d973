//! Which records share an object, and which are not worth appending. Pure.

use crate::ticks::record::Record;
use std::ops::Range;

/// Places in one object: a record's position is its object's number times this, plus its place in the object.
pub(super) const RECORDS_MAX: u64 = 1 << 16;
/// An object is begun anew when it would get longer than this, in bytes; a longer record has one of its own.
const BYTES_MAX: usize = 8 << 20;

/// The groups of `records`, given their payloads, that become an object each, in order.
///
/// An `open` or a `state` begins an object: the first is never deleted, at the second the log can be cut.
pub(super) fn groups(records: &[Record], payloads: &[Vec<u8>]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (at, (record, payload)) in records.iter().zip(payloads).enumerate() {
        bytes += payload.len();
        let begins = matches!(record, Record::Open(_) | Record::State(_));
        match groups.last_mut() {
            Some(group) if !begins && bytes <= BYTES_MAX && (group.len() as u64) < RECORDS_MAX => {
                group.end = at + 1;
            }
            _ => {
                groups.push(at..at + 1);
                bytes = payload.len();
            }
        }
    }
    groups
}

/// Whether none of `records` can count after `others`: an open of a newer generation is among these. A leader that went on behind it would
/// only make the newer one believe that its open came late.
pub(super) fn overtaken(records: &[Record], others: &[Record]) -> bool {
    let newest = records.iter().map(Record::generation).max();
    others.iter().any(|r| matches!(r, Record::Open(_)) && Some(r.generation()) > newest)
}

#[cfg(test)]
mod tests;
