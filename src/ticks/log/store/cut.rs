//! Cutting a log in a store: first the mark that says where it begins, then the deletions.

use super::object::{self, Head};
use super::{IDENTITY, LOG, StoreLog, name, number_of};
use crate::error::{Error, Kind, Result};
use crate::random;
use crate::ticks::log::Log;
use crate::ticks::record::Record;

/// Marks of cuts, by the number of the object at which the log begins.
const CUT: &str = "cut";

impl StoreLog {
    /// The object at which the log begins, if it was ever cut.
    pub(super) fn newest_cut(&self) -> Result<Option<u64>> {
        let listed = self.store.list(CUT)?;
        Ok(listed.iter().filter_map(|object| number_of(CUT, &object.name)).max())
    }

    /// Lets the log begin at `number`, which has a counted `state` record at its head. A crash leaves the whole log or the cut one: what
    /// lies below a mark is not read, and is deleted by the next cut.
    pub(super) fn cut_at(&mut self, number: u64) -> Result<()> {
        let head = Head { log_id: self.log_id, number, nonce: random::nonce() };
        let mark = format!("{CUT}/{number:020}");
        self.store.put_if_absent(&mark, object::encode(head, &[])).map_err(|e| {
            // Whether the mark is there or not, the log is whole or rightly cut.
            Error::new(
                if e.kind() == Kind::Undecided { Kind::Retry } else { e.kind() },
                format!("{}: cutting: {}", self.describe(), e.message()),
            )
        })?;
        self.states = self.states.split_off(&(number + 1));
        match self.sweep(number) {
            Ok(()) => self.swept = number,
            Err(e) => tracing::warn!(
                "{}: cut at {}, but not all before it could be deleted, the next cut will: {e}",
                self.describe(),
                name(number)
            ),
        }
        Ok(())
    }

    /// Deletes what lies below `number` and is neither an open nor the identity, and older marks.
    fn sweep(&mut self, number: u64) -> Result<()> {
        let listed = self.store.list_after(LOG, &name(self.swept - 1))?;
        let listed: Vec<u64> = listed
            .iter()
            .filter_map(|object| number_of(LOG, &object.name))
            .filter(|found| (IDENTITY + 1..number).contains(found))
            .collect();
        let mut gone = Vec::with_capacity(listed.len());
        for found in listed {
            if !self.is_open(found)? {
                gone.push(name(found));
            }
        }
        let marks = self.store.list(CUT)?.into_iter().map(|object| object.name);
        gone.extend(marks.filter(|mark| number_of(CUT, mark).is_some_and(|at| at < number)));
        self.store.delete_all(&gone)?;
        for unfinished in self.store.unfinished(LOG)? {
            if number_of(LOG, &unfinished.object).is_some_and(|at| at < number) {
                self.store.discard(&unfinished)?;
            }
        }
        self.opens = self.opens.split_off(&number);
        Ok(())
    }

    /// Whether the object begins with an `open`: known for what this holder has read or made, else it is read.
    fn is_open(&self, number: u64) -> Result<bool> {
        if self.read.is_some_and(|(from, next)| (from..next).contains(&number)) {
            return Ok(self.opens.contains(&number));
        }
        match self.fetch(number) {
            Ok(found) => Ok(found.is_none_or(|(_, r)| matches!(r.first(), Some(Record::Open(_))))),
            // Nobody reads it any more; it may have been an open.
            Err(e) if e.kind() == Kind::Corrupt => Ok(true),
            Err(e) => Err(e),
        }
    }
}
