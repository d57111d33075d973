//! The sink as the engine sees it: fence, then write. Drives what `plan` and `settle` decide.

use super::lane::LaneProducer;
use super::murmur::partition_of_key;
use super::plan::{Piece, cut};
use super::progress::Mark;
use super::scan::Scanner;
use super::settings::Settings;
use super::settle::Settled;
use super::topics;
use crate::ids::Lane;
use crate::random;
use crate::sinks::resume::{Resume, digest, resume};
use crate::sinks::{Identity, LaneTick, Progress, Row, Writer};
use crate::{Error, Kind, Result};
use std::collections::BTreeMap;

/// A Kafka topic as a sink, exactly once.
pub struct Kafka {
    settings: Settings,
    sink: String,
    retired: bool,
    /// For how many lanes the topics were checked; topics are not unmade while a sink runs.
    checked: u16,
    /// The lanes, from a fence to the first failure after it.
    held: Option<Held>,
}

struct Held {
    identity: Identity,
    partitions: i32,
    lanes: Vec<HeldLane>,
}

/// A lane whose mark is committed.
struct Taken {
    producer: LaneProducer,
    mark: Mark,
    /// The offset of the mark.
    at: u64,
}

struct HeldLane {
    producer: LaneProducer,
    progress: Option<Progress>,
}

impl Kafka {
    /// The sink named `sink` of the job, to the topic that `settings` name. Connects to nothing yet.
    pub fn new(settings: Settings, sink: impl Into<String>) -> Kafka {
        Kafka { settings, sink: sink.into(), retired: false, checked: 0, held: None }
    }

    /// A sink that the program no longer has: it can be fenced, and its topic of rows need not exist any more.
    pub fn retired(settings: Settings, sink: impl Into<String>) -> Kafka {
        Kafka { retired: true, ..Kafka::new(settings, sink) }
    }

    fn place(&self, lane: Lane) -> String {
        format!("kafka topic {} sink {} lane {}", self.settings.topic, self.sink, lane.0)
    }

    /// Takes one lane over and marks it.
    fn take(&self, identity: &Identity, lane: Lane, progress_topic: &str) -> Result<Taken> {
        let (id, sink) = (format!("{}.{}.{}", identity.job, self.sink, lane.0), &self.sink);
        let phase = |phase: &str| {
            tracing::debug!(target: "tidemark::phase", phase, sink, lane = lane.0);
        };
        phase("sink-lane-take");
        let place = self.place(lane);
        let mut producer = LaneProducer::init(&self.settings, place, &id, progress_topic, lane)?;
        phase("sink-lane-taken");
        let mark = Mark::new(identity, &self.sink, lane, random::nonce());
        let at = producer.commit_mark(&mark)?;
        phase("sink-lane-marked");
        Ok(Taken { producer, mark, at })
    }

    /// Takes all lanes over, each on a thread of its own since each waits for the broker several times.
    fn take_all(
        &self,
        identity: &Identity,
        lanes: u16,
        progress_topic: &str,
    ) -> Result<Vec<Taken>> {
        let hearer = tracing::dispatcher::get_default(Clone::clone);
        let take = |lane| {
            let take = || self.take(identity, Lane(lane), progress_topic);
            tracing::dispatcher::with_default(&hearer, take)
        };
        std::thread::scope(|scope| {
            let takers: Vec<_> = (0..lanes).map(|lane| scope.spawn(move || take(lane))).collect();
            let taken = takers.into_iter().map(|taker| {
                let died =
                    || Error::internal(format!("{}: taking a lane panicked", self.describe()));
                taker.join().map_err(|_| died())?
            });
            taken.collect()
        })
    }

    /// Reads the progress of a lane that was taken.
    fn progress(
        &self,
        identity: &Identity,
        taken: &Taken,
        progress_topic: &str,
        scanner: &Scanner,
    ) -> Result<Option<Progress>> {
        let (place, at) = (self.place(taken.mark.lane), taken.at);
        let error = match scanner.settled(progress_topic, &taken.mark, at)? {
            Settled::Own(progress) => return Ok(progress),
            Settled::Unmarked => Error::new(
                Kind::Retry,
                format!(
                    "{place}: the mark at offset {at} of {progress_topic} is gone: the lane was taken again"
                ),
            ),
            Settled::Fenced(generation) => Error::new(
                Kind::Fenced,
                format!(
                    "{place}: generation {generation} has it, this is generation {}",
                    identity.generation
                ),
            ),
            Settled::Foreign { job, sink } => Error::config(format!(
                "{place}: progress topic {progress_topic} belongs to job {job}, sink {sink}; choose another for this sink"
            )),
            Settled::Twin(nonce) => Error::config(format!(
                "{place}: another generation {} (nonce {nonce}) has used progress topic {progress_topic}: the job's store was lost or \
                 replaced; bring it back, or give the job another name",
                identity.generation
            )),
        };
        Err(error)
    }
}

impl Held {
    /// One transaction of a lane: rows and, behind those of each tick, its progress.
    fn transact(&mut self, sink: &str, ticks: &[&LaneTick], pieces: &[Piece]) -> Result<()> {
        let Some(first) = pieces.first() else { return Ok(()) };
        let lane = ticks[first.tick].lane;
        let tick = pieces.last().map_or(0, |piece| ticks[piece.tick].tick);
        let phase = |phase: &str| {
            tracing::debug!(target: "tidemark::phase", phase, sink, lane = lane.0, tick);
        };
        let Held { identity, partitions, lanes } = self;
        let HeldLane { producer, progress } = &mut lanes[usize::from(lane.0)];
        phase("sink-transaction-begin");
        let until = producer.deadline();
        producer.begin()?;
        let mut newest = progress.clone();
        for piece in pieces {
            let tick = ticks[piece.tick];
            // What is committed of a torn tick was checked to be its first rows.
            let before = newest.take().filter(|p| p.tick == tick.tick).map_or(0, |p| p.digest);
            let rows = &tick.rows[piece.from..piece.to];
            for row in rows {
                producer.send_row(row, tick.tick, partition_of(row, *partitions), until)?;
            }
            let sum = digest(before, rows);
            let progress = Progress::of(identity, sink, tick, piece.to, sum);
            producer.send_progress(&progress, until)?;
            newest = Some(progress);
        }
        phase("sink-transaction-rows");
        producer.flush(until)?;
        phase("sink-transaction-commit");
        producer.commit()?;
        phase("sink-transaction-committed");
        *progress = newest;
        Ok(())
    }
}

/// The partition of a row: by its key as the Java client does, without one by its shard, so that a replay chooses alike.
fn partition_of(row: &Row, partitions: i32) -> i32 {
    match &row.key {
        Some(key) => partition_of_key(key, partitions),
        None => i32::from(row.shard) % partitions,
    }
}

impl Writer for Kafka {
    fn describe(&self) -> String {
        format!("kafka topic {}", self.settings.topic)
    }

    fn fence(&mut self, identity: &Identity, lanes: u16) -> Result<Vec<Option<Progress>>> {
        self.held = None;
        self.settings.check()?;
        let progress_topic = self.settings.progress_topic(&identity.job, &self.sink);
        let scanner = Scanner::new(&self.settings, &self.describe())?;
        if self.checked < lanes {
            topics::prepare(&scanner, &self.settings, &progress_topic, lanes, self.retired)?;
            self.checked = lanes;
        }
        let partitions =
            if self.retired { 0 } else { topics::partitions(&scanner, &self.settings)? };
        let mut held = Vec::with_capacity(usize::from(lanes));
        for taken in self.take_all(identity, lanes, &progress_topic)? {
            let progress = self.progress(identity, &taken, &progress_topic, &scanner)?;
            held.push(HeldLane { producer: taken.producer, progress });
        }
        // A consumer takes a tenth of a second to close, for which nobody need wait.
        std::thread::spawn(move || drop(scanner));
        let progress = held.iter().map(|lane| lane.progress.clone()).collect();
        self.held = Some(Held { identity: identity.clone(), partitions, lanes: held });
        Ok(progress)
    }

    fn write(&mut self, ticks: &[LaneTick]) -> Result<()> {
        let describe = self.describe();
        let held = self.held.as_mut().filter(|held| held.partitions > 0).ok_or_else(|| {
            Error::internal(format!(
                "{describe}: written to without a fence after start or failure"
            ))
        })?;
        let mut by_lane: BTreeMap<Lane, Vec<&LaneTick>> = BTreeMap::new();
        for tick in ticks {
            by_lane.entry(tick.lane).or_default().push(tick);
        }
        // All is checked before anything is written.
        let mut planned = Vec::new();
        for (lane, ticks) in by_lane {
            let known = held.lanes.get(usize::from(lane.0)).ok_or_else(|| {
                Error::internal(format!("{describe}: lane {} was never fenced", lane.0))
            })?;
            let mut progress = known.progress.clone();
            let mut rest = Vec::new();
            if let Some(pair) = ticks.windows(2).find(|pair| pair[0].tick >= pair[1].tick) {
                return Err(Error::internal(format!(
                    "{describe}: lane {}: tick {} was given after tick {}",
                    lane.0, pair[1].tick, pair[0].tick
                )));
            }
            for (index, tick) in ticks.iter().enumerate() {
                if let Resume::From(from) = resume(&self.sink, progress.as_ref(), tick)? {
                    rest.push((index, from, tick.rows.len()));
                    progress = None;
                }
            }
            planned.push((ticks, cut(rest, self.settings.chunk_rows)));
        }
        for (ticks, transactions) in planned {
            for pieces in transactions {
                let done =
                    self.held.as_mut().expect("is held").transact(&self.sink, &ticks, &pieces);
                if let Err(error) = done {
                    self.let_go(&error, ticks[pieces[0].tick].lane);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl Kafka {
    /// Drops every producer: none is used after anything but a positive commit.
    fn let_go(&mut self, error: &Error, lane: Lane) {
        let Some(held) = self.held.take() else { return };
        // Nobody will fence the lane again soon if the rows themselves are at fault.
        if matches!(error.kind(), Kind::Input | Kind::Config) {
            let at_fault = held.lanes.into_iter().nth(usize::from(lane.0));
            if let Some(lane) = at_fault {
                lane.producer.give_up();
            }
        }
    }
}
