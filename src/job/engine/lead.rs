//! PROTOCOL "To lead", 1 to 4: claim, open, fence and mark, progress. What each step decides is pure ([`super::super::generation`]).

use super::super::claim::{self, Claimant};
use super::super::generation::change::{self, OnChange};
use super::super::generation::lanes::{
    self, Checked, Held, Wanted, check_progress, next_sinks, to_fence,
};
use super::super::generation::{
    MayLead, after_open, after_progress, before_claim, next_dropped, will_switch,
};
use super::super::patience::persist;
use super::super::skip::{self, Wish};
use super::{Connectors, OpenedSink, Options};
use crate::error::{Error, Kind, Result};
use crate::flow::Plan;
use crate::ids::Tick;
use crate::random;
use crate::sinks::{Identity, Progress, Writer};
use crate::state::store::Store;
use crate::ticks::counts::{Counter, Verdict};
use crate::ticks::log::{Log, append_and_count, read_and_count};
use crate::ticks::record::{Open, Record, SinkDecl};
use std::collections::BTreeMap;

type Writers = BTreeMap<String, Box<dyn Writer>>;

/// What the protocol's steps 1 to 5 have found.
pub(super) struct Claimed {
    pub(super) identity: Identity,
    pub(super) open: Open,
    pub(super) counter: Counter,
    pub(super) log: Box<dyn Log>,
    /// E.
    pub(super) end: Tick,
    pub(super) least: Tick,
    pub(super) writers: Writers,
    pub(super) held: Vec<Held>,
}

impl Claimed {
    /// Leaves a record out, of a tick that has read it or when it is read: nobody can show the tick any more but this generation, and nobody
    /// has. Gives the first tick without it.
    ///
    /// # Errors
    /// `Retry` if the record can't be left out any more, `Fenced` if a newer generation was there first; `Undecided` as the log says.
    pub(super) fn leave_out(&mut self, wish: &Wish, plan: &Plan) -> Result<Tick> {
        let sources: Vec<_> = plan.sources.iter().map(|source| source.name.as_str()).collect();
        // Judged again: others may have led between. A start without the wish is right then: the job goes on as it was.
        let read = skip::read(&self.counter, &sources, &wish.place, wish.stuck)
            .and_then(|read| {
                read.tick.map_or(Ok(()), |tick| skip::not_shown(tick, &self.held)).map(|()| read)
            })
            .map_err(|error| Error::new(Kind::Retry, error.message().to_owned()))?;
        let generation = self.identity.generation;
        let record = Record::Skip(skip::record(generation, &wish.place, read.tick));
        let verdicts = append_and_count(self.log.as_mut(), &mut self.counter, &[record])?;
        if verdicts.first() == Some(&Verdict::Counts) {
            return Ok(read.tick.unwrap_or(self.end + 1));
        }
        Err(Error::new(Kind::Fenced, format!("generation {generation} was overtaken; it ends")))
    }
}

/// PROTOCOL 1 to 4.
pub(super) fn claim_and_fence(
    mut log: Box<dyn Log>,
    store: &Store,
    options: &Options,
    plan: &Plan,
    opened: BTreeMap<String, OpenedSink>,
    connectors: &dyn Connectors,
) -> Result<Claimed> {
    let mut counter = Counter::new();
    persist("reading the tick log", options.start_time_max, || {
        read_and_count(log.as_mut(), &mut counter)
    })?;
    let wanted = wanted(&opened, plan, options);
    let (program, drop_state) = (&options.program, &options.drop_state);
    let switches = will_switch(program, drop_state, &counter);
    let base = match before_claim(program, drop_state, &counter) {
        MayLead::Yes { base } => base,
        MayLead::Exit { .. } => {
            return Err(Error::new(Kind::Retry, "the log went on; start again"));
        }
        MayLead::Refuse(refusal) => return Err(refusal.error()),
    };
    if let (true, Some(in_force)) = (switches, counter.in_force()) {
        let untold = change::untold(Some(in_force), &wanted);
        if !untold.is_empty() {
            return Err(change::refusal(&untold, &in_force.program));
        }
    }
    let nonce = random::nonce();
    let claimant = Claimant {
        nonce,
        log_id: log.log_id(),
        place: log.describe(),
        newest_open: counter.generation(),
    };
    let claim = persist("claiming a generation", options.start_time_max, || {
        claim::claim(store, &claimant)
    })?;
    let generation = claim.generation;
    let open = Open {
        generation,
        nonce,
        log_id: log.log_id(),
        program: options.program.clone(),
        base,
        dropped: next_dropped(program, drop_state, &counter),
        sinks: next_sinks(
            counter.in_force(),
            counter.sinks(),
            &wanted,
            counter.last_tick(),
            switches,
        ),
    };
    let verdicts = append_and_count(log.as_mut(), &mut counter, &[Record::Open(open.clone())])?;
    if verdicts.first() != Some(&Verdict::Counts) {
        return Err(Error::new(
            Kind::Fenced,
            format!("generation {generation} was overtaken; it ends"),
        ));
    }
    lead_or_end(after_open(&open, &counter))?;
    let identity =
        Identity { job: options.job.clone(), program: options.program.clone(), generation, nonce };
    // At least once: a sink that does not remember gets again what came after the newest snapshot.
    let newest = counter.snapshots().iter().map(|s| s.tick).max().unwrap_or(0);
    let resumed = Progress::whole(&identity, newest);
    let (writers, held) = fence(&counter, &identity, resumed, opened, options, connectors)?;
    let newest =
        persist("reading the newest claim", options.start_time_max, || claim::newest(store))?;
    let newest = newest.map_or(generation, |claim| claim.generation);
    let end = counter.last_tick();
    let facts = lanes::Facts {
        own: generation,
        newest_claim: newest,
        end,
        proven: counter.progress_floor(),
    };
    let least = match check_progress(counter.sinks(), &held, facts) {
        Checked::Fine { least } => least,
        Checked::Exit { by } => {
            return Err(Error::new(
                Kind::Fenced,
                format!("generation {by} is at work; this one ends"),
            ));
        }
        Checked::Refuse(refusal) => return Err(refusal.error()),
    };
    lead_or_end(after_progress(&open, &counter, &held))?;
    Ok(Claimed { identity, open, counter, log, end, least, writers, held })
}

/// PROTOCOL 3 and 4 for every sink, all at once: each is another system, or another part of one, and answers in its own time.
fn fence(
    counter: &Counter,
    identity: &Identity,
    resumed: Progress,
    opened: BTreeMap<String, OpenedSink>,
    options: &Options,
    connectors: &dyn Connectors,
) -> Result<(Writers, Vec<Held>)> {
    let mut writers: Writers = opened.into_iter().map(|(name, sink)| (name, sink.writer)).collect();
    let mut fencing = Vec::new();
    for sink in to_fence(counter.sinks()) {
        let own = if sink.live { writers.remove(&sink.name) } else { None };
        let writer = own.map_or_else(|| connectors.retired(&sink), Ok)?;
        fencing.push((sink, writer));
    }
    let fence = |sink: &SinkDecl, writer: &mut Box<dyn Writer>| {
        let what = format!("taking over sink {}", sink.name);
        let progress =
            persist(&what, options.start_time_max, || writer.fence(identity, sink.lanes))
                .map_err(|error| error.at(&what))?;
        let remembers = writer.remembers();
        let held = if remembers { progress } else { vec![Some(resumed.clone()); progress.len()] };
        Ok(Held { sink: sink.clone(), progress: held })
    };
    let held = std::thread::scope(|scope| {
        let threads: Vec<_> =
            fencing.iter_mut().map(|(sink, writer)| scope.spawn(|| fence(sink, writer))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err(Error::internal("taking a sink over panicked")))
        };
        threads.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;
    let live = fencing.into_iter().filter(|(sink, _)| sink.live);
    writers.extend(live.map(|(sink, writer)| (sink.name, writer)));
    Ok((writers, held))
}

/// The sinks of the program, each with what it does at a change.
fn wanted(opened: &BTreeMap<String, OpenedSink>, plan: &Plan, options: &Options) -> Vec<Wanted> {
    let wanted = |(name, sink): (&String, &OpenedSink)| {
        let of_table = plan.sinks.iter().any(|s| s.name == *name && s.of_table);
        let told = options.sink_options.get(name).copied().unwrap_or_default().on_change;
        let change = match told {
            // Nobody has what was printed before: who reads now begins with the whole table.
            OnChange::Refuse if !sink.writer.remembers() => OnChange::Rewrite,
            told => told,
        };
        let (name, address) = (name.clone(), sink.address.clone());
        Wanted { name, lanes: sink.lanes, address, change: of_table.then_some(change) }
    };
    opened.iter().map(wanted).collect()
}

fn lead_or_end(verdict: MayLead) -> Result<()> {
    match verdict {
        MayLead::Yes { .. } => Ok(()),
        MayLead::Exit { seen, end } => Err(Error::new(
            Kind::Fenced,
            format!(
                "the log went on from tick {seen} to {end} while this generation was opened; start again"
            ),
        )),
        MayLead::Refuse(refusal) => Err(refusal.error()),
    }
}
