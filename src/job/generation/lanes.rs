//! Sinks and their lanes at the change of a generation: declared, fenced, and what they have reached. Pure.

use super::Refusal;
use super::change::{OnChange, first_image};
use crate::ids::{Generation, Lane, Nonce, Tick};
use crate::sinks::Progress;
use crate::ticks::record::{Open, SinkDecl};
use std::collections::BTreeMap;

/// The key of a sink's address that says which connector it has. The same name on another connector is another sink.
pub const CONNECTOR: &str = "connector";

/// A sink of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// The number of its lanes.
    pub lanes: u16,
    /// As in [`SinkDecl`].
    pub address: BTreeMap<String, String>,
    /// For the sink of a table, what happens to it when another program goes on; `None` for a stream's, which just goes on.
    pub change: Option<OnChange>,
}

impl Wanted {
    /// The declaration in force of the sink that this one goes on with, whatever the number of its lanes.
    pub(super) fn before<'a>(&self, in_force: Option<&'a Open>) -> Option<&'a SinkDecl> {
        let connector = self.address.get(CONNECTOR);
        let mut sinks = in_force?.sinks.iter();
        sinks.find(|s| s.live && s.name == self.name && s.address.get(CONNECTOR) == connector)
    }
}

/// What fencing one entry of [`to_fence`] has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The entry.
    pub sink: SinkDecl,
    /// The progress of each of its lanes, in their order.
    pub progress: Vec<Option<Progress>>,
}

/// Whether both name the same lanes in the same place outside.
fn same_place(a: &SinkDecl, b: &SinkDecl) -> bool {
    a.name == b.name && a.address.get(CONNECTOR) == b.address.get(CONNECTOR)
}

/// The declaration in force that `sink` goes on with: same name, connector and number of lanes, and live. `None` if it begins anew.
pub fn in_force<'a>(in_force: Option<&'a Open>, sink: &SinkDecl) -> Option<&'a SinkDecl> {
    let mut sinks = in_force?.sinks.iter();
    sinks.find(|s| s.live && same_place(s, sink) && s.lanes == sink.lanes)
}

/// The sinks of the next open record (PROTOCOL 3, 10): what the program wants, going on as it is in force or else beginning with the
/// tick after `end`, with the whole table where [`first_image`] says so; and every other declaration that is known, no longer live, so that its lanes stay fenced.
///
/// An open that never had a tick is not in force: what it declared first is not owed, what it left out is not gone.
pub fn next_sinks(
    in_force_open: Option<&Open>,
    known: &[SinkDecl],
    wanted: &[Wanted],
    end: Tick,
    switches: bool,
) -> Vec<SinkDecl> {
    let live: Vec<_> = wanted
        .iter()
        .map(|wanted| {
            let mut sink = SinkDecl {
                name: wanted.name.clone(),
                lanes: wanted.lanes,
                first_tick: end + 1,
                live: true,
                address: wanted.address.clone(),
                image: first_image(wanted, in_force_open, end, switches),
            };
            if let Some(before) = in_force(in_force_open, &sink) {
                sink.first_tick = before.first_tick;
                sink.image = sink.image.or(before.image);
            }
            sink
        })
        .collect();
    let goes_on = |k: &SinkDecl| {
        live.iter().any(|l| same_place(l, k) && l.lanes == k.lanes && l.first_tick == k.first_tick)
    };
    let gone = known.iter().filter(|k| !goes_on(k)).map(|k| SinkDecl { live: false, ..k.clone() });
    gone.chain(live.iter().cloned()).collect()
}

/// What must be fenced (PROTOCOL 3): each sink of `known` once, with as many lanes as any of its declarations has, as its newest
/// declaration says where it is.
pub fn to_fence(known: &[SinkDecl]) -> Vec<SinkDecl> {
    let mut places: Vec<SinkDecl> = Vec::new();
    for sink in known {
        match places.iter_mut().find(|p| same_place(p, sink)) {
            Some(place) => {
                let lanes = place.lanes.max(sink.lanes);
                *place = SinkDecl { lanes, ..sink.clone() };
            }
            None => places.push(sink.clone()),
        }
    }
    places
}

/// Who has marked a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The generation.
    pub generation: Generation,
    /// Its nonce.
    pub nonce: Nonce,
}

/// What happened when a lane was taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fencing {
    /// One's own mark is committed; this is the one that was found there before.
    Marked(Option<Mark>),
    /// Somebody else has fenced the lane before one's own mark was committed.
    FencedMeanwhile,
}

/// What to do then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFence {
    /// The lane is held.
    Held,
    /// Another one leads, or will.
    Exit {
        /// Its generation.
        by: Generation,
    },
    /// Begin the lane again.
    Again,
}

/// PROTOCOL 3: a higher generation's mark ends it. Fenced in between: `newest_open`, looked up *after* that, decides.
pub fn after_fence(own: Mark, fencing: Fencing, newest_open: Generation) -> AfterFence {
    match fencing {
        Fencing::Marked(Some(found)) if found.generation > own.generation => {
            AfterFence::Exit { by: found.generation }
        }
        // One generation, two claimants: the store has lost a claim. Nobody can say who is right.
        Fencing::Marked(Some(found))
            if found.generation == own.generation && found.nonce != own.nonce =>
        {
            AfterFence::Exit { by: found.generation }
        }
        Fencing::Marked(_) => AfterFence::Held,
        Fencing::FencedMeanwhile if newest_open > own.generation => {
            AfterFence::Exit { by: newest_open }
        }
        Fencing::FencedMeanwhile => AfterFence::Again,
    }
}

/// The last tick that a progress covers whole.
pub fn whole(progress: &Progress) -> Tick {
    if progress.last { progress.tick } else { progress.tick.saturating_sub(1) }
}

/// What each lane of `sink` has reached, in the order of lanes: the last whole tick in it, at least the one before its first.
///
/// # Panics
/// If `held` has no entry for the sink: everything known is fenced.
pub fn reached(sink: &SinkDecl, held: &[Held]) -> Vec<(Lane, Tick)> {
    let progress = progress(sink, held).iter().map(|p| p.as_ref().map_or(0, whole));
    let nothing = sink.first_tick.saturating_sub(1);
    (0..).map(Lane).zip(progress.map(|whole| whole.max(nothing))).collect()
}

fn progress<'a>(sink: &SinkDecl, held: &'a [Held]) -> &'a [Option<Progress>] {
    let entry = held.iter().find(|h| same_place(&h.sink, sink)).expect("every sink was fenced");
    &entry.progress[..usize::from(sink.lanes)]
}

/// What a generation knows when it has read all progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// All is well.
    Fine {
        /// The least tick that all lanes of all live sinks have reached; E if there is none.
        least: Tick,
    },
    /// A newer generation is at work.
    Exit {
        /// Which.
        by: Generation,
    },
    /// It can't go on.
    Refuse(Refusal),
}

/// What [`check_progress`] goes by.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// One's own generation.
    pub own: Generation,
    /// The newest claim in the store, looked up *after* progress was read.
    pub newest_claim: Generation,
    /// E: the last counted tick before one's own open.
    pub end: Tick,
    /// What the log proves: [`crate::ticks::counts::Counter::progress_floor`].
    pub proven: Tick,
}

/// PROTOCOL 4: no lane may be beyond E (then a newer generation is at work, or the log has lost records), and none of a live sink may have
/// less than the log proves. A lane without progress has written nothing, which is right only before its first tick was proven.
pub fn check_progress(sinks: &[SinkDecl], held: &[Held], facts: Facts) -> Checked {
    for Held { sink, progress } in held {
        let written = (0..).map(Lane).zip(progress).filter_map(|(l, p)| p.as_ref().map(|p| (l, p)));
        for (lane, progress) in written {
            if progress.generation > facts.own {
                return Checked::Exit { by: progress.generation };
            }
            if progress.tick <= facts.end {
                continue;
            }
            if facts.newest_claim > facts.own {
                return Checked::Exit { by: facts.newest_claim };
            }
            let (sink, tick, end) = (sink.name.clone(), progress.tick, facts.end);
            return Checked::Refuse(Refusal::LogLost { sink, lane, tick, end });
        }
    }
    let mut least = facts.end;
    for sink in sinks.iter().filter(|s| s.live) {
        for ((lane, tick), progress) in reached(sink, held).into_iter().zip(progress(sink, held)) {
            if tick < facts.proven {
                return Checked::Refuse(Refusal::ProgressLost {
                    sink: sink.name.clone(),
                    lane,
                    reached: progress.as_ref().map(whole),
                    proven: facts.proven,
                });
            }
            least = least.min(tick);
        }
    }
    Checked::Fine { least }
}

#[cfg(test)]
mod tests;
