//! What the progress records of all sinks say about each tick, and whether they agree.

use super::{PARTITIONS, SOURCE};
use crate::progress::Progress;
use crate::{Failure, Result};
use std::collections::BTreeMap;

/// What is known of a committed tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The next offset of each partition after it.
    pub offsets: Vec<u64>,
    /// The watermark in force at it, in microseconds.
    pub watermark: Option<i64>,
    /// The least generation that committed it to a sink: the one that first showed it.
    pub generation: u64,
}

/// The facts of each tick that any sink has committed; `progress` in the order in which it was read.
///
/// # Errors
/// If a lane goes back, a tick is written on after its end, or two records disagree about a tick.
pub fn facts(progress: &[Progress]) -> Result<BTreeMap<u64, Facts>> {
    let mut newest: BTreeMap<(&str, u16), &Progress> = BTreeMap::new();
    let mut ticks: BTreeMap<u64, Facts> = BTreeMap::new();
    for record in progress {
        if let Some(before) = newest.insert((record.sink.as_str(), record.lane), record) {
            let goes_on = record.tick > before.tick && before.last;
            let same_tick = record.tick == before.tick && !before.last && record.rows > before.rows;
            if !(goes_on || same_tick) || record.generation < before.generation {
                return Err(Failure(format!("progress goes from {before:?} to {record:?}")));
            }
        }
        let offsets = record.offsets(SOURCE, PARTITIONS)?;
        let watermark = record.watermarks.get(SOURCE).copied();
        let (generation, tick) = (record.generation, record.tick);
        let found = Facts { offsets, watermark, generation };
        let known = ticks.entry(tick).or_insert_with(|| found.clone());
        if (&known.offsets, known.watermark) != (&found.offsets, found.watermark) {
            return Err(Failure(format!(
                "tick {tick} has {known:?}, sink {} says {found:?}",
                record.sink
            )));
        }
        known.generation = known.generation.min(generation);
    }
    for ((tick, a), (next, b)) in ticks.iter().zip(ticks.iter().skip(1)) {
        let back = a.offsets.iter().zip(&b.offsets).any(|(a, b)| a > b);
        if back || a.watermark > b.watermark {
            return Err(Failure(format!("tick {tick} is at {a:?}, tick {next} at {b:?}")));
        }
    }
    Ok(ticks)
}

#[cfg(test)]
mod tests;
