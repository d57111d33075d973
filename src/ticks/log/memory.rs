//! A tick log in memory, shared by all handles on it, for tests and the harness. It survives a simulated crash, not a real one.
//!
//! Each handle is a process of its own: several may append, as on Kafka, and answers can be lost on demand.

use super::{Entry, Log, Position};
use crate::error::{Error, Kind, Result};
use crate::ids::Nonce;
use crate::random;
use crate::ticks::record::Record;
use std::sync::{Arc, Mutex, MutexGuard};

/// What becomes of an append whose answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It never lands.
    Lost,
    /// It has landed.
    Landed,
    /// It lands when [`MemoryLog::land`] is called, after whatever was appended until then.
    Pending,
}

#[derive(Debug, Default)]
struct Shared {
    head: Position,
    records: Vec<Record>,
    pending: Vec<Record>,
    fault: Option<Fault>,
}

impl Shared {
    fn end(&self) -> Position {
        self.head + self.records.len() as u64
    }
}

/// The log. Clones are the same log; a [`MemoryLog::handle`] is one process's hold on it.
#[derive(Clone, Debug)]
pub struct MemoryLog {
    log_id: Nonce,
    shared: Arc<Mutex<Shared>>,
}

impl Default for MemoryLog {
    fn default() -> MemoryLog {
        MemoryLog::new()
    }
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> MemoryLog {
        MemoryLog::with_id(random::nonce())
    }

    /// An empty log with this identity, for runs that must repeat.
    pub fn with_id(log_id: Nonce) -> MemoryLog {
        MemoryLog { log_id, shared: Arc::default() }
    }

    /// A new hold on the log, at its head. Dropping it is the crash of its process.
    pub fn handle(&self) -> MemoryHandle {
        MemoryHandle { log: self.clone(), next: 0, broken: false }
    }

    /// The next append on any handle gets no answer, and this becomes of it.
    pub fn fail_next(&self, fault: Fault) {
        self.lock().fault = Some(fault);
    }

    /// Lets the pending appends land now.
    pub fn land(&self) {
        let mut shared = self.lock();
        let pending = std::mem::take(&mut shared.pending);
        shared.records.extend(pending);
    }

    /// What is in the log, from its head.
    pub fn records(&self) -> Vec<Record> {
        self.lock().records.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no holder of the lock panics")
    }
}

/// One process's hold on a [`MemoryLog`].
#[derive(Debug)]
pub struct MemoryHandle {
    log: MemoryLog,
    next: Position,
    broken: bool,
}

impl MemoryHandle {
    /// Gives the entries from the last known one to the end; `own` from that position on.
    fn catch_up(&mut self, shared: &Shared, own: Position) -> Vec<Entry> {
        let from = self.next.max(shared.head);
        self.next = shared.end();
        let records = shared.records.iter().skip((from - shared.head) as usize);
        let positions = from..;
        positions
            .zip(records)
            .map(|(position, record)| Entry {
                position,
                record: record.clone(),
                own: position >= own,
            })
            .collect()
    }
}

impl Log for MemoryHandle {
    fn describe(&self) -> String {
        "tick log in memory".into()
    }

    fn log_id(&self) -> Nonce {
        self.log.log_id
    }

    fn read(&mut self, each: &mut dyn FnMut(Position, Record) -> Result<()>) -> Result<()> {
        let log = self.log.clone();
        let entries = self.catch_up(&log.lock(), Position::MAX);
        for entry in entries {
            self.next = entry.position + 1;
            each(entry.position, entry.record)?;
        }
        Ok(())
    }

    fn append(&mut self, records: &[Record]) -> Result<Vec<Entry>> {
        let log = self.log.clone();
        let mut shared = log.lock();
        if self.broken {
            return Err(undecided("an earlier append got no answer"));
        }
        if let Some(fault) = shared.fault.take() {
            self.broken = true;
            match fault {
                Fault::Lost => {}
                Fault::Landed => shared.records.extend_from_slice(records),
                Fault::Pending => shared.pending.extend_from_slice(records),
            }
            return Err(undecided("the append got no answer"));
        }
        let own = shared.end();
        shared.records.extend_from_slice(records);
        Ok(self.catch_up(&shared, own))
    }

    fn cut(&mut self, position: Position) -> Result<()> {
        let mut shared = self.log.lock();
        let at = position.checked_sub(shared.head).map(|at| at as usize);
        match at.and_then(|at| shared.records.get(at)) {
            Some(Record::State(_)) => {
                let gone = (position - shared.head) as usize;
                shared.records.drain(..gone);
                shared.head = position;
                Ok(())
            }
            _ => Err(Error::internal(format!(
                "tick log in memory: no state record at position {position}, so it can't be cut there"
            ))),
        }
    }
}

fn undecided(what: &str) -> Error {
    Error::new(
        Kind::Undecided,
        format!("tick log in memory: {what}; the generation ends, start again to see the outcome"),
    )
}

#[cfg(test)]
mod tests;
