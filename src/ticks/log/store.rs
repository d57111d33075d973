//! The tick log in the state store: one object a position, made only if it is absent, so that two can never have the same place.
//!
//! ```text
//! log/00000000000000000000      the log's identity, never deleted                    cut/N      the log begins at object N
//! log/00000000000000000001 ...  the records of one append each, in one order         log/N      begins with a state record
//! ```
//! The law (PROTOCOL, "Logs" and counterexamples 4 to 6):
//! 1. *One append in flight.* The next object is asked for only when the last one is known to be one's own.
//! 2. An object carries a nonce. "Exists already" with one's own nonce is success: the answer to an earlier try was lost. Else what lies
//!    there is the next record of the log, and the one after it is tried. No try is ever made at another place while its fate is open.
//! 3. A leader's next place, once another has opened, is taken by that open. So objects that begin with an `open` are never deleted,
//!    and a create of the old leader that comes late, however late, finds its place taken.
//! 4. A late create of an *open* may find its place free because what was there has been deleted. So whoever made an open lists what lies
//!    above it, and ends if anything does.
//! 5. The log is cut by making `cut/N`, and only then are objects below N deleted. A reader begins at the newest cut, and from there no
//!    object may be missing: a gap is damage, refused by name.
//!
//! A store that can't be reached or is slow holds the log up, with a warning at each try; nothing is acknowledged meanwhile. Only a local
//! directory is not tried again after a failure that leaves the outcome open: there it is a sync that has failed, and a second one may
//! succeed without what the first one lost.

use super::{Entry, Log, Position, RECORD_BYTES_MAX};
use crate::error::{Error, Kind, Result};
use crate::ids::Nonce;
use crate::random;
use crate::state::store::{Put, Store};
use crate::ticks::record::Record;
use bytes::Bytes;
use object::Head;
use std::collections::{BTreeSet, VecDeque};

mod cut;
mod object;
mod pause;
mod plan;

use pause::Pause;
use plan::RECORDS_MAX;

/// Objects of the log.
const LOG: &str = "log";
/// The number of the object that has the log's identity and no records.
const IDENTITY: u64 = 0;

/// A process's hold on a log in a store. Any number of processes may hold it.
#[derive(Debug)]
pub struct StoreLog {
    store: Store,
    log_id: Nonce,
    /// The object at which this holder began to read and the next one to read or make; `None` before the first read.
    read: Option<(u64, u64)>,
    /// Read and not yet given.
    waiting: VecDeque<(Position, Record)>,
    /// Objects that begin with an `open`, among those known.
    opens: BTreeSet<u64>,
    /// Objects that begin with a `state`, among those known and not cut off.
    states: BTreeSet<u64>,
    /// Below this object nothing is left to delete.
    swept: u64,
    broken: Option<String>,
}

/// Who made the object that now lies at a number.
enum Made {
    Own,
    Another(Vec<Record>),
}

/// What became of the records for one object.
enum Placed {
    Own,
    /// A newer open stands before them.
    Overtaken,
}

impl StoreLog {
    /// Opens the log in `store`, or makes it with a new identity if there is none.
    ///
    /// # Errors
    /// `Corrupt` if its identity is damaged or gone, `Config` if the store refuses, `Retry` or `Undecided` if it can't be reached.
    pub fn open(store: Store) -> Result<StoreLog> {
        let mut log = StoreLog {
            store,
            log_id: Nonce(0),
            read: None,
            waiting: VecDeque::new(),
            opens: BTreeSet::new(),
            states: BTreeSet::new(),
            swept: IDENTITY + 1,
            broken: None,
        };
        log.log_id = log.identity()?;
        Ok(log)
    }

    /// Opens the log in `store` to read it; none is made.
    ///
    /// # Errors
    /// `Config` if there is none, else as [`StoreLog::open`].
    pub fn existing(store: Store) -> Result<StoreLog> {
        if store.size(&name(IDENTITY))?.is_none() {
            let text = format!("there is no tick log in the store {}", store.url());
            return Err(Error::config(text));
        }
        StoreLog::open(store)
    }

    fn identity(&self) -> Result<Nonce> {
        let name = name(IDENTITY);
        if let Some(bytes) = self.store.get(&name)? {
            return self.decode(IDENTITY, &bytes).map(|(head, _)| head.log_id);
        }
        if let Some(other) = self.store.list(LOG)?.first()
            && other.name != name
        {
            return Err(self.damaged(IDENTITY, &format!("is missing, but {} is there", other.name)));
        }
        let head = Head { log_id: random::nonce(), number: IDENTITY, nonce: random::nonce() };
        match self.store.put_if_absent(&name, object::encode(head, &[]))? {
            Put::Created => Ok(head.log_id),
            Put::Exists => Err(Error::new(
                Kind::Retry,
                format!("{}: another process is making it just now", self.describe()),
            )),
        }
    }

    fn damaged(&self, number: u64, what: &str) -> Error {
        Error::corrupt(format!(
            "{}: object {} {what}; restore it from a copy, or begin a new job from a savepoint",
            self.describe(),
            name(number)
        ))
    }

    fn decode(&self, number: u64, bytes: &[u8]) -> Result<(Head, Vec<Record>)> {
        let (head, records) = object::decode(bytes).map_err(|e| match e.kind() {
            Kind::Corrupt => self.damaged(number, &format!("is damaged at {}", e.message())),
            _ => e.at(format_args!("{}: object {}", self.describe(), name(number))),
        })?;
        if head.number != number {
            return Err(self.damaged(number, &format!("has the bytes of {}", name(head.number))));
        }
        Ok((head, records))
    }

    /// The object at `number`, or `None` if there is none.
    fn fetch(&self, number: u64) -> Result<Option<(Head, Vec<Record>)>> {
        let Some(bytes) = self.store.get(&name(number))? else { return Ok(None) };
        let (head, records) = self.decode(number, &bytes)?;
        if head.log_id != self.log_id {
            return Err(self.damaged(number, "belongs to another log"));
        }
        Ok(Some((head, records)))
    }

    /// The greatest number above `number` that the store has, if any.
    fn newest_above(&self, number: u64) -> Result<Option<u64>> {
        let listed = self.store.list_after(LOG, &name(number))?;
        Ok(listed.iter().filter_map(|object| number_of(LOG, &object.name)).max())
    }

    fn next(&self) -> u64 {
        self.read.map_or(IDENTITY + 1, |(_, next)| next)
    }

    /// Notes that the object at the next number begins with `first`.
    fn pass(&mut self, first: Option<&Record>) {
        let number = self.next();
        match first {
            Some(Record::Open(_)) => drop(self.opens.insert(number)),
            Some(Record::State(_)) => drop(self.states.insert(number)),
            _ => {}
        }
        self.read = Some((self.read.map_or(number, |(from, _)| from), number + 1));
    }

    /// Reads all objects that the store has beyond those known.
    fn read_on(&mut self, each: &mut dyn FnMut(Position, Record) -> Result<()>) -> Result<()> {
        if self.read.is_none() {
            let head = self.newest_cut()?.unwrap_or(IDENTITY + 1);
            self.read = Some((head, head));
        }
        let newest = self.newest_above(self.next() - 1)?;
        let cut = self.read.is_some_and(|(from, next)| from == next && from > IDENTITY + 1);
        if newest.is_none() && cut {
            return Err(self.missing(self.next(), "the log was cut there"));
        }
        while let Some(newest) = newest.filter(|newest| self.next() <= *newest) {
            let number = self.next();
            let Some((_, records)) = self.fetch(number)? else {
                self.skip_to_cut(number, newest)?;
                continue;
            };
            self.pass(records.first());
            self.waiting.extend(positions(number).zip(records));
            self.give(each)?;
        }
        Ok(())
    }

    fn give(&mut self, each: &mut dyn FnMut(Position, Record) -> Result<()>) -> Result<()> {
        while let Some((position, record)) = self.waiting.pop_front() {
            each(position, record)?;
        }
        Ok(())
    }

    /// The object at `number` is not there though a later one is: it was cut off since this reader looked where the log begins, or lost.
    fn skip_to_cut(&mut self, number: u64, newest: u64) -> Result<()> {
        let cut = self.newest_cut()?.filter(|cut| *cut > number);
        match (cut, self.read) {
            (Some(cut), Some((from, next))) if from == next => {
                self.read = Some((cut, cut));
                Ok(())
            }
            (Some(cut), _) => Err(self.left_behind(number, cut)),
            (None, _) => Err(self.missing(number, &format!("{} is there", name(newest)))),
        }
    }

    fn missing(&self, number: u64, though: &str) -> Error {
        self.damaged(number, &format!("is missing, but {though}"))
    }

    fn left_behind(&self, number: u64, at: u64) -> Error {
        Error::new(
            Kind::Fenced,
            format!(
                "{}: others have gone on to {} and deleted {}, where this process was; start again to read the log from its beginning",
                self.describe(),
                name(at),
                name(number)
            ),
        )
    }

    fn undecided(&self) -> Error {
        Error::new(
            Kind::Undecided,
            format!(
                "{}: {}; the records may be in it, the generation ends: see to the store, then start again",
                self.describe(),
                self.broken.as_deref().unwrap_or("no answer")
            ),
        )
    }

    fn check_whole(&self) -> Result<()> {
        if self.broken.is_some() { Err(self.undecided()) } else { Ok(()) }
    }

    /// No append any more, since `error` was met when the outcome was open.
    fn break_off(&mut self, error: &Error) -> Error {
        self.broken = Some(error.message().to_owned());
        self.undecided()
    }

    /// Makes the object at `number` unless there is one. Tries until the store answers.
    ///
    /// # Errors
    /// `Config`, `Corrupt`, `Fenced`: it was not made. `Undecided`: it may have been.
    fn create(&self, number: u64, nonce: Nonce, bytes: Bytes) -> Result<Made> {
        let mut pause = Pause::new(format!("{}: making {}", self.describe(), name(number)));
        loop {
            let error = match self.store.put_if_absent(&name(number), bytes.clone()) {
                Ok(Put::Created) => break Ok(Made::Own),
                Ok(Put::Exists) => {
                    Error::new(Kind::Retry, "what lay there was deleted at this moment")
                }
                Err(error) if error.kind() == Kind::Retry => {
                    pause.wait(&error);
                    continue;
                }
                Err(error) if error.kind() == Kind::Undecided && !self.store.is_local() => error,
                Err(error) => break Err(error),
            };
            // "Exists" and a lost answer are the same question: whose is it?
            match pause.until_read(|| self.fetch(number))? {
                Some((head, _)) if head.nonce == nonce => break Ok(Made::Own),
                Some((_, others)) => break Ok(Made::Another(others)),
                None => pause.wait(&error),
            }
        }
    }

    /// Appends one object with `records`, after whatever others have appended; gives all of it to `entries`.
    fn place(
        &mut self,
        records: &[Record],
        payloads: &[Vec<u8>],
        entries: &mut Vec<Entry>,
    ) -> Result<Placed> {
        let nonce = random::nonce();
        loop {
            let number = self.next();
            let head = Head { log_id: self.log_id, number, nonce };
            let others = match self.create(number, nonce, object::encode(head, payloads).into())? {
                Made::Own => break,
                Made::Another(others) => others,
            };
            self.pass(others.first());
            let overtaken = plan::overtaken(records, &others);
            let others = positions(number).zip(others);
            entries.extend(others.map(|(position, record)| Entry { position, record, own: false }));
            if overtaken {
                return Ok(Placed::Overtaken);
            }
        }
        let number = self.next();
        let own = positions(number).zip(records.iter().cloned());
        entries.extend(own.map(|(position, record)| Entry { position, record, own: true }));
        self.pass(records.first());
        if let Some(Record::Open(_)) = records.first() {
            self.look_above(number)?;
        }
        Ok(Placed::Own)
    }

    /// Law 4: whoever made an open ends if anything lies above it.
    fn look_above(&mut self, number: u64) -> Result<()> {
        let mut pause = Pause::new(format!("{}: looking above {}", self.describe(), name(number)));
        let Some(above) = pause.until_read(|| self.newest_above(number))? else { return Ok(()) };
        let error = Error::new(
            Kind::Fenced,
            format!(
                "{}: the open at {} came late, {} lies above it; others lead, this generation ends",
                self.describe(),
                name(number),
                name(above)
            ),
        );
        self.broken = Some(error.message().to_owned());
        Err(error)
    }
}

impl Log for StoreLog {
    fn describe(&self) -> String {
        format!("tick log store {}", self.store.url())
    }

    fn log_id(&self) -> Nonce {
        self.log_id
    }

    fn read(&mut self, each: &mut dyn FnMut(Position, Record) -> Result<()>) -> Result<()> {
        self.give(each)?;
        self.read_on(each)
    }

    fn append(&mut self, records: &[Record]) -> Result<Vec<Entry>> {
        self.check_whole()?;
        let payloads: Vec<_> = records.iter().map(Record::to_json).collect();
        for (record, payload) in records.iter().zip(&payloads) {
            if payload.len() > RECORD_BYTES_MAX {
                return Err(Error::config(format!(
                    "{}: {} has {} bytes, more than the {RECORD_BYTES_MAX} that a record may have; make ticks smaller",
                    self.describe(),
                    record.describe(),
                    payload.len()
                )));
            }
        }
        let mut entries = Vec::with_capacity(records.len());
        let mut known = |position, record| {
            entries.push(Entry { position, record, own: false });
            Ok(())
        };
        self.give(&mut known)?;
        if self.read.is_none() {
            self.read_on(&mut known)?;
        }
        let mut begun = false;
        for group in plan::groups(records, &payloads) {
            match self.place(&records[group.clone()], &payloads[group], &mut entries) {
                Ok(Placed::Own) => begun = true,
                Ok(Placed::Overtaken) => break,
                Err(e) if begun || e.kind() == Kind::Undecided => return Err(self.break_off(&e)),
                Err(e) => return Err(e),
            }
        }
        Ok(entries)
    }

    fn cut(&mut self, position: Position) -> Result<()> {
        self.check_whole()?;
        let number = position / RECORDS_MAX;
        if !position.is_multiple_of(RECORDS_MAX) || !self.states.contains(&number) {
            return Err(Error::internal(format!(
                "{}: no state record at position {position}, so it can't be cut there",
                self.describe()
            )));
        }
        self.cut_at(number)
    }
}

/// Where the records of the object stand.
fn positions(number: u64) -> impl Iterator<Item = Position> {
    number * RECORDS_MAX..
}

/// The name of an object of the log: its number in 20 digits, so that names sort as numbers.
fn name(number: u64) -> String {
    format!("{LOG}/{number:020}")
}

/// The number in an object's name, or `None` if it is none of `kind`.
fn number_of(kind: &str, name: &str) -> Option<u64> {
    let digits = name.strip_prefix(kind)?.strip_prefix('/')?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests;
