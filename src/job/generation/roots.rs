//! Which snapshots may be restored, which given up, and how far the log may be cut. Pure.

use super::Refusal;
use crate::ids::{Generation, Tick};
use crate::ticks::record::{DropRecord, SnapshotRecord};

/// Where a generation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore<'a> {
    /// With the state of this snapshot; replay the ticks after it.
    Snapshot(&'a SnapshotRecord),
    /// With nothing; replay all ticks.
    Beginning,
}

/// What [`restore_points`] goes by.
#[derive(Clone, Copy, Debug)]
pub struct RestoreFacts<'a> {
    /// The snapshots that count and were not given up.
    pub snapshots: &'a [SnapshotRecord],
    /// The least progress of all lanes of all sinks.
    pub least: Tick,
    /// The base of the open record.
    pub base: Option<Tick>,
    /// What the log proves: [`crate::ticks::counts::Counter::progress_floor`]. Below it only savepoints are left, maybe of another program.
    pub proven: Tick,
    /// The log begins after this tick: [`crate::ticks::counts::Counter::reaches_back_to`].
    pub reaches: Tick,
}

/// PROTOCOL 5: where to begin, the best first. The first is the newest snapshot at or below the least progress and not below `base`; the
/// others are for when it turns out to be damaged. The log's beginning comes last, if it is still there and no base stands above it.
///
/// # Errors
/// [`Refusal::NoRestorePoint`] if there is none.
pub fn restore_points<'a>(facts: RestoreFacts<'a>) -> Result<Vec<Restore<'a>>, Refusal> {
    let not_below = facts.base.unwrap_or(0).max(facts.proven).max(facts.reaches);
    let mut usable: Vec<_> =
        facts.snapshots.iter().filter(|s| s.tick <= facts.least && s.tick >= not_below).collect();
    // Of two at one tick the one recorded last comes first.
    usable.reverse();
    usable.sort_by_key(|s| std::cmp::Reverse(s.tick));
    let mut points: Vec<_> = usable.into_iter().map(Restore::Snapshot).collect();
    // Before a base there is another program. What drops prove does not matter to who replays everything.
    if facts.reaches == 0 && facts.base.is_none() {
        points.push(Restore::Beginning);
    }
    if points.is_empty() {
        let RestoreFacts { least, reaches, .. } = facts;
        return Err(Refusal::NoRestorePoint { least, not_below, reaches });
    }
    Ok(points)
}

/// What [`droppable`] and [`oldest_root`] go by.
#[derive(Clone, Copy, Debug)]
pub struct RootFacts<'a> {
    /// The snapshots that count and were not given up.
    pub snapshots: &'a [SnapshotRecord],
    /// The least progress of all lanes of all sinks, as it is known to be committed.
    pub least: Tick,
    /// The base of one's own open.
    pub base: Option<Tick>,
    /// The tick of what this leader restored or wrote last; `None` if it began with nothing and has written nothing.
    pub lineage: Option<Tick>,
}

/// The newest snapshot at or below all progress: what a restart would restore.
fn newest_usable(facts: &RootFacts<'_>) -> Option<Tick> {
    facts.snapshots.iter().map(|s| s.tick).filter(|t| *t <= facts.least).max()
}

/// PROTOCOL 13: what the leader may give up, as the `drop` record to append; `None` if nothing. At least `kept` snapshots (ordinary
/// ones) and all roots stay: the newest at or below all progress and every newer one, savepoints but those in `give_up`, `base`, one's own
/// lineage. Objects are deleted only once the record counts, from a list made before it.
pub fn droppable(
    facts: RootFacts<'_>,
    kept: usize,
    give_up: &[String],
    generation: Generation,
) -> Option<DropRecord> {
    let given_up = |s: &SnapshotRecord| s.savepoint.as_ref().is_some_and(|n| give_up.contains(n));
    let ordinary = |s: &SnapshotRecord| s.savepoint.is_none() || given_up(s);
    let mut ticks: Vec<_> =
        facts.snapshots.iter().filter(|s| ordinary(s)).map(|s| s.tick).collect();
    ticks.sort_unstable();
    ticks.dedup();
    let keep_from = ticks.iter().rev().nth(kept.saturating_sub(1)).or(ticks.first());
    let below = match (newest_usable(&facts), keep_from) {
        (Some(usable), Some(keep_from)) => {
            usable.min(*keep_from).min(facts.lineage.unwrap_or(Tick::MAX))
        }
        _ => 0,
    };
    let mut goes = facts.snapshots.iter().filter(|s| {
        given_up(s) || (s.savepoint.is_none() && s.tick < below && Some(s.tick) != facts.base)
    });
    goes.next().is_some().then(|| DropRecord { generation, below, savepoints: give_up.to_vec() })
}

/// PROTOCOL 14: the oldest root, at or below which the log may be cut; `None` if nothing may be cut, since a restart would begin with
/// the log's beginning. `facts` are those after the drop that counts.
pub fn oldest_root(facts: RootFacts<'_>) -> Option<Tick> {
    newest_usable(&facts)?;
    let roots = facts.snapshots.iter().map(|s| s.tick);
    roots.chain(facts.lineage).chain(facts.base).min()
}

#[cfg(test)]
mod tests;
