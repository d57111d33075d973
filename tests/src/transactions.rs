//! What the broker itself says about transactions: the records of `__transaction_state`, read with an ordinary client.
//! So a test can tell an aborted transaction from one that was only about to begin.

use crate::client::{Client, Record};
use crate::follow::Follower;
use crate::{Failure, Result};

/// The broker's topic.
pub const TOPIC: &str = "__transaction_state";

/// A state of a transactional id's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// An id without a transaction.
    Empty,
    /// Begun: partitions were added to it.
    Ongoing,
    /// Decided, markers not all written.
    PrepareCommit,
    /// Decided, markers not all written.
    PrepareAbort,
    /// Committed.
    CompleteCommit,
    /// Aborted.
    CompleteAbort,
    /// Any other.
    Other,
}

/// One step of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The transactional id.
    pub id: String,
    /// The state that it came to.
    pub status: Status,
    /// When it came to it, in milliseconds since the Unix epoch by the broker's clock.
    pub updated_ms: i64,
    /// When the transaction began; -1 if there is none.
    pub started_ms: i64,
}

/// Reads big-endian fields one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn int<const N: usize>(&mut self) -> Option<i64> {
        let bytes: [u8; N] = self.take(N)?.try_into().ok()?;
        let first = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
        Some(bytes.iter().fold(first, |number, byte| number << 8 | i64::from(*byte)))
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.int::<2>()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    /// An unsigned number in groups of seven bits, the low ones first.
    fn varint(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?[0];
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Passes over the transaction's partitions in version 0.
    fn skip_partitions(&mut self) -> Option<()> {
        for _ in 0..self.int::<4>()?.max(0) {
            self.text()?;
            let count = usize::try_from(self.int::<4>()?).ok()?;
            self.take(count.checked_mul(4)?)?;
        }
        Some(())
    }

    /// The same in version 1, where lengths are one more than what they count and 0 is none.
    fn skip_compact_partitions(&mut self) -> Option<()> {
        for _ in 1..self.varint()?.max(1) {
            let name = self.varint()?.checked_sub(1)?;
            self.take(name)?;
            let count = self.varint()?.checked_sub(1)?;
            self.take(count.checked_mul(4)?)?;
            self.skip_tags()?;
        }
        Some(())
    }

    fn skip_tags(&mut self) -> Option<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.take(length)?;
        }
        Some(())
    }
}

impl Step {
    /// The step that a record of the topic tells; `None` for one that removes an id.
    ///
    /// # Errors
    /// If the record is of a version that is not known.
    pub fn read(record: &Record) -> Result<Option<Step>> {
        let Some(value) = &record.value else { return Ok(None) };
        let key = record.key.as_deref().unwrap_or_default();
        step(key, value).map(Some).ok_or_else(|| {
            Failure(format!("{TOPIC}/{}@{}: not understood", record.partition, record.offset))
        })
    }
}

fn step(key: &[u8], value: &[u8]) -> Option<Step> {
    let mut key = Fields(key);
    let id = (key.int::<2>()? == 0).then(|| key.text())??.to_owned();
    let mut value = Fields(value);
    let version = value.int::<2>()?;
    // Producer id, its epoch, the timeout.
    value.take(8 + 2 + 4)?;
    let status = match value.int::<1>()? {
        0 => Status::Empty,
        1 => Status::Ongoing,
        2 => Status::PrepareCommit,
        3 => Status::PrepareAbort,
        4 => Status::CompleteCommit,
        5 => Status::CompleteAbort,
        _ => Status::Other,
    };
    match version {
        0 => value.skip_partitions()?,
        1 => value.skip_compact_partitions()?,
        _ => return None,
    }
    Some(Step { id, status, updated_ms: value.int::<8>()?, started_ms: value.int::<8>()? })
}

/// Follows the steps of all transactional ids from now to its drop.
///
/// # Errors
/// If no thread can be made.
pub fn follow(client: &Client) -> Result<Follower<Step>> {
    Follower::start(client, vec![TOPIC.to_owned()], |record| Step::read(&record))
}

/// The ids whose transaction was open at `moment_ms` and was aborted afterwards.
pub fn aborted_over(steps: &[Step], moment_ms: i64) -> Vec<String> {
    let mut ids: Vec<String> = steps
        .iter()
        .filter(|step| matches!(step.status, Status::PrepareAbort | Status::CompleteAbort))
        .filter(|step| (0..=moment_ms).contains(&step.started_ms) && step.updated_ms >= moment_ms)
        .map(|step| step.id.clone())
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests;
