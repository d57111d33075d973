//! A tick run again beside its job, as the log has it: over a copy of the log in memory, with sinks that throw away. Nothing here
//! writes to the job's store, log, sinks or sources, and nothing claims a generation of it.
//!
//! The whole engine runs, over a [`Shadow`]: the counted records up to the tick, and the newest snapshot below it. So what is seen is what
//! a start of the job would meet. A tick that panicked before it was recorded is the one after the log's last: it is read from the
//! sources, as a start would read it.

use super::deaths::{self, Death};
use super::engine::{self, Connectors, OpenedSink, Options, Parts};
use super::setup::{JobEvent, ManualTick, Pacing, Size};
use super::shared::Shared;
use super::skip::{self, Place};
use crate::error::{Error, Kind, Result};
use crate::flow::{Build, Plan, SinkPlan, SourcePlan};
use crate::ids::Tick;
use crate::sinks::{Identity, LaneTick, Progress, Writer};
use crate::sources::{Partition, Reader, Transport, Waker};
use crate::state::manifest::Manifest;
use crate::state::store::Store;
use crate::telemetry::status::State;
use crate::ticks::counts::{Counter, Position, Verdict};
use crate::ticks::log::Log;
use crate::ticks::log::memory::MemoryLog;
use crate::ticks::record::{Record, SinkDecl, TickRecord};
use crate::time::clock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often it is looked whether the tick is through.
const LOOK: Duration = Duration::from_millis(2);
/// Snapshots are taken where the log says so only, and there they are not taken again.
const NEVER: Duration = Duration::from_secs(1 << 30);

/// What a tick depends on.
pub(crate) struct Shadow {
    /// The tick.
    pub(crate) tick: Tick,
    /// The tick of the snapshot; 0 if there is none and the log has all.
    pub(crate) from: Tick,
    /// The tick's record; `None` if it is the one after the log's last.
    pub(crate) record: Option<TickRecord>,
    records: Vec<Record>,
    /// What is known of partitions and sinks at the tick.
    pub(crate) counter: Counter,
    /// The snapshot's objects.
    objects: Vec<(String, Vec<u8>)>,
    manifest: Option<Manifest>,
}

impl Shadow {
    /// The part of `log` that tick `tick` depends on, with the objects in `store` that a restore needs.
    ///
    /// # Errors
    /// `Config` if the log does not have the tick (any more), `Corrupt` or `Retry` as the store says.
    pub(crate) fn of(log: &[(Position, Record)], tick: Tick, store: &Store) -> Result<Shadow> {
        let mut all = Counter::new();
        let counted: Vec<_> = log
            .iter()
            .filter(|(position, record)| all.feed(*position, record) == Verdict::Counts)
            .map(|(_, record)| record)
            .collect();
        let last = all.last_tick();
        if tick == 0 || tick > last + 1 {
            return Err(Error::config(format!(
                "tick {tick} is not in the tick log, which ends at tick {last}; name a tick up to {}, which is the one that comes next",
                last + 1
            )));
        }
        let snapshots = all.snapshots().iter();
        let snapshot = snapshots.filter(|s| s.tick < tick).max_by_key(|s| s.tick);
        let (from, reaches) = (snapshot.map_or(0, |s| s.tick), all.reaches_back_to());
        if from < reaches {
            let oldest = all.snapshots().iter().map(|s| s.tick).filter(|t| *t >= reaches).min();
            return Err(Error::config(format!(
                "tick {tick} can't be run again: the tick log begins after tick {reaches}{}",
                oldest.map_or_else(String::new, |oldest| format!(
                    ", and the oldest snapshot there is that of tick {oldest}; name a tick above it"
                ))
            )));
        }
        let (mut objects, mut manifest) = (Vec::new(), None);
        if let Some(snapshot) = snapshot {
            let read = Manifest::read(store, &snapshot.manifest)?;
            for name in read.segments().chain([snapshot.manifest.as_str()]) {
                let gone = || Error::corrupt(format!("{name} in {} is gone", store.url()));
                objects.push((name.to_owned(), store.get(name)?.ok_or_else(gone)?.to_vec()));
            }
            manifest = Some(read);
        }
        let mut records = Vec::new();
        for (place, record) in counted.into_iter().enumerate() {
            match record {
                Record::Snapshot(own) if Some(own) == snapshot => records.push(record.clone()),
                Record::State(_) if place == 0 => records.push(record.clone()),
                Record::Snapshot(_) | Record::State(_) | Record::Drop(_) => {}
                Record::Tick(of) if of.decision.tick > tick => {}
                _ => records.push(record.clone()),
            }
        }
        let mut counter = Counter::new();
        for (position, record) in (0..).zip(&records) {
            counter.feed(position, record);
        }
        let record = counter.ticks_after(tick - 1)?.next().cloned();
        Ok(Shadow { tick, from, record, records, counter, objects, manifest })
    }

    /// The next offset of each partition before the tick: (source, partition, offset).
    pub(crate) fn offsets(&self) -> Result<Vec<(String, String, u64)>> {
        let mut next = BTreeMap::new();
        for decl in self.counter.inlets() {
            next.insert(decl.inlet, (decl.source.clone(), decl.partition.clone(), decl.start));
        }
        let states = self.manifest.iter().flat_map(|manifest| &manifest.facts.inlets);
        let restored = states.map(|at| (at.decl.inlet, at.next));
        let ticks = self.counter.ticks_after(self.from)?.filter(|t| t.decision.tick < self.tick);
        let read = ticks.flat_map(|tick| tick.ranges.iter().map(|range| (range.inlet, range.to)));
        for (inlet, to) in restored.chain(read) {
            if let Some(at) = next.get_mut(&inlet) {
                at.2 = to;
            }
        }
        Ok(next.into_values().collect())
    }
}

/// What came of running the tick.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It got through in so long: rows given to each sink.
    Through(BTreeMap<String, u64>, Duration),
    /// It, or a tick before it, ended in a panic.
    Died(Death),
    /// It ended by an error.
    Failed(Error),
}

/// How ticks are run again.
pub(crate) struct Rerun<'a> {
    pub(crate) build: Build,
    pub(crate) plan: &'a Plan,
    pub(crate) options: &'a Options,
    pub(crate) connectors: Arc<dyn Connectors>,
    pub(crate) shadow: &'a Shadow,
    /// Up to where a tick that is not recorded reads: (source, partition, next offset).
    pub(crate) ends: Vec<(String, String, u64)>,
}

impl Rerun<'_> {
    /// Restores, follows the log, and runs the tick without these records.
    ///
    /// # Errors
    /// What kept it from beginning.
    pub(crate) fn run(&self, leave_out: &[&Place]) -> Result<Outcome> {
        let Shadow { tick, counter, records, objects, .. } = self.shadow;
        let store = Store::in_memory()?;
        for (name, bytes) in objects {
            store.put(name, bytes.clone())?;
        }
        let log = MemoryLog::new();
        let mut handle = log.handle();
        handle.append(records)?;
        if let Some(generation) = counter.generation() {
            let read = self.shadow.record.as_ref().map(|record| record.decision.tick);
            let skip = |place: &&Place| Record::Skip(skip::record(generation, place, read));
            handle.append(&leave_out.iter().map(skip).collect::<Vec<_>>())?;
        }
        let rows = Rows::default();
        // A mended build stands for the program of the tick: it must not be taken for another that goes on from a clean end.
        let open = match self.shadow.record {
            Some(_) => counter.in_force(),
            None => counter.newest(),
        };
        let program =
            open.map_or_else(|| self.options.program.clone(), |open| open.program.clone());
        let mut options = Options {
            program,
            size: Size::alone(self.options.size.workers),
            snapshot_interval: NEVER,
            exit_when_finished: false,
            pacing: Pacing::Manual,
            drop_state: Vec::new(),
            memory_budget: None,
            ..self.options.clone()
        };
        // One tick after the other: one that panics is the one that is open.
        options.bounds.ahead_max = 1;
        let shared = Shared::new(&options.job, &options.program, options.size.peers());
        let outsides = Discarding {
            connectors: Arc::clone(&self.connectors),
            sinks: counter.sinks().to_vec(),
            tick: *tick,
            rows: rows.clone(),
        };
        let wall = Arc::new(clock::System);
        let parts = Parts::alone(Box::new(log.handle()), store.clone(), Arc::new(outsides), wall);
        let running = engine::start(self.build, self.plan, options, parts, Arc::clone(&shared))?;
        let (mut asked, mut begun) = (self.shadow.record.is_some(), clock::instant());
        let mut time = None;
        loop {
            if running.is_over() {
                let error = running.error();
                // What it says is the error.
                let _ = running.wait();
                let error = error.unwrap_or_else(|| Error::internal("the replay ended by itself"));
                return Ok(match deaths::newest(&store)? {
                    Some(death) => Outcome::Died(death),
                    None => Outcome::Failed(error),
                });
            }
            let released = shared.released().now();
            if released >= *tick {
                time.get_or_insert_with(|| clock::instant() - begun);
            }
            if let (Some(time), true) = (time, running.sinks_have(*tick)) {
                let rows = rows.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
                running.crash();
                return Ok(Outcome::Through(rows, time));
            }
            if !asked && shared.status().state == State::Running {
                asked = true;
                begun = clock::instant();
                let ticks = vec![ManualTick { ends: self.ends.clone(), ..ManualTick::default() }];
                running.send(JobEvent::Ticks { ticks, open: 1 });
            }
            if asked && released + 1 < *tick {
                begun = clock::instant();
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// Rows given to each sink at the tick.
#[derive(Clone, Default)]
struct Rows(Arc<Mutex<BTreeMap<String, u64>>>);

/// The job's sources, and sinks that throw away.
struct Discarding {
    connectors: Arc<dyn Connectors>,
    sinks: Vec<SinkDecl>,
    tick: Tick,
    rows: Rows,
}

impl Discarding {
    fn writer(&self, sink: &str) -> Box<dyn Writer> {
        Box::new(Discard { sink: sink.to_owned(), tick: self.tick, rows: self.rows.clone() })
    }
}

impl Connectors for Discarding {
    fn source(&self, plan: &SourcePlan) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(Quiet(self.connectors.source(plan)?)))
    }

    fn sink(&self, plan: &SinkPlan) -> Result<OpenedSink> {
        let known = self.sinks.iter().find(|sink| sink.live && sink.name == plan.name);
        let lanes = known.map_or(1, |sink| sink.lanes);
        let address = known.map(|sink| sink.address.clone()).unwrap_or_default();
        Ok(OpenedSink { writer: self.writer(&plan.name), lanes, address })
    }

    fn retired(&self, sink: &SinkDecl) -> Result<Box<dyn Writer>> {
        Ok(self.writer(&sink.name))
    }
}

/// Counts the rows of one tick.
struct Discard {
    sink: String,
    tick: Tick,
    rows: Rows,
}

impl Writer for Discard {
    fn describe(&self) -> String {
        format!("nowhere (sink {}, replayed)", self.sink)
    }

    fn fence(&mut self, _: &Identity, lanes: u16) -> Result<Vec<Option<Progress>>> {
        Ok(vec![None; usize::from(lanes)])
    }

    fn remembers(&self) -> bool {
        false
    }

    fn write(&mut self, ticks: &[LaneTick]) -> Result<()> {
        let of_it = ticks.iter().filter(|tick| tick.tick == self.tick);
        let rows: u64 = of_it.map(|tick| tick.rows.len() as u64).sum();
        let mut all = self.rows.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry(self.sink.clone()).or_default() += rows;
        Ok(())
    }
}

/// A source that is told nothing.
pub(crate) struct Quiet(pub(crate) Arc<dyn Transport>);

impl Transport for Quiet {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn discover(&self) -> Result<Vec<Partition>> {
        self.0.discover()
    }

    fn resumed(&self) {
        self.0.resumed();
    }

    fn identity(&self) -> Option<String> {
        self.0.identity()
    }

    fn open(&self, waker: Waker) -> Result<Box<dyn Reader>> {
        self.0.open(waker)
    }
}

/// Whether an error says that the tick could not be run at all, not that something is wrong with it.
pub(crate) fn is_outside(error: &Error) -> bool {
    matches!(error.kind(), Kind::Retry | Kind::Undecided | Kind::Config | Kind::SourceChanged)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::ticks::fixtures::*;

    fn shadow(records: &[Record], tick: Tick) -> Result<Shadow> {
        let log: Vec<_> = (0..).zip(records.iter().cloned()).collect();
        Shadow::of(&log, tick, &Store::in_memory().unwrap())
    }

    #[test]
    fn a_shadow_ends_at_its_tick_and_has_no_later_snapshot() {
        let log =
            [open(1), tick(1, 1), tick(1, 2), tick(9, 3), snapshot(1, 2), tick(1, 3), open(2)];
        let of = shadow(&log, 2).unwrap();
        assert_eq!(of.records, [open(1), tick(1, 1), tick(1, 2), open(2)]);
        assert_eq!((of.from, of.record.map(|r| r.decision.tick)), (0, Some(2)));
        // The one after the last has no record.
        let log = [open(1), tick(1, 1), open(2)];
        let next = shadow(&log, 2).unwrap();
        assert_eq!((next.records, next.record), (log.to_vec(), None));
    }

    #[test]
    fn what_the_log_does_not_have_is_refused() {
        let log = [open(1), tick(1, 1), tick(1, 2)];
        for (log, tick, parts) in [
            (&log[..], 4, ["ends at tick 2", "up to 3"]),
            (&log[..], 0, ["tick 0 is not in", "up to 3"]),
            (&[state(1, 7), tick(1, 8)], 7, ["can't be run again", "begins after tick 7"]),
        ] {
            let Err(error) = shadow(log, tick) else { panic!("tick {tick} was taken") };
            assert_eq!(error.kind(), Kind::Config);
            for part in parts {
                assert!(error.message().contains(part), "no {part:?} in {error}");
            }
        }
    }
}
