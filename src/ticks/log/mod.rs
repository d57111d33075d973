//! The tick log: one durable sequence of records, and nothing about what they mean (that is [`super::counts`]).
//!
//! ```text
//! open -> read (all there is) -> append, append, ...   each gives every record up to one's own last, foreign ones too
//!                                read (what came since), cut: any time between
//!          any error of append -> no further append; the generation ends; open again
//! ```
//! One log has one order. Who reads it to a position has read what everybody reads to that position. An append that was
//! acknowledged is durable; whether it *counts* is known once everything before it was fed to a [`Counter`] ("read up to your own
//! mark"), which [`append_and_count`] does.

pub mod file;
pub mod kafka;
pub mod memory;
pub mod store;
pub mod thread;

pub use super::counts::Position;
use super::counts::{Counter, Verdict};
use super::record::Record;
use crate::error::Result;
use crate::ids::Nonce;

/// The longest record in bytes. A longer one is refused when it is appended, and a longer length is damage when it is read.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

/// A record in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub position: Position,
    /// The record.
    pub record: Record,
    /// Whether the present holder of the log appended it by the call that gives it.
    pub own: bool,
}

/// A tick log. Lives on one thread at a time, which may block.
pub trait Log: Send {
    /// The log's name for messages: "tick log file /var/lib/x/tick.log".
    fn describe(&self) -> String;

    /// The identity drawn when the log was made. A log that was lost and made anew, or another one, has another.
    fn log_id(&self) -> Nonce;

    /// Gives every record from the (cut) head, or from where the last call of `read` or `append` ended, up to the end as it is known
    /// now. Stops at the first error of `each`; the record that it failed on counts as given.
    ///
    /// # Errors
    /// `Corrupt` naming the place, `Retry` if the other side can't be reached, or whatever `each` returned.
    fn read(&mut self, each: &mut dyn FnMut(Position, Record) -> Result<()>) -> Result<()>;

    /// Appends `records` in order and returns once they are durable: every record after the last one known, up to the last of these.
    /// A log that was never read is read first; nothing is left out. Where others can take the next place, a newer open found there ends
    /// the append: what could not count any more is not appended, and the open is the last that is given.
    ///
    /// # Errors
    /// `Undecided` if the records may be in the log, wholly or in part: a lost answer, a failed write, a failed sync. It ends the
    /// generation: the same holder never appends again and no sync is repeated, since a second one may succeed without what the
    /// first one lost; every further append gives `Undecided` too. `Fenced`: others have gone on, far or just now; the generation ends.
    /// `Config` or `Retry`: nothing was appended.
    fn append(&mut self, records: &[Record]) -> Result<Vec<Entry>>;

    /// Removes every record before `position`, which must be that of a `state` record that counts, at or below the oldest root
    /// (PROTOCOL 14). A crash at any moment leaves the whole log or the cut one.
    ///
    /// # Errors
    /// `Retry`: not cut, all goes on. `Undecided`: as for [`Log::append`]. `Internal`: not a `state` record's position.
    fn cut(&mut self, position: Position) -> Result<()>;
}

/// Reads what the log has beyond what `counter` knows, and counts it.
///
/// # Errors
/// As [`Log::read`].
pub fn read_and_count(log: &mut dyn Log, counter: &mut Counter) -> Result<()> {
    log.read(&mut |position, record| {
        counter.feed(position, &record);
        Ok(())
    })
}

/// Appends and counts everything up to the last own record (PROTOCOL 2 and 7): the verdict on each own record that was appended, in
/// order. Fewer than `records`: a newer open stands before the others.
///
/// # Errors
/// As [`Log::append`].
pub fn append_and_count(
    log: &mut dyn Log,
    counter: &mut Counter,
    records: &[Record],
) -> Result<Vec<Verdict>> {
    let mut verdicts = Vec::with_capacity(records.len());
    for entry in log.append(records)? {
        let verdict = counter.feed(entry.position, &entry.record);
        if entry.own {
            verdicts.push(verdict);
        }
    }
    Ok(verdicts)
}
