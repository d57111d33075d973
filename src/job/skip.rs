//! Records that a job leaves out, since its code can't get through them: what may be left out, and when. Pure.
//!
//! A record can be left out that no tick has read, or of a tick that was read and recorded but shown nowhere. That is judged in two steps: by the log alone,
//! before a generation is claimed for it, and by what the sinks have, once all their lanes are fenced and nobody can show the tick any more.

use super::generation::lanes::Held;
use crate::error::{Error, Result};
use crate::ids::{Generation, Tick};
use crate::job::shared::Done;
use crate::ticks::counts::Counter;
use crate::ticks::record::{InletDecl, Range, SkipRecord};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a record stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The source's name.
    pub source: String,
    /// The partition as the transport names it.
    pub partition: String,
    /// The record's offset.
    pub offset: u64,
}

impl Place {
    pub(crate) fn of(skip: &SkipRecord) -> Place {
        let SkipRecord { source, partition, offset, .. } = skip.clone();
        Place { source, partition, offset }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { source, partition, offset } = self;
        write!(f, "source {source}, partition {partition}, offset {offset}")
    }
}

/// A wish to leave a record out, and where its outcome goes.
pub(crate) struct Wish {
    pub(crate) place: Place,
    /// Ticks below it were shown.
    pub(crate) stuck: Tick,
    pub(crate) reply: tokio::sync::oneshot::Sender<Result<Done>>,
}

impl Wish {
    /// Answers; whoever asked may have gone.
    pub(crate) fn answer(self, outcome: Result<Done>) {
        let _ = self.reply.send(outcome);
    }
}

/// What the log says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// The counted tick that has read it; `None` if no tick has.
    pub(crate) tick: Option<Tick>,
    /// An offset at or before the record's at which a record begins; `None` if the partition is not known yet.
    pub(crate) from: Option<u64>,
}

/// Where the record at `place` was read, if it may be left out as far as the log tells. `sources`: those of the program. `stuck`: ticks
/// below it were shown.
///
/// # Errors
/// `Config` with the reason.
pub(crate) fn read(log: &Counter, sources: &[&str], place: &Place, stuck: Tick) -> Result<Read> {
    if !sources.contains(&place.source.as_str()) {
        let (source, known) = (&place.source, sources.join(", "));
        return Err(Error::config(format!(
            "the dataflow has no source {source:?}; there are: {known}"
        )));
    }
    let same = |i: &&InletDecl| (&i.source, &i.partition) == (&place.source, &place.partition);
    let Some(inlet) = log.inlets().iter().find(same) else {
        return Ok(Read { tick: None, from: None });
    };
    let of_inlet = |range: &&Range| range.inlet == inlet.inlet;
    let mut from = inlet.start;
    for tick in log.ticks_after(log.reaches_back_to())? {
        let Some(range) = tick.ranges.iter().find(of_inlet) else { continue };
        from = range.from;
        if place.offset >= range.to {
            from = range.to;
            continue;
        }
        let read = tick.decision.tick;
        if place.offset < range.from || read < stuck {
            return Err(Error::config(format!(
                "{place} was read in tick {read} or before, which the job has got through and shown; it is stuck at tick {stuck}"
            )));
        }
        if let Some(snapshot) = log.snapshots().iter().find(|snapshot| snapshot.tick >= read) {
            return Err(Error::config(format!(
                "{place} was read in tick {read}, and the snapshot of tick {} has what came of it",
                snapshot.tick
            )));
        }
        return Ok(Read { tick: Some(read), from: Some(from) });
    }
    Ok(Read { tick: None, from: Some(from) })
}

/// Whether a tick was shown by no sink, whose lanes are all fenced.
///
/// # Errors
/// `Config` naming the sink that has it.
pub(crate) fn not_shown(tick: Tick, held: &[Held]) -> Result<()> {
    for Held { sink, progress } in held {
        if let Some(there) = progress.iter().flatten().find(|progress| progress.tick >= tick) {
            return Err(Error::config(format!(
                "sink {} has rows up to tick {}, so tick {tick} was shown as it is: nothing can be left out of it",
                sink.name, there.tick
            )));
        }
    }
    Ok(())
}

/// The record that says so.
pub(crate) fn record(generation: Generation, place: &Place, tick: Option<Tick>) -> SkipRecord {
    let Place { source, partition, offset } = place.clone();
    SkipRecord { generation, tick, source, partition, offset }
}

pub(crate) mod look;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
