//! Who may lead, and from where: the decisions of PROTOCOL 1 to 6, 13 and 14 as pure functions. No I/O; drivers bring the facts.
//!
//! ```text
//! next -> claim -> before_claim, lanes::next_sinks -> open -> after_open -> lanes::to_fence, after_fence, check_progress
//!      -> after_progress -> roots::restore_points -> lead, roots::droppable, roots::oldest_root
//! ```

use crate::error::{Error, Kind};
use crate::ids::{Generation, Lane, Tick};
use crate::ticks::counts::Counter;
use crate::ticks::record::{Open, SnapshotRecord};
use std::collections::BTreeMap;

pub mod change;
pub mod lanes;
pub mod roots;

use lanes::Held;

/// Why a generation must not lead. Nothing is changed by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another program has made the last tick and there is no counted snapshot at exactly that tick.
    NoSnapshotAtEnd {
        /// The program in force.
        program: String,
        /// The last tick.
        end: Tick,
    },
    /// A lane has not reached the last tick, which a change of program or of lanes needs.
    NotDrained {
        /// The program in force.
        program: String,
        /// The sink.
        sink: String,
        /// The lane.
        lane: Lane,
        /// What it has reached.
        reached: Tick,
        /// The last tick.
        end: Tick,
    },
    /// A sink holds a tick that the log does not have: the log has lost records.
    LogLost {
        /// The sink.
        sink: String,
        /// The lane.
        lane: Lane,
        /// The tick in the sink.
        tick: Tick,
        /// The log's last tick.
        end: Tick,
    },
    /// The log proves that a lane had reached a tick, and its progress is less or gone.
    ProgressLost {
        /// The sink.
        sink: String,
        /// The lane.
        lane: Lane,
        /// What it has reached by its progress; `None` if there is no progress.
        reached: Option<Tick>,
        /// What it had reached.
        proven: Tick,
    },
    /// No snapshot can be restored and the log does not reach back to the first tick.
    NoRestorePoint {
        /// The least progress of all lanes.
        least: Tick,
        /// Nothing below this tick may be restored.
        not_below: Tick,
        /// The log begins after this tick.
        reaches: Tick,
    },
}

impl Refusal {
    /// The error that tells the user what to do.
    pub fn error(&self) -> Error {
        match self {
            Refusal::NoSnapshotAtEnd { program, end } => Error::config(format!(
                "this program differs from {program}, which made the last tick {end}, and there is no snapshot at tick {end}; \
                 run {program} once more and end it with `tidemark stop`, which makes one, then start this one"
            )),
            Refusal::NotDrained { program, sink, lane, reached, end } => Error::config(format!(
                "sink {sink}, lane {}: has reached tick {reached} and must have reached the last tick {end} before another program \
                 or another number of lanes takes over; run {program} once more and end it with `tidemark stop`, then start again",
                lane.0
            )),
            Refusal::LogLost { sink, lane, tick, end } => Error::new(
                Kind::Corrupt,
                format!(
                    "sink {sink}, lane {}: holds tick {tick}, but the tick log ends at tick {end}: the log has lost records; \
                     restore the log, or begin a new job and decide what becomes of the sink's rows",
                    lane.0
                ),
            ),
            Refusal::ProgressLost { sink, lane, reached, proven } => Error::new(
                Kind::Corrupt,
                format!(
                    "sink {sink}, lane {}: {}, but the tick log proves that it had reached tick {proven}: the sink's progress was \
                     lost; restore it, or give the sink a new name",
                    lane.0,
                    match reached {
                        Some(tick) => format!("its progress is tick {tick}"),
                        None => "it has no progress".into(),
                    }
                ),
            ),
            Refusal::NoRestorePoint { least, not_below, reaches } => Error::new(
                Kind::Corrupt,
                format!(
                    "no snapshot from tick {not_below} to tick {least} (the least progress of all sinks) can be restored, and the \
                     tick log begins after tick {reaches}; restore the missing objects of the state store"
                ),
            ),
        }
    }
}

/// Whether a program may lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MayLead {
    /// It may.
    Yes {
        /// The `base` of its open record.
        base: Option<Tick>,
    },
    /// The log went on meanwhile. Exit, look again, claim again.
    Exit {
        /// The last tick that was seen when the open record was made.
        seen: Tick,
        /// The last tick before the open record.
        end: Tick,
    },
    /// It must not.
    Refuse(Refusal),
}

/// PROTOCOL 1: the generation to claim, above every claim and every open that is known.
pub fn next(newest_claim: Option<Generation>, newest_open: Option<Generation>) -> Generation {
    Generation(newest_claim.max(newest_open).unwrap_or_default().0 + 1)
}

/// "Another program", before the claim: whether `program` may claim, seen from the log as followed so far, and the base that it writes
/// in its open record. [`after_open`] and [`after_progress`] look again.
///
/// To give up kept state (`drop_state`) changes what follows from the log, so it asks for the same as another program. It is done once:
/// a program that is in force and has given it up already goes on with what it has kept since.
///
/// The same program carries its base on, since what is below was made by another one. Where a drop proves that a newer snapshot of its
/// own is at or below all progress, the base moves up to the oldest such snapshot, and the old one need not be kept any more.
pub fn before_claim(program: &str, drop_state: &[String], log: &Counter) -> MayLead {
    let end = log.last_tick();
    match log.in_force() {
        None => MayLead::Yes { base: None },
        Some(open) if goes_on(open, program, drop_state) => {
            let proven = log.progress_floor();
            let own = log.snapshots().iter().map(|s| s.tick).filter(|t| *t >= proven).min();
            let base = open.base.map(|base| if proven > base { own.unwrap_or(base) } else { base });
            MayLead::Yes { base }
        }
        Some(open) => at_end(open, log.snapshots(), end),
    }
}

/// Whether the program in force just goes on: it is the same, and gives up nothing that it has not given up already.
fn goes_on(in_force: &Open, program: &str, drop_state: &[String]) -> bool {
    in_force.program == program && drop_state.iter().all(|uid| in_force.dropped.contains_key(uid))
}

/// Whether a start is another program or asks for as much, as far as the log knows that was followed so far.
pub fn will_switch(program: &str, drop_state: &[String], log: &Counter) -> bool {
    log.in_force().is_some_and(|open| !goes_on(open, program, drop_state))
}

/// The kept state that the next open says is given up: what the same program had given up, and what it is told now, at `log`'s last tick.
pub fn next_dropped(program: &str, drop_state: &[String], log: &Counter) -> BTreeMap<String, Tick> {
    let Some(open) = log.in_force() else { return BTreeMap::new() };
    let same = open.program == program;
    let mut dropped = if same { open.dropped.clone() } else { BTreeMap::new() };
    for uid in drop_state {
        dropped.entry(uid.clone()).or_insert(log.last_tick());
    }
    dropped
}

fn at_end(in_force: &Open, snapshots: &[SnapshotRecord], end: Tick) -> MayLead {
    if snapshots.iter().any(|s| s.tick == end) {
        return MayLead::Yes { base: Some(end) };
    }
    MayLead::Refuse(Refusal::NoSnapshotAtEnd { program: in_force.program.clone(), end })
}

/// PROTOCOL 2, once one's own open counts: whether what it says was made from the log as it is before it. Another program must have
/// seen the true end as its base, and sinks that begin with this open must begin after the true end.
///
/// `log` has been fed one's own open and nothing after it.
pub fn after_open(open: &Open, log: &Counter) -> MayLead {
    let end = log.last_tick();
    let exit = |seen| MayLead::Exit { seen, end };
    if let (Some(base), true) = (open.base, switches(open, log))
        && base != end
    {
        return exit(base);
    }
    let stale =
        open.sinks.iter().filter(|s| s.live && lanes::in_force(log.in_force(), s).is_none());
    for sink in stale {
        if sink.first_tick != end + 1 {
            return exit(sink.first_tick.saturating_sub(1));
        }
    }
    MayLead::Yes { base: open.base }
}

fn switches(open: &Open, log: &Counter) -> bool {
    let told: Vec<String> = open.dropped.keys().cloned().collect();
    will_switch(&open.program, &told, log)
}

/// "Another program" and PROTOCOL 10, after step 4: another program needs the snapshot at its base and every lane of every sink in
/// force at E; a sink whose lanes change needs its own lanes there.
///
/// `log` has been fed one's own open and nothing after it; [`after_open`] said yes.
pub fn after_progress(open: &Open, log: &Counter, held: &[Held]) -> MayLead {
    let Some(in_force) = log.in_force() else { return MayLead::Yes { base: open.base } };
    let end = log.last_tick();
    let switches = switches(open, log);
    if switches && let refused @ MayLead::Refuse(_) = at_end(in_force, log.snapshots(), end) {
        return refused;
    }
    let replaced = |name: &str| {
        open.sinks
            .iter()
            .any(|s| s.live && s.name == name && lanes::in_force(Some(in_force), s).is_none())
    };
    let must_be_drained =
        in_force.sinks.iter().filter(|s| s.live && (switches || replaced(&s.name)));
    for sink in must_be_drained {
        for (lane, reached) in lanes::reached(sink, held) {
            if reached < end {
                let (program, sink) = (in_force.program.clone(), sink.name.clone());
                let refusal = Refusal::NotDrained { program, sink, lane, reached, end };
                return MayLead::Refuse(refusal);
            }
        }
    }
    MayLead::Yes { base: open.base }
}

#[cfg(test)]
mod tests;
