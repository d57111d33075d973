//! What counts: the one reading of the tick log on which everybody agrees. Pure: records in, verdicts and a view out.
//!
//! Law (PROTOCOL, "What counts"), reading in order:
//! 1. An `open` counts if its generation is higher than that of the newest open that counts.
//! 2. Any other record counts only if its generation is that of the newest open that counts,
//! 3. and a tick only if it is the last one plus one; the first tick is 1.
//! 4. A `state` at the head of a cut log stands for everything before it.
//!
//! What does not count does not exist. An acknowledged append is not yet a counted one: feed every record up to one's own, foreign
//! ones too, and believe the verdict.

use crate::error::{Error, Result};
use crate::ids::{Generation, Tick};
use crate::ticks::record::{
    DropRecord, InletDecl, Open, Record, SinkDecl, SkipRecord, SnapshotRecord, StateRecord,
    TickRecord,
};
use std::collections::VecDeque;
use std::fmt;

/// Where a record stands in its log; grows, not necessarily by one. Bytes for a file, offsets for Kafka.
pub type Position = u64;

/// Whether a record counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does; the view has it.
    Counts,
    /// It does not exist, for this reason.
    Not(Why),
}

/// Why a record does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// An open, not above the newest that counts.
    OpenedBefore(Generation),
    /// A record of a generation that is not the newest open that counts, which is this one (`None`: there is no open yet).
    NotOpen(Option<Generation>),
    /// A tick that is not the next one; this one is the last that counts.
    NotNext(Tick),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::OpenedBefore(g) => write!(f, "generation {g} was opened before it"),
            Why::NotOpen(Some(g)) => write!(f, "the log was open for generation {g} only"),
            Why::NotOpen(None) => write!(f, "the log was open for no generation"),
            Why::NotNext(t) => write!(f, "the last tick was {t}"),
        }
    }
}

/// Reads a log in order and keeps what a leader or follower must know of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    newest: Option<Open>,
    in_force: Option<Open>,
    sinks: Vec<SinkDecl>,
    last: Tick,
    reaches: Tick,
    floor: Tick,
    snapshots: Vec<SnapshotRecord>,
    inlets: Vec<InletDecl>,
    ticks: VecDeque<TickRecord>,
    skips: Vec<SkipRecord>,
    forgotten: Tick,
    states: Vec<(Tick, Position)>,
    next: Option<Position>,
}

impl Counter {
    /// A counter before the first record of a log.
    pub fn new() -> Counter {
        Counter::default()
    }

    /// Takes the next record of the log, standing at `position`, and says whether it counts.
    pub fn feed(&mut self, position: Position, record: &Record) -> Verdict {
        let first = self.next.is_none();
        self.next = Some(position + 1);
        if let (true, Record::State(state)) = (first, record) {
            self.begin_from(state);
            return Verdict::Counts;
        }
        let verdict = self.judge(record);
        if verdict == Verdict::Counts {
            self.take(position, record);
        }
        verdict
    }

    fn judge(&self, record: &Record) -> Verdict {
        let newest = self.generation();
        let generation = record.generation();
        match record {
            Record::Open(_) => match newest {
                Some(newest) if generation <= newest => Verdict::Not(Why::OpenedBefore(newest)),
                _ => Verdict::Counts,
            },
            _ if newest != Some(generation) => Verdict::Not(Why::NotOpen(newest)),
            Record::Tick(tick) if tick.decision.tick != self.last + 1 => {
                Verdict::Not(Why::NotNext(self.last))
            }
            _ => Verdict::Counts,
        }
    }

    fn begin_from(&mut self, state: &StateRecord) {
        self.newest = Some(state.open.clone());
        self.in_force = Some(state.open.clone());
        self.sinks = state.open.sinks.clone();
        self.last = state.tick;
        self.reaches = state.tick;
        self.floor = state.tick;
        self.snapshots = state.snapshots.clone();
        self.inlets = state.inlets.clone();
        self.skips = state.skips.clone();
    }

    fn take(&mut self, position: Position, record: &Record) {
        match record {
            Record::Open(open) => {
                carry_on(&mut self.sinks, &open.sinks);
                self.newest = Some(open.clone());
            }
            Record::Tick(tick) => {
                self.last = tick.decision.tick;
                if self.in_force.as_ref().map(|o| o.generation) != Some(tick.generation) {
                    self.in_force.clone_from(&self.newest);
                }
                self.inlets.extend(tick.decision.inlets.iter().cloned());
                self.note_skipped(tick);
                if self.last > self.forgotten {
                    self.ticks.push_back(tick.clone());
                }
            }
            Record::Snapshot(snapshot) => self.snapshots.push(snapshot.clone()),
            Record::Drop(drop) => self.give_up(drop),
            Record::Skip(skip) => self.skips.push(skip.clone()),
            Record::State(state) => self.states.push((state.tick, position)),
        }
    }

    /// What was to be left out once it is read, is from the tick that reads it.
    fn note_skipped(&mut self, tick: &TickRecord) {
        for skip in self.skips.iter_mut().filter(|skip| skip.tick.is_none()) {
            let same =
                |i: &&InletDecl| (&i.source, &i.partition) == (&skip.source, &skip.partition);
            let inlet = self.inlets.iter().find(same).map(|i| i.inlet);
            let mut of_inlet = tick.ranges.iter().filter(|range| Some(range.inlet) == inlet);
            if of_inlet.any(|range| (range.from..range.to).contains(&skip.offset)) {
                skip.tick = Some(tick.decision.tick);
            }
        }
    }

    fn give_up(&mut self, drop: &DropRecord) {
        let base = self.newest.as_ref().and_then(|o| o.base);
        for snapshot in &mut self.snapshots {
            if snapshot.savepoint.as_ref().is_some_and(|name| drop.savepoints.contains(name)) {
                snapshot.savepoint = None;
            }
        }
        self.snapshots
            .retain(|s| s.tick >= drop.below || s.savepoint.is_some() || Some(s.tick) == base);
        self.floor = self.floor.max(drop.below);
    }

    /// The newest open that counts.
    pub fn newest(&self) -> Option<&Open> {
        self.newest.as_ref()
    }

    /// The generation of the newest open that counts.
    pub fn generation(&self) -> Option<Generation> {
        self.newest.as_ref().map(|o| o.generation)
    }

    /// The open under which the last counted tick was made: its program is the one in force. `None` before the first tick.
    pub fn in_force(&self) -> Option<&Open> {
        self.in_force.as_ref()
    }

    /// Every sink of every open that counts, each declaration once, those of the newest open last as it has them. All their lanes are
    /// fenced at step 3. One that a later open declared anew under its name is no longer `live`.
    pub fn sinks(&self) -> &[SinkDecl] {
        &self.sinks
    }

    /// The last counted tick, E; 0 before the first.
    pub fn last_tick(&self) -> Tick {
        self.last
    }

    /// The tick just before the first that the log still has; 0 for a log that was never cut.
    pub fn reaches_back_to(&self) -> Tick {
        self.reaches
    }

    /// A tick that all lanes of all sinks declared before it once had reached, as drops and cuts of the log prove; 0 if nothing does.
    pub fn progress_floor(&self) -> Tick {
        self.floor
    }

    /// The snapshots that count and were not given up, in the order of the log. A savepoint is one with a name.
    pub fn snapshots(&self) -> &[SnapshotRecord] {
        &self.snapshots
    }

    /// The snapshot that is the savepoint of this name (the newest, if several).
    pub fn savepoint(&self, name: &str) -> Option<&SnapshotRecord> {
        self.snapshots.iter().rev().find(|s| s.savepoint.as_deref() == Some(name))
    }

    /// Every inlet so far, in the order in which they appeared.
    pub fn inlets(&self) -> &[InletDecl] {
        &self.inlets
    }

    /// What is left out of ticks above `tick`, those that are still to come too. Whoever reads such a tick again has to know it before: it may
    /// stand behind the tick.
    pub fn skips_after(&self, tick: Tick) -> impl Iterator<Item = &SkipRecord> {
        self.skips.iter().filter(move |skip| skip.tick.is_none_or(|read| read > tick))
    }

    /// The counted ticks above `tick`, in order.
    ///
    /// # Errors
    /// `Corrupt` if the log was cut above it, `Internal` if they were forgotten.
    pub fn ticks_after(&self, tick: Tick) -> Result<impl Iterator<Item = &TickRecord>> {
        if tick < self.reaches {
            return Err(Error::corrupt(format!(
                "ticks after {tick} are wanted, but the tick log begins after tick {}; restore a snapshot at or above it",
                self.reaches
            )));
        }
        if tick < self.forgotten {
            return Err(Error::internal(format!(
                "ticks after {tick} are wanted, those up to {} were forgotten",
                self.forgotten
            )));
        }
        Ok(self.ticks.iter().filter(move |t| t.decision.tick > tick))
    }

    /// Drops the tick records at or below `tick` from memory, now and when they come; `Tick::MAX` keeps none from now on.
    pub fn forget_ticks(&mut self, tick: Tick) {
        self.forgotten = self.forgotten.max(tick);
        while self.ticks.front().is_some_and(|t| t.decision.tick <= tick) {
            self.ticks.pop_front();
        }
    }

    /// What a reader must know if the log is cut here, as a record of the newest generation (PROTOCOL 14). `None` as long as that
    /// generation has no tick: its program is not in force, so the log before its open is needed.
    ///
    /// The open in it has the sinks of all opens, since those records go.
    pub fn state(&self) -> Option<StateRecord> {
        let open = self.in_force.as_ref()?;
        (Some(open.generation) == self.generation()).then(|| StateRecord {
            generation: open.generation,
            open: Open { sinks: self.sinks.clone(), ..open.clone() },
            tick: self.last,
            snapshots: self.snapshots.clone(),
            inlets: self.inlets.clone(),
            // The others are of ticks that nobody reads again behind this record.
            skips: self.skips_after(self.last).cloned().collect(),
        })
    }

    /// Where the log may be cut if `root` is the oldest root: at the newest counted `state` at or below it (PROTOCOL 14). `None` if there
    /// is none but the one at the head.
    pub fn cut_for(&self, root: Tick) -> Option<Position> {
        self.states.iter().rev().find(|(tick, _)| *tick <= root).map(|(_, position)| *position)
    }

    /// Told that the log was cut before `position`, a place that [`Counter::cut_for`] gave.
    pub fn was_cut(&mut self, position: Position) {
        if let Some((tick, _)) = self.states.iter().find(|(_, at)| *at == position) {
            self.reaches = self.reaches.max(*tick);
            self.floor = self.floor.max(*tick);
        }
        self.states.retain(|(_, at)| *at > position);
        let reaches = self.reaches;
        self.skips.retain(|skip| skip.tick.is_none_or(|read| read > reaches));
        while self.ticks.front().is_some_and(|t| t.decision.tick <= reaches) {
            self.ticks.pop_front();
        }
    }
}

/// Adds the sinks of a new open to those known: a declaration that is there already is renewed; one that a live newcomer of the same
/// name replaces, or that the newcomer's open leaves out, stays, no longer live.
fn carry_on(known: &mut Vec<SinkDecl>, opened: &[SinkDecl]) {
    let same = |a: &SinkDecl, b: &SinkDecl| {
        a.name == b.name && a.lanes == b.lanes && a.first_tick == b.first_tick
    };
    known.retain(|k| !opened.iter().any(|o| same(k, o)));
    for sink in known.iter_mut() {
        sink.live = false;
    }
    known.extend(opened.iter().cloned());
}

#[cfg(test)]
mod tests;
