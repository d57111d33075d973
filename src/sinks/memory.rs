//! A sink in memory, for tests: what was committed outlives a job that crashes, answers can be lost, and zombies are kept out.

use super::resume::{Resume, progress, resume};
use super::{Identity, LaneTick, Progress, Row, Writer};
use crate::error::{Error, Kind, Result};
use crate::hash::chain;
use crate::ids::{Generation, Lane, Nonce, Tick};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The rows of a tick as they were committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The lane.
    pub lane: Lane,
    /// The tick.
    pub tick: Tick,
    /// The rows, in the order in which they came.
    pub rows: Vec<Row>,
    /// The progress that was committed last with rows of the tick.
    pub progress: Progress,
}

/// What becomes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It happens, and is answered.
    None,
    /// It does not happen, and the answer says so.
    Refused,
    /// It happens, but the answer is lost.
    AnswerLost,
    /// It does not happen, and no answer comes.
    Lost,
    /// No answer comes; it happens when the lane is fenced, just before that.
    Delayed,
}

/// What is outside of a sink. Clones are the same one; writers made from it too.
#[derive(Clone, Debug, Default)]
pub struct MemoryTarget(Arc<Mutex<Target>>);

#[derive(Debug, Default)]
struct Target {
    mark: Option<(Generation, Nonce)>,
    lanes: BTreeMap<Lane, Vec<Committed>>,
    delayed: Vec<Vec<Piece>>,
    next: VecDeque<Fault>,
    random: Option<Random>,
    commits: u64,
}

/// Faults drawn from a seed.
#[derive(Debug)]
struct Random {
    seed: u64,
    drawn: u64,
    per_mille: u64,
}

/// Rows of a tick that are committed at once.
#[derive(Clone, Debug)]
struct Piece {
    rows: Vec<Row>,
    progress: Progress,
}

impl MemoryTarget {
    /// An empty one.
    pub fn new() -> MemoryTarget {
        MemoryTarget::default()
    }

    /// A writer for the sink named `sink`, as a starting process makes it.
    pub fn writer(&self, sink: &str) -> MemoryWriter {
        MemoryWriter { target: self.clone(), sink: sink.to_owned(), chunk_rows: None, held: None }
    }

    /// The next commits end like this, one after the other.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().next.extend(faults);
    }

    /// From now on `per_mille` of a thousand commits and fences meet a fault, all drawn from `seed`.
    pub fn fail_randomly(&self, seed: u64, per_mille: u16) {
        let random = Random { seed, drawn: 0, per_mille: u64::from(per_mille) };
        self.lock().random = Some(random);
    }

    /// From now on nothing fails.
    pub fn heal(&self) {
        let mut target = self.lock();
        target.random = None;
        target.next.clear();
    }

    /// Everything committed in a lane, by tick.
    pub fn committed(&self, lane: Lane) -> Vec<Committed> {
        self.lock().lanes.get(&lane).cloned().unwrap_or_default()
    }

    /// All rows committed, lane by lane in their order.
    pub fn rows(&self) -> Vec<Row> {
        let target = self.lock();
        target.lanes.values().flatten().flat_map(|tick| tick.rows.iter().cloned()).collect()
    }

    /// The values of [`MemoryTarget::rows`]; a tombstone is empty.
    pub fn values(&self) -> Vec<Vec<u8>> {
        self.rows().into_iter().map(|row| row.value.unwrap_or_default().into()).collect()
    }

    /// The progress of a lane.
    pub fn progress(&self, lane: Lane) -> Option<Progress> {
        Some(self.lock().lanes.get(&lane)?.last()?.progress.clone())
    }

    /// How many transactions were committed.
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    fn lock(&self) -> MutexGuard<'_, Target> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    fn fault(&mut self) -> Fault {
        if let Some(fault) = self.next.pop_front() {
            return fault;
        }
        let Some(random) = &mut self.random else {
            return Fault::None;
        };
        random.drawn += 1;
        let drawn = chain(random.seed, &random.drawn.to_le_bytes());
        if drawn % 1000 >= random.per_mille {
            return Fault::None;
        }
        match (drawn >> 32) % 4 {
            0 => Fault::Refused,
            1 => Fault::AnswerLost,
            2 => Fault::Lost,
            _ => Fault::Delayed,
        }
    }

    fn apply(&mut self, transaction: Vec<Piece>) {
        self.commits += 1;
        for piece in transaction {
            let (lane, tick) = (piece.progress.lane, piece.progress.tick);
            let ticks = self.lanes.entry(lane).or_default();
            match ticks.last_mut() {
                Some(last) if last.tick == tick => {
                    last.rows.extend(piece.rows);
                    last.progress = piece.progress;
                }
                _ => {
                    ticks.push(Committed { lane, tick, rows: piece.rows, progress: piece.progress })
                }
            }
        }
    }
}

/// A writer of a [`MemoryTarget`]. As strict as a Kafka producer: after anything but a positive answer it is of no use until it has
/// fenced again.
#[derive(Debug)]
pub struct MemoryWriter {
    target: MemoryTarget,
    sink: String,
    chunk_rows: Option<usize>,
    held: Option<Held>,
}

/// What a fence gave, kept up to date.
#[derive(Debug)]
struct Held {
    identity: Identity,
    progress: Vec<Option<Progress>>,
}

impl MemoryWriter {
    /// The same, committing at most `rows` rows at once, so that a larger tick takes several transactions.
    ///
    /// # Panics
    /// If `rows` is 0.
    #[must_use]
    pub fn chunk_rows(mut self, rows: usize) -> MemoryWriter {
        assert!(rows > 0, "a chunk has rows");
        self.chunk_rows = Some(rows);
        self
    }

    /// The transactions that these ticks take.
    fn plan(&self, held: &Held, ticks: &[LaneTick]) -> Result<Vec<Vec<Piece>>> {
        let most = self.chunk_rows.unwrap_or(usize::MAX);
        let mut progress_of = held.progress.clone();
        let (mut transactions, mut open, mut room) = (Vec::new(), Vec::new(), most);
        for tick in ticks {
            let lane = progress_of.get_mut(usize::from(tick.lane.0)).ok_or_else(|| {
                Error::internal(format!("sink {}: lane {} was not fenced", self.sink, tick.lane.0))
            })?;
            let Resume::From(mut from) = resume(&self.sink, lane.as_ref(), tick)? else {
                continue;
            };
            loop {
                let to = tick.rows.len().min(from.saturating_add(room));
                let progress = progress(&held.identity, &self.sink, tick, to);
                open.push(Piece { rows: tick.rows[from..to].to_vec(), progress: progress.clone() });
                room -= to - from;
                *lane = Some(progress);
                from = to;
                if room == 0 {
                    transactions.push(std::mem::take(&mut open));
                    room = most;
                }
                if from == tick.rows.len() {
                    break;
                }
            }
        }
        if !open.is_empty() {
            transactions.push(open);
        }
        Ok(transactions)
    }

    fn commit(&self, held: &mut Held, transaction: Vec<Piece>) -> Result<()> {
        let mut target = self.target.lock();
        let identity = &held.identity;
        if target.mark != Some((identity.generation, identity.nonce)) {
            return Err(self.fenced(identity, target.mark));
        }
        let undecided = || Err(self.error(Kind::Undecided, "the answer to a commit was lost"));
        match target.fault() {
            Fault::None => {}
            Fault::Refused => return Err(self.error(Kind::Retry, "the commit was refused")),
            Fault::Lost => return undecided(),
            Fault::AnswerLost => {
                target.apply(transaction);
                return undecided();
            }
            Fault::Delayed => {
                target.delayed.push(transaction);
                return undecided();
            }
        }
        for piece in &transaction {
            held.progress[usize::from(piece.progress.lane.0)] = Some(piece.progress.clone());
        }
        target.apply(transaction);
        Ok(())
    }

    fn error(&self, kind: Kind, what: &str) -> Error {
        Error::new(kind, format!("memory sink {}: {what}", self.sink))
    }

    fn fenced(&self, identity: &Identity, mark: Option<(Generation, Nonce)>) -> Error {
        let holder = mark.map_or(0, |(generation, _)| generation.0);
        let what = format!("generation {} is fenced by generation {holder}", identity.generation);
        self.error(Kind::Fenced, &what)
    }
}

impl Writer for MemoryWriter {
    fn describe(&self) -> String {
        format!("memory sink {}", self.sink)
    }

    fn fence(&mut self, identity: &Identity, lanes: u16) -> Result<Vec<Option<Progress>>> {
        self.held = None;
        let mut target = self.target.lock();
        let own = (identity.generation, identity.nonce);
        if target.mark.is_some_and(|mark| mark != own && mark.0 >= own.0) {
            return Err(self.fenced(identity, target.mark));
        }
        let fault = if target.random.is_some() { target.fault() } else { Fault::None };
        if fault == Fault::Refused {
            return Err(self.error(Kind::Retry, "the fence was refused"));
        }
        target.mark = Some(own);
        for transaction in std::mem::take(&mut target.delayed) {
            target.apply(transaction);
        }
        if fault != Fault::None {
            return Err(self.error(Kind::Retry, "the answer to the fence was lost"));
        }
        drop(target);
        let progress: Vec<_> = (0..lanes).map(|lane| self.target.progress(Lane(lane))).collect();
        self.held = Some(Held { identity: identity.clone(), progress: progress.clone() });
        Ok(progress)
    }

    fn write(&mut self, ticks: &[LaneTick]) -> Result<()> {
        let Some(mut held) = self.held.take() else {
            return Err(self.error(Kind::Internal, "a write without a fence before it"));
        };
        for transaction in self.plan(&held, ticks)? {
            self.commit(&mut held, transaction)?;
        }
        self.held = Some(held);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
