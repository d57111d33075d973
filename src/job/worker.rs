//! The worker loop: open a tick, read, step, close, release. One thread; it never waits but in timely's park.
//!
//! A tick is closed when the next opening arrives, or, if it has targets, when they are reached. It is released on this worker
//! when the main dataflow's frontier and the durable frontier have passed it.

use super::coordinator::Coordinator;
use super::peers::{Report, WorkerFacts};
use super::setup::Setup;
use crate::error::Result;
use crate::flow::Flow;
use crate::flow::context::Context;
use crate::ids::Tick;
use crate::sinks::LaneTick;
use crate::sources::{Budget, Waker};
use crate::state::manifest::InletState;
use crate::state::persister::Handle as PersisterHandle;
use crate::ticks::control::{Control, Opening};
use crate::time::clock;
use crate::views::inbox::Inbox;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use timely::dataflow::operators::probe;
use timely::worker::Worker;

/// Records that a source gives between two steps of the dataflow.
const CHUNK_RECORDS: usize = 4096;
/// How often a worker tells what it holds and how far its partitions lag.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// The longest park.
const PARK: Duration = Duration::from_millis(50);

/// Runs one worker until the generation ends.
pub(crate) fn run(worker: &mut Worker, setup: &Arc<Setup>, inbox: Inbox) {
    setup.wake.join();
    let result = Running::new(worker, setup, inbox).and_then(|mut running| running.run(worker));
    if let Err(error) = result {
        setup.failure.fail(error);
    }
    setup.wake.all();
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

/// The tick that is open on this worker.
struct Open {
    opening: Opening,
    left: Budget,
    told: bool,
    told_full: bool,
}

struct Running {
    setup: Arc<Setup>,
    context: Rc<Context>,
    control: Control,
    probe: probe::Handle<Tick>,
    coordinator: Option<Coordinator>,
    inbox: Inbox,
    persister: PersisterHandle,
    recycled: Vec<u8>,
    open: Option<Open>,
    /// Snapshots that were decided and have not passed this worker.
    snapshots: Vec<Tick>,
    /// The last tick through the main dataflow.
    complete: Tick,
    /// The last tick released on this worker.
    released: Tick,
    told_at: Instant,
    /// Records read since it began.
    records: u64,
    index: usize,
    /// Which worker of this process it is.
    local: usize,
    peers: usize,
}

impl Running {
    fn new(worker: &mut Worker, setup: &Arc<Setup>, inbox: Inbox) -> Result<Running> {
        let (index, peers) = (worker.index(), worker.peers());
        let sources: Vec<String> = setup.lags.keys().cloned().collect();
        let control = Control::build(worker, setup.start.tick, &sources, setup.size.processes > 1);
        if let Some(traces) = &setup.traces {
            traces.listen(worker);
        }
        let context = Rc::new(Context {
            start: setup.start.tick,
            source_options: setup.source_options.clone(),
            sink_options: setup.sink_options.clone(),
            images: setup.start.images.clone(),
            view_history: setup.view_history.clone(),
            watermarks: Default::default(),
            changes: RefCell::default(),
            failure: setup.failure.clone(),
            whereabouts: setup.rounds.whereabouts(setup.size.local(index)),
            sources: RefCell::default(),
            migrations: Default::default(),
            restores: RefCell::default(),
            sinks: RefCell::default(),
            shards: RefCell::default(),
            written: setup.start.written.clone(),
            lanes: setup.start.lanes.clone(),
            writers: setup.size.workers,
            plan: RefCell::default(),
            sketch: RefCell::default(),
            pulse: RefCell::default(),
            live_rows: RefCell::default(),
            late: RefCell::default(),
        });
        let probe = probe::Handle::new();
        worker.dataflow_named("main", |scope| {
            let flow = Flow::new(scope, Rc::clone(&context), probe.clone());
            (setup.build)(&flow);
            flow.built();
        });
        let thread = std::thread::current();
        let waker: Waker = Arc::new(move || thread.unpark());
        for source in context.sources.borrow_mut().iter_mut() {
            source.open(setup.transports[source.name()].as_ref(), Arc::clone(&waker))?;
            let name = source.name().to_owned();
            for skip in setup.start.skips.iter().filter(|skip| skip.source == name) {
                source.skip(&skip.partition, skip.offset);
            }
        }
        context.watermarks.decided(setup.start.tick, &setup.start.watermarks);
        let persister = setup.persister.clone();
        let coordinator = (index == 0).then(|| Coordinator::new(Arc::clone(setup)));
        let mut running = Running {
            setup: Arc::clone(setup),
            context,
            control,
            probe,
            coordinator,
            inbox,
            persister,
            recycled: Vec::new(),
            open: None,
            snapshots: Vec::new(),
            // Restored rows come at the restored tick itself.
            complete: setup.start.tick.saturating_sub(1),
            released: setup.start.tick,
            told_at: clock::instant(),
            records: 0,
            index,
            local: setup.size.local(index),
            peers,
        };
        for inlet in &setup.start.inlets {
            running.assign(inlet)?;
        }
        running.restore()?;
        Ok(running)
    }

    /// Sends this worker's share of the kept rows into the dataflow at the restored tick.
    fn restore(&mut self) -> Result<()> {
        let mut restores = std::mem::take(&mut *self.context.restores.borrow_mut());
        let mut rows = 0;
        for (task, begins) in restores.iter_mut().zip(&self.setup.start.begins) {
            let stored = begins.from.as_deref().zip(self.setup.start.snapshot.as_ref());
            let stored = stored.and_then(|(uid, s)| Some((uid, s, super::stored_schema(s, uid)?)));
            match stored {
                Some((uid, snapshot, schema)) => {
                    let share = snapshot.rows(uid, self.index, self.peers)?;
                    rows +=
                        task.feed(self.setup.start.tick, &schema, begins.anew, Box::new(share))?;
                }
                None => task.close(),
            }
        }
        if let Some(snapshot) = &self.setup.start.snapshot
            && snapshot.done(self.setup.size.workers)
        {
            let bytes = snapshot.bytes_read();
            tracing::debug!(target: "tidemark::phase", phase = "recovery-restored", bytes);
        }
        let (worker, tick) = (self.index, self.setup.start.tick);
        tracing::debug!(worker, rows, tick, "kept rows restored");
        for source in self.context.sources.borrow_mut().iter_mut() {
            source.close_tick(tick + 1);
        }
        self.beat(tick + 1);
        Ok(())
    }

    fn assign(&mut self, inlet: &InletState) -> Result<()> {
        if !self.setup.owns(inlet.decl.inlet, self.index) {
            return Ok(());
        }
        let mut sources = self.context.sources.borrow_mut();
        match sources.iter_mut().find(|source| source.name() == inlet.decl.source) {
            Some(source) => source.assign(inlet),
            // The program no longer reads this source.
            None => Ok(()),
        }
    }

    fn run(&mut self, worker: &mut Worker) -> Result<()> {
        while !self.setup.is_over() {
            self.setup.rounds.round(self.local, self.complete + 1);
            let mut busy = false;
            if let Some(coordinator) = &mut self.coordinator {
                busy |= coordinator.step(&mut self.control, self.complete, self.released)?;
            }
            busy |= self.turn_ticks()?;
            busy |= self.read()?;
            if busy {
                worker.step();
            } else {
                let since = clock::instant();
                worker.step_or_park(Some(self.park()));
                self.setup.idle.add(self.local, clock::instant() - since);
            }
            // An operator leaves its error before its frontier moves: a tick that went wrong anywhere is neither kept nor shown.
            if self.setup.is_over() {
                break;
            }
            self.pass()?;
            self.hand_over()?;
            self.release()?;
        }
        Ok(())
    }

    fn park(&self) -> Duration {
        let due = self.coordinator.as_ref().map_or(PARK, Coordinator::next_due);
        let pending =
            if self.context.changes.borrow().is_empty() { PARK } else { Duration::from_millis(5) };
        due.min(pending).min(PARK)
    }

    /// Closes the open tick if it is to be closed, and opens the next.
    fn turn_ticks(&mut self) -> Result<bool> {
        let mut turned = false;
        while self.control.has_opening() {
            if self.open.as_ref().is_some_and(|open| open.opening.targets.is_some()) {
                break;
            }
            self.close()?;
            let opening = self.control.next_opening().expect("an opening waits");
            self.open_tick(opening)?;
            turned = true;
        }
        Ok(turned)
    }

    fn open_tick(&mut self, opening: Opening) -> Result<()> {
        let decision = &opening.decision;
        self.context.watermarks.decided(decision.tick, &decision.watermarks);
        for decl in &decision.inlets {
            let (decl, next) = (decl.clone(), decl.start);
            let activity = Default::default();
            self.assign(&InletState { decl, next, event_time_max: None, activity })?;
        }
        if decision.snapshot && opening.recorded.is_none() {
            self.persister.expect(decision.tick);
            self.snapshots.push(decision.tick);
        }
        for source in self.context.sources.borrow_mut().iter_mut() {
            let watermark = decision.watermarks.get(source.name()).copied();
            source.open_tick(decision.tick, watermark, opening.targets.as_deref());
        }
        let share = |all: usize| (all / self.peers).max(1);
        let left = Budget {
            records: share(self.setup.budget.records),
            bytes: share(self.setup.budget.bytes),
        };
        let left = if opening.targets.is_some() {
            Budget { records: usize::MAX, bytes: usize::MAX }
        } else {
            left
        };
        self.open = Some(Open { opening, left, told: false, told_full: false });
        Ok(())
    }

    /// Reads a chunk into the open tick.
    fn read(&mut self) -> Result<bool> {
        let Some(open) = &mut self.open else { return Ok(false) };
        let mut chunk =
            Budget { records: CHUNK_RECORDS.min(open.left.records), bytes: open.left.bytes };
        let given = chunk;
        let (mut any, mut more, mut reached) = (false, false, true);
        for source in self.context.sources.borrow_mut().iter_mut() {
            let found = source.poll(&mut chunk)?;
            any |= found.any;
            more |= found.more;
            reached &= found.reached;
        }
        open.left.records -= given.records - chunk.records;
        open.left.bytes = open.left.bytes.saturating_sub(given.bytes - chunk.bytes);
        let full = open.left.records == 0 || open.left.bytes == 0;
        if open.opening.targets.is_some() {
            if reached {
                self.close()?;
                return Ok(true);
            }
        } else if any && !open.told {
            open.told = true;
            self.control.ready();
            return Ok(true);
        }
        if full && !std::mem::replace(&mut open.told_full, true) {
            self.control.full();
            return Ok(true);
        }
        Ok(more && !full)
    }

    fn close(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let tick = open.opening.decision.tick;
        let mut ranges = Vec::new();
        for source in self.context.sources.borrow_mut().iter_mut() {
            if let Some(recorded) = &open.opening.recorded {
                source.adopt(recorded);
            }
            ranges.extend(source.close_tick(tick + 1));
        }
        self.records += ranges.iter().map(|range| range.records).sum::<u64>();
        self.beat(tick + 1);
        self.control.read(ranges, tick + 1);
        Ok(())
    }

    fn beat(&self, next: Tick) {
        if let Some(pulse) = &mut *self.context.pulse.borrow_mut() {
            pulse.advance_to(next);
        }
    }

    /// Notes which ticks are through the main dataflow.
    fn pass(&mut self) -> Result<()> {
        let through = self.probe.with_frontier(|frontier| frontier.first().copied());
        let through = through.map_or(self.complete, |next| next.saturating_sub(1));
        if through > self.complete {
            self.complete = through;
            self.context.watermarks.trim(through);
        }
        Ok(())
    }

    /// Hands changes of kept state to the persister; at a snapshot all of them, and says so.
    fn hand_over(&mut self) -> Result<()> {
        let mut changes = self.context.changes.borrow_mut();
        let passed = self.snapshots.first().copied().filter(|tick| *tick <= self.complete);
        if changes.due() || (passed.is_some() && !changes.is_empty()) {
            let given = changes.take(std::mem::take(&mut self.recycled));
            self.recycled = self.persister.hand_over(given);
        }
        if let Some(tick) = passed {
            self.snapshots.remove(0);
            self.persister.finished(self.local, tick);
        }
        Ok(())
    }

    /// Tells what this worker holds and has done, at home or to process 0.
    fn tell(&self) {
        let plan = self.context.plan.borrow();
        let live = self.context.live_rows.borrow();
        let kept = plan.kept.iter().zip(live.iter());
        let late = self.context.late.borrow();
        let shards = self.context.shards.borrow();
        let served = shards.iter().map(|(name, shard)| (name.clone(), shard.borrow().size()));
        let sources = self.context.sources.borrow();
        let facts = WorkerFacts {
            worker: self.index,
            records: self.records,
            lags: sources.iter().flat_map(|source| source.lag()).collect(),
            kept: kept.map(|(kept, rows)| (kept.uid.clone(), rows.get() as u64)).collect(),
            late: late.iter().map(|(uid, records)| (uid.clone(), records.get())).collect(),
            served: served.collect(),
        };
        match &self.setup.up {
            None => self.setup.observer.worker(&facts),
            Some(up) => {
                if let Err(error) = up.send(0, &Report::Facts(facts)) {
                    // The next time says the same and more.
                    tracing::debug!(%error, "what a worker holds could not be told");
                }
            }
        }
    }

    /// Gives released ticks to sinks and views.
    fn release(&mut self) -> Result<()> {
        while self.released < self.complete && self.control.is_durable(self.released + 1) {
            let tick = self.released + 1;
            // Sinks are in the first process, and so is what their progress says.
            let facts = self.setup.board.facts(tick);
            let facts = match (facts, self.setup.size.is_first()) {
                (Some(facts), _) => facts,
                (None, true) => break,
                (None, false) => Arc::default(),
            };
            for port in self.context.sinks.borrow().iter() {
                for (lane, rows) in port.release(tick, self.index, self.setup.size.workers)? {
                    self.setup.sinks[&port.name].send(LaneTick {
                        lane,
                        tick,
                        rows,
                        next_offsets: facts.next_offsets.clone(),
                        watermarks: facts.watermarks.clone(),
                    })?;
                }
            }
            self.released = tick;
            self.setup.released[self.local].store(tick, Ordering::Release);
        }
        let now = clock::instant();
        if now - self.told_at > TELL_EVERY {
            self.told_at = now;
            self.tell();
        }
        if self.index == 0 {
            self.setup.observer.released(self.released);
            self.control.show(self.released);
        }
        let newest = match self.setup.size.is_first() {
            true => self.setup.observer.released_tick(),
            false => self.control.shown().unwrap_or(self.setup.start.tick),
        };
        let released = newest.min(self.released);
        self.inbox.serve(&self.context.shards.borrow(), self.complete, released)?;
        Ok(())
    }
}
