//! Worker 0's part: it opens ticks, composes their records, and decides what happens at which tick.
//!
//! ```text
//! follow (recorded ticks, to their targets) -> lead (clock decides) -> stop tick -> end
//! opened -> read by all -> composed -> appended -> counts (durable) -> released
//! ```

use super::due::Since;
use super::inlets::Inlets;
use super::memory::Pressure;
use super::pace::{Facts, Pace, interval, pace};
use super::setup::{JobEvent, ManualTick, Pacing, Setup, TickFacts};
use super::shared::{Done, Ordered};
use crate::error::{Error, Kind, Result};
use crate::ids::{Inlet, Tick};
use crate::state::manifest::ManifestFacts;
use crate::ticks::control::{Control, Opening};
use crate::ticks::log::thread::{Appender, Event as LogEvent};
use crate::ticks::record::{
    Command, Decision, InletDecl, Range, Record, SnapshotRecord, TickRecord,
};
use crate::time::clock;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

type Reply = oneshot::Sender<Result<Done>>;

pub(crate) struct Coordinator {
    setup: Arc<Setup>,
    events: Receiver<JobEvent>,
    appender: Appender,
    follow: VecDeque<TickRecord>,
    /// The last tick of the log when this generation began.
    end: Tick,
    /// The last tick opened.
    opened: Tick,
    /// The last tick whose record is composed.
    composed: Tick,
    /// The last tick through the main dataflow.
    complete: Tick,
    openings: VecDeque<Opening>,
    inlets: Inlets,
    /// Partitions that wait to be declared at the next tick.
    found: Vec<(String, crate::sources::Partition)>,
    /// Watermarks that the last opening had.
    decided: BTreeMap<String, i64>,
    last_opening: Instant,
    next_due: Duration,
    interval: Duration,
    /// What each worker had idled when the last tick was opened.
    idled: Vec<Duration>,
    /// When the newest snapshot was decided, and what has come since.
    snapshot_at: Instant,
    since: Since,
    memory: Pressure,
    /// The snapshot that is being written.
    snapshot: Option<Tick>,
    facts: BTreeMap<Tick, ManifestFacts>,
    commands: Receiver<Ordered>,
    waiting: VecDeque<Ordered>,
    /// Commands that act at a tick which is not released yet.
    acting: Vec<(Tick, Reply)>,
    /// Savepoints by name whose snapshot does not exist yet.
    savepoints: BTreeMap<String, Vec<Reply>>,
    /// Those whose snapshot exists while a sink does not have all of its tick yet: none of them is a place to begin from so far.
    kept: Vec<(Done, Reply)>,
    manual: VecDeque<ManualTick>,
    /// Manual pacing: how many ticks may be opened and not composed.
    manual_open: u64,
    stop: Stop,
    counted: Tick,
    leads: bool,
}

/// How far a clean end has come.
#[derive(Default)]
struct Stop {
    wanted: bool,
    replies: Vec<Reply>,
    /// The stop tick, once opened.
    tick: Option<Tick>,
    /// Whether its snapshot counts.
    kept: bool,
    since: Option<Instant>,
}

impl Coordinator {
    pub(crate) fn new(setup: Arc<Setup>) -> Coordinator {
        let lead = setup.lead.lock().unwrap_or_else(PoisonError::into_inner).take();
        let lead = lead.expect("one coordinator a generation");
        let follow: VecDeque<_> = lead.follow.into();
        let end = follow.back().map_or(setup.start.tick, |record| record.decision.tick);
        let now = clock::instant();
        Coordinator {
            events: lead.events,
            appender: lead.appender,
            follow,
            end,
            opened: setup.start.tick,
            composed: setup.start.tick,
            complete: setup.start.tick,
            openings: VecDeque::new(),
            inlets: Inlets::new(&setup.start.inlets, &setup.lags),
            found: Vec::new(),
            decided: setup.start.watermarks.clone(),
            last_opening: now,
            next_due: Duration::ZERO,
            interval: setup.bounds.interval_min,
            idled: setup.idle.all(),
            snapshot_at: now,
            since: Since::start(),
            memory: Pressure::new(setup.memory_budget),
            snapshot: None,
            facts: BTreeMap::new(),
            commands: lead.commands,
            waiting: VecDeque::new(),
            acting: Vec::new(),
            savepoints: BTreeMap::new(),
            kept: Vec::new(),
            manual: VecDeque::new(),
            manual_open: 1,
            stop: Stop::default(),
            counted: end,
            leads: false,
            setup,
        }
    }

    /// How long worker 0 may park.
    pub(crate) fn next_due(&self) -> Duration {
        self.next_due
    }

    /// One step; whether something was done.
    pub(crate) fn step(
        &mut self,
        control: &mut Control,
        complete: Tick,
        released: Tick,
    ) -> Result<bool> {
        if self.opened == self.setup.start.tick && self.composed == self.setup.start.tick {
            for (source, watermark) in &self.setup.start.watermarks {
                control.set_watermark(source, *watermark);
            }
            control.set_durable(self.setup.start.tick);
        }
        self.complete = complete;
        while let Ok(event) = self.events.try_recv() {
            self.hear(event, control)?;
        }
        while let Ok(ordered) = self.commands.try_recv() {
            match ordered.command {
                Command::Stop => {
                    self.stop.wanted = true;
                    self.stop.replies.push(ordered.reply);
                }
                _ => self.waiting.push_back(ordered),
            }
        }
        let mut busy = false;
        while self.composed < self.opened && control.is_read(self.composed + 1) {
            self.compose(control)?;
            busy = true;
        }
        busy |= self.open_next(control, complete, released)?;
        self.answer(released);
        self.finish_stop(released);
        let (inlets, sinks) = (&self.inlets, &self.setup.sinks);
        self.setup.observer.show(self.opened, self.counted, inlets, &self.decided, sinks);
        Ok(busy)
    }

    fn hear(&mut self, event: JobEvent, control: &mut Control) -> Result<()> {
        match event {
            JobEvent::Log(LogEvent::Counted(record)) => self.counted(record, control),
            JobEvent::Log(LogEvent::Deposed { by }) => {
                return Err(Error::new(
                    Kind::Fenced,
                    format!(
                        "generation {by} leads now; this was generation {}, it ends",
                        self.setup.identity.generation
                    ),
                ));
            }
            JobEvent::Log(LogEvent::Failed(error)) | JobEvent::SnapshotFailed(error) => {
                return Err(error);
            }
            JobEvent::Merged => self.since.merged(),
            JobEvent::SnapshotWritten { tick, manifest, savepoint, merging } => {
                if merging {
                    self.since.merged();
                }
                let generation = self.setup.identity.generation;
                tracing::debug!(target: "tidemark::phase", phase = "snapshot-written", tick);
                self.appender.append(Record::Snapshot(SnapshotRecord {
                    generation,
                    tick,
                    manifest,
                    savepoint,
                }))?;
            }
            JobEvent::Discovered { source, partitions } => {
                let new = partitions.into_iter().map(|p| (source.clone(), p));
                let new = new.filter(|(source, p)| self.inlets.number(source, &p.name).is_none());
                for found in new.collect::<Vec<_>>() {
                    if !self.found.contains(&found) {
                        self.found.push(found);
                    }
                }
            }
            JobEvent::Stop => self.stop.wanted = true,
            JobEvent::Ticks { ticks, open } => {
                self.manual.extend(ticks);
                self.manual_open = open;
            }
        }
        Ok(())
    }

    fn counted(&mut self, record: Record, control: &mut Control) {
        match record {
            Record::Tick(tick) => {
                let tick = tick.decision.tick;
                self.counted = tick;
                control.set_durable(tick);
                if let Some(facts) = self.facts.remove(&tick) {
                    self.setup.persister.facts(facts);
                }
            }
            Record::Snapshot(snapshot) => {
                tracing::debug!(target: "tidemark::phase", phase = "snapshot-counted", tick = snapshot.tick);
                self.setup.observer.snapshot(snapshot.tick);
                if self.snapshot == Some(snapshot.tick) {
                    self.snapshot = None;
                }
                self.stop.kept |= self.stop.tick == Some(snapshot.tick);
                let name = snapshot.savepoint.as_deref().unwrap_or_default();
                let done = Done { tick: snapshot.tick, manifest: Some(snapshot.manifest.clone()) };
                let replies = self.savepoints.remove(name).unwrap_or_default().into_iter();
                self.kept.extend(replies.map(|reply| (done.clone(), reply)));
            }
            Record::Open(_) | Record::Drop(_) | Record::Skip(_) | Record::State(_) => {}
        }
    }

    /// Composes the record of the next tick that all workers have read.
    fn compose(&mut self, control: &mut Control) -> Result<()> {
        let opening = self.openings.pop_front().expect("a tick is opened before it is read");
        let tick = opening.decision.tick;
        let mut ranges = control.gathered.borrow_mut().ranges.remove(&tick).unwrap_or_default();
        ranges.sort_by_key(|range| range.inlet);
        if let Some(recorded) = &opening.recorded {
            let transports = &self.setup.transports;
            self.inlets.verify(tick, recorded, &ranges, |source| {
                transports.get(source).map_or_else(String::new, |transport| transport.describe())
            })?;
        }
        self.inlets.apply(&ranges);
        self.since.tick(changes(&opening.decision, &ranges));
        for (source, watermark) in self.inlets.watermarks(|source| control.watermark(source)) {
            control.set_watermark(&source, watermark);
        }
        let facts = TickFacts {
            next_offsets: self.inlets.next_offsets(),
            watermarks: opening.decision.watermarks.clone(),
        };
        self.setup.board.note(tick, facts, self.setup.released_by_all());
        if opening.recorded.is_some() {
            // It is durable already: other workers may wait for these facts to release it.
            self.setup.wake.all();
        }
        let generation = self.setup.identity.generation;
        let (replayed, snapshot) = (opening.recorded.is_some(), opening.decision.snapshot);
        let record = TickRecord { generation, decision: opening.decision, ranges };
        let replaying = replayed.then_some(self.end);
        self.setup.observer.composed(record.clone(), &self.inlets, replaying);
        self.composed = tick;
        if replayed {
            // It counts already, but nobody releases it before what was read again is compared and its facts are noted.
            control.set_durable(tick);
            return Ok(());
        }
        if snapshot {
            self.note_snapshot(&record.decision);
        }
        self.appender.append(Record::Tick(record))?;
        if snapshot {
            self.appender.mark()?;
        }
        Ok(())
    }

    fn note_snapshot(&mut self, decision: &Decision) {
        let savepoint = decision.commands.iter().find_map(|command| match command {
            Command::Savepoint { name, .. } => Some(name.clone()),
            _ => None,
        });
        let identity = &self.setup.identity;
        self.facts.insert(
            decision.tick,
            ManifestFacts {
                generation: identity.generation,
                tick: decision.tick,
                program: identity.program.clone(),
                job: identity.job.clone(),
                inlets: self.inlets.states(),
                watermarks: decision.watermarks.clone(),
                savepoint,
            },
        );
    }

    fn open_next(&mut self, control: &mut Control, complete: Tick, released: Tick) -> Result<bool> {
        let setup = Arc::clone(&self.setup);
        let bounds = &setup.bounds;
        if let Some(record) = self.follow.front() {
            if self.opened - complete.min(self.opened) >= bounds.ahead_max {
                return Ok(false);
            }
            let targets = record.ranges.iter().map(|range| (range.inlet, range.to)).collect();
            let opening = Opening {
                decision: record.decision.clone(),
                targets: Some(targets),
                recorded: Some(record.ranges.clone()),
            };
            self.follow.pop_front();
            self.open(opening, control);
            return Ok(true);
        }
        // Recovery is over once everything replayed is visible again.
        if released < self.end || complete < self.end || self.stop.tick.is_some() {
            return Ok(false);
        }
        if !std::mem::replace(&mut self.leads, true) {
            self.setup.observer.leading();
            tracing::info!("running from tick {}", self.end + 1);
            tracing::debug!(target: "tidemark::phase", phase = "leading", tick = self.end + 1);
        }
        if self.setup.pacing == Pacing::Manual {
            let mut opened = false;
            while self.open_manual(control, complete) {
                opened = true;
            }
            return Ok(opened);
        }
        let watermarks = self.watermarks(control);
        let moved = watermarks != self.decided;
        let gathered_ready = control.gathered.borrow().ready >= self.opened;
        let commanded = !self.waiting.is_empty() || !self.found.is_empty() || self.stop.wanted;
        let sink_bytes =
            self.setup.sinks.values().map(|sink| sink.outstanding()).max().unwrap_or(0);
        let facts = Facts {
            ready: gathered_ready || moved || commanded || self.opened == self.end,
            full: control.gathered.borrow().full >= self.opened,
            since_last: clock::instant() - self.last_opening,
            interval: self.interval,
            ahead: self.opened.saturating_sub(complete),
            durable_ahead: self.opened.saturating_sub(self.counted),
            sink_bytes,
            // A clean end frees memory: it is never held up.
            memory_percent: if self.stop.wanted { 0 } else { self.memory_percent() },
        };
        let decided = pace(bounds, &facts);
        self.setup.observer.paced(decided, &facts, &self.setup.sinks);
        match decided {
            Pace::Open => {}
            Pace::Wait(left) => {
                self.next_due = left;
                return Ok(false);
            }
            Pace::Held(_) => {
                self.next_due = Duration::from_millis(5);
                return Ok(false);
            }
        }
        self.next_due = Duration::ZERO;
        let finished = self.inlets.all_finished(&self.setup.lags, &self.decided)
            && self.setup.exit_when_finished;
        let ending = self.stop.wanted || finished;
        // The end's snapshot follows the one that is being written. Where that is the open tick's, it needs one more tick, which
        // closes that one.
        let before = self.snapshot.filter(|_| ending);
        if before.is_some_and(|tick| tick < self.opened) {
            self.next_due = Duration::from_millis(5);
            return Ok(false);
        }
        let stopping = ending && before.is_none();
        let mut decision = self.decide(watermarks);
        let mut targets = None;
        if stopping {
            decision.commands.push(Command::Stop);
            decision.snapshot = true;
            targets = Some(Vec::new());
            self.setup.observer.stopping();
            self.stop.tick = Some(decision.tick);
            self.stop.since = Some(clock::instant());
        }
        self.lead(decision, targets, control);
        Ok(true)
    }

    /// The watermarks as their frontiers say.
    fn watermarks(&self, control: &Control) -> BTreeMap<String, i64> {
        let found = self.setup.lags.keys().filter_map(|s| Some((s.clone(), control.watermark(s)?)));
        found.collect()
    }

    /// The next decision: what was found and commanded, and whether a snapshot is due.
    fn decide(&mut self, watermarks: BTreeMap<String, i64>) -> Decision {
        let tick = self.opened + 1;
        let inlets = self.declare();
        let mut commands = Vec::new();
        let mut snapshot = self.snapshot.is_none() && self.is_snapshot_due();
        let mut named = false;
        while let Some(next) = self.waiting.front() {
            // One savepoint a tick, and none while another snapshot is being written.
            let savepoint = matches!(next.command, Command::Savepoint { .. });
            if savepoint && (named || self.snapshot.is_some()) {
                break;
            }
            let Ordered { command, reply } = self.waiting.pop_front().expect("there is a front");
            match &command {
                Command::Savepoint { name, .. } => {
                    self.savepoints.entry(name.clone()).or_default().push(reply);
                    (snapshot, named) = (true, true);
                }
                _ => self.acting.push((tick, reply)),
            }
            commands.push(command);
        }
        let wall = self.setup.wall.micros();
        Decision { tick, wall, watermarks, snapshot, inlets, commands }
    }

    fn is_snapshot_due(&self) -> bool {
        let (kept, interval) = (self.setup.snapshots_kept, self.setup.snapshot_interval);
        self.since.is_due(kept, clock::instant() - self.snapshot_at, interval)
    }

    /// Per cent of the memory's budget in use in the process that uses most of it.
    fn memory_percent(&mut self) -> u64 {
        let observer = &self.setup.observer;
        observer.memory(0, self.memory.look(observer));
        observer.fullest().0
    }

    fn declare(&mut self) -> Vec<InletDecl> {
        let found = std::mem::take(&mut self.found);
        let declare = |(source, part): (String, crate::sources::Partition)| {
            let transport = self.setup.transports.get(&source);
            self.inlets.declare(&source, &part, transport.and_then(|t| t.identity()))
        };
        let new = found.into_iter().filter_map(declare);
        let (new, beyond): (Vec<_>, Vec<_>) = new.partition(|decl| decl.inlet <= Inlet::MAX);
        if let Some(first) = beyond.first() {
            self.setup.failure.fail(Error::config(format!(
                "source {:?}, partition {}: a job reads at most {} partitions, old ones included",
                first.source,
                first.partition,
                Inlet::MAX.0 + 1
            )));
        }
        new
    }

    fn lead(
        &mut self,
        decision: Decision,
        targets: Option<Vec<(Inlet, u64)>>,
        control: &mut Control,
    ) {
        if decision.snapshot {
            tracing::debug!(target: "tidemark::phase", phase = "snapshot-begin", tick = decision.tick);
            self.snapshot = Some(decision.tick);
            self.snapshot_at = clock::instant();
            self.since.taken();
        }
        self.since.moved(decision.watermarks != self.decided);
        self.decided.clone_from(&decision.watermarks);
        self.open(Opening { decision, targets, recorded: None }, control);
    }

    fn open(&mut self, opening: Opening, control: &mut Control) {
        for decl in &opening.decision.inlets {
            self.inlets.add(decl);
        }
        self.opened = opening.decision.tick;
        self.decided.clone_from(&opening.decision.watermarks);
        self.adapt();
        self.openings.push_back(opening.clone());
        control.open(opening);
    }

    /// Adapts the interval to how busy the workers were since the last opening.
    fn adapt(&mut self) {
        let (now, idled) = (clock::instant(), self.setup.idle.all());
        let idle = idled.iter().zip(&self.idled).map(|(now, then)| now.saturating_sub(*then));
        let (idle, all) = (idle.min().unwrap_or_default(), now - self.last_opening);
        let busy = 1.0 - idle.as_secs_f64() / all.as_secs_f64().max(1e-9);
        let ahead = self.opened - self.complete.min(self.opened);
        self.interval = interval(&self.setup.bounds, self.interval, busy, ahead);
        (self.last_opening, self.idled) = (now, idled);
    }

    fn open_manual(&mut self, control: &mut Control, complete: Tick) -> bool {
        let ahead = self.opened - complete.min(self.opened);
        if self.opened - self.composed >= self.manual_open || ahead >= self.setup.bounds.ahead_max {
            return false;
        }
        let stopping = self.stop.wanted && self.manual.is_empty() && self.stop.tick.is_none();
        let Some(ManualTick { ends, watermarks: floors, snapshot }) =
            self.manual.pop_front().or_else(|| stopping.then(Default::default))
        else {
            self.next_due = Duration::from_millis(50);
            return false;
        };
        for (source, floor) in &floors {
            control.set_watermark(source, *floor);
        }
        let mut watermarks = self.watermarks(control);
        for (source, floor) in floors {
            let held = watermarks.entry(source).or_insert(floor);
            *held = floor.max(*held);
        }
        for (source, partition, _) in &ends {
            if self.inlets.number(source, partition).is_none() {
                let part = crate::sources::Partition { name: partition.clone(), start: 0 };
                self.found.push((source.clone(), part));
            }
        }
        let mut decision = self.decide(watermarks);
        decision.snapshot |= snapshot || stopping;
        if stopping {
            decision.commands.push(Command::Stop);
            self.setup.observer.stopping();
            self.stop.tick = Some(decision.tick);
            self.stop.since = Some(clock::instant());
        }
        for decl in &decision.inlets {
            self.inlets.add(decl);
        }
        let target = |(source, partition, to): &(String, String, u64)| {
            Some((self.inlets.number(source, partition)?, *to))
        };
        let targets = ends.iter().filter_map(target).collect();
        self.lead(decision, Some(targets), control);
        true
    }

    /// Answers what has come to its end. A savepoint's answer also says that the sinks hold everything up to its tick.
    fn answer(&mut self, released: Tick) {
        for (tick, reply) in self.acting.extract_if(.., |(tick, _)| *tick <= released) {
            answer(reply, Done { tick, manifest: None });
        }
        if self.kept.is_empty() {
            return;
        }
        let committed = self.setup.sinks.values().map(|sink| sink.committed()).min();
        let through = committed.unwrap_or(released).min(released);
        for (done, reply) in self.kept.extract_if(.., |(done, _)| done.tick <= through) {
            answer(reply, done);
        }
    }

    /// Ends the generation once the stop tick is kept and every sink has it.
    fn finish_stop(&mut self, released: Tick) {
        let (Some(tick), Some(since)) = (self.stop.tick, self.stop.since) else { return };
        let committed = self.setup.sinks.values().all(|sink| sink.committed() >= tick);
        self.next_due = Duration::from_millis(2);
        if released >= tick && self.stop.kept && committed {
            for reply in self.stop.replies.drain(..) {
                answer(reply, Done { tick, manifest: None });
            }
            self.setup.ended.store(true, Ordering::Release);
            self.setup.wake.all();
        } else if clock::instant() - since > self.setup.stop_time_max {
            self.setup.failure.fail(Error::new(
                Kind::Retry,
                format!(
                    "the clean end at tick {tick} took longer than {:?} (released {released}, snapshot kept: {}, sinks committed: \
                     {committed}); nothing is lost, the next start goes on from the log",
                    self.setup.stop_time_max, self.stop.kept
                ),
            ));
        }
    }
}

/// Whether a tick may have changed kept state. A watermark that moves does; it is noted when it is decided.
fn changes(decision: &Decision, ranges: &[Range]) -> bool {
    let acts = |command: &Command| !matches!(command, Command::Savepoint { .. });
    ranges.iter().any(|range| range.to > range.from)
        || !decision.inlets.is_empty()
        || decision.commands.iter().any(acts)
}

fn answer(reply: Reply, done: Done) {
    // Whoever asked may be gone.
    let _ = reply.send(Ok(done));
}
