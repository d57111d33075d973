//! What the workers, the I/O threads and the front of one job share: status, released tick, metrics, queries, commands, kept tick records.
//! Workers only store and send here; nothing in it waits for the front.

use super::skip::Place;
use crate::error::Result;
use crate::ids::{Generation, Inlet, Tick};
use crate::sources::Waker;
use crate::telemetry::registry::{Gauge, Registry};
use crate::telemetry::status::{State, Status};
use crate::ticks::record::{Command, InletDecl, TickRecord};
use crate::views::released::Released;
use crate::views::router::Router;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::oneshot;

/// Released ticks whose records are kept for `GET /api/v1/job/ticks/T`.
pub const TICK_RECORDS_MAX: usize = 4096;

/// Commands that wait for worker 0.
pub const COMMANDS_MAX: usize = 64;

/// A command that came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The tick at which it took effect. That tick counts.
    pub tick: Tick,
    /// The savepoint's manifest, if it made one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

/// A command on its way to worker 0. `reply` is used once the tick at which the command took effect is known to count: never at the
/// decision, which a crash may still take back. Of a savepoint and a stop the snapshot's record counts then too, and every sink has
/// committed the tick.
#[derive(Debug)]
pub struct Ordered {
    /// What is to be done. A savepoint's `id` recognises a repeated request.
    pub command: Command,
    /// Where the outcome goes.
    pub reply: oneshot::Sender<Result<Done>>,
}

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Too many wait.
    Busy,
    /// Worker 0 takes none (yet, or any more).
    Away,
}

/// A record that is kept, or why it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The record.
    Record(TickView),
    /// It has left the ring: the oldest kept tick.
    Gone(Tick),
    /// It is not released: the newest released tick.
    NotReleased(Tick),
}

/// What a released tick read, for people and other programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TickView {
    /// The tick's record.
    #[serde(flatten)]
    pub record: Arc<TickRecord>,
    /// The source and partition of each range, in their order.
    pub partitions: Vec<(String, String)>,
    /// Source -> partition -> next offset after the tick, of all partitions that the job had then.
    pub next_offsets: BTreeMap<String, BTreeMap<String, u64>>,
}

#[derive(Default)]
struct Records {
    /// Ascending.
    ring: VecDeque<Arc<TickRecord>>,
    /// Every inlet, and the next offset after the newest record.
    inlets: BTreeMap<Inlet, (InletDecl, u64)>,
}

impl Records {
    fn push(&mut self, record: Arc<TickRecord>) {
        for inlet in &record.decision.inlets {
            self.inlets.insert(inlet.inlet, (inlet.clone(), inlet.start));
        }
        for range in &record.ranges {
            if let Some((_, next)) = self.inlets.get_mut(&range.inlet) {
                *next = range.to;
            }
        }
        if self.ring.len() == TICK_RECORDS_MAX {
            self.ring.pop_front();
        }
        self.ring.push_back(record);
    }

    /// The record at this place of the ring, with offsets found by taking back what later ticks read.
    fn view(&self, at: usize) -> TickView {
        let record = self.ring[at].clone();
        let mut next: BTreeMap<Inlet, u64> =
            self.inlets.iter().map(|(inlet, (_, next))| (*inlet, *next)).collect();
        for later in self.ring.range(at + 1..).rev() {
            for range in &later.ranges {
                next.insert(range.inlet, range.from);
            }
            for inlet in &later.decision.inlets {
                next.remove(&inlet.inlet);
            }
        }
        let mut next_offsets: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for (inlet, next) in next {
            if let Some((decl, _)) = self.inlets.get(&inlet) {
                let partitions = next_offsets.entry(decl.source.clone()).or_default();
                partitions.insert(decl.partition.clone(), next);
            }
        }
        let name = |inlet: Inlet| {
            let known = self.inlets.get(&inlet);
            known.map_or_else(Default::default, |(decl, _)| {
                (decl.source.clone(), decl.partition.clone())
            })
        };
        let partitions = record.ranges.iter().map(|range| name(range.inlet)).collect();
        TickView { record, partitions, next_offsets }
    }
}

/// What a job that has failed is to do.
pub(crate) enum Wanted {
    /// To try again as it is.
    Retry,
    /// To try again without a record; where the outcome goes.
    Skip(Place, oneshot::Sender<Result<Done>>),
}

/// Whether the job has failed and waits, and what is wanted of it.
#[derive(Default)]
struct Waiting {
    wanted: Mutex<Option<Option<Wanted>>>,
    changed: Condvar,
}

/// What the parts of a job share. One a process.
pub struct Shared {
    status: Mutex<Status>,
    released: Arc<Released>,
    registry: Arc<Registry>,
    router: Arc<Router>,
    commands: RwLock<Option<(SyncSender<Ordered>, Waker)>>,
    records: Mutex<Records>,
    ending: AtomicBool,
    waiting: Waiting,
    tick_released: Gauge,
}

impl Shared {
    /// What a job of this name, program and number of workers in this process shares; it is starting.
    pub fn new(name: &str, program: &str, workers: usize) -> Arc<Shared> {
        let released = Arc::new(Released::default());
        let registry = Arc::new(Registry::default());
        Arc::new(Shared {
            status: Mutex::new(Status {
                name: name.to_owned(),
                program: program.to_owned(),
                ..Status::default()
            }),
            router: Arc::new(Router::new(workers, released.clone())),
            commands: RwLock::default(),
            records: Mutex::default(),
            ending: AtomicBool::new(false),
            waiting: Waiting::default(),
            tick_released: registry.gauge("tick_released", "The newest released tick.", &[]),
            released,
            registry,
        })
    }

    /// The status now, with the released tick in it.
    pub fn status(&self) -> Status {
        let mut status = self.lock().clone();
        status.tick = self.released.now();
        // Told at intervals; what is released is both.
        status.tick_current = status.tick_current.max(status.tick);
        status.tick_durable = status.tick_durable.max(status.tick);
        if let Some(slow) = status.slow.first() {
            // Worker 0 may be one of them, and then tells nothing newer.
            status.holding = slow.to_string();
        }
        status
    }

    /// Changes the status.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.lock());
    }

    /// Sets what the job is doing.
    pub fn set_state(&self, state: State) {
        self.update(|status| status.state = state);
    }

    /// The generation; 0 before it is claimed.
    pub fn generation(&self) -> Generation {
        self.lock().generation
    }

    /// The newest released tick. Only worker 0 moves it, and only with [`Shared::release`].
    pub fn released(&self) -> &Arc<Released> {
        &self.released
    }

    /// All metrics.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The way of queries to the workers.
    pub fn router(&self) -> &Arc<Router> {
        &self.router
    }

    /// Makes inlets known that a restore brought, each with its next offset, before the first tick is released.
    pub fn restore_inlets(&self, inlets: impl IntoIterator<Item = (InletDecl, u64)>) {
        let mut records = self.records();
        for (decl, next) in inlets {
            records.inlets.insert(decl.inlet, (decl, next));
        }
    }

    /// Keeps a tick's record and releases the tick: the main and the durable frontier have passed it. Ticks ascend.
    pub fn release(&self, record: TickRecord) {
        let tick = record.decision.tick;
        self.records().push(Arc::new(record));
        self.released.advance(tick);
        self.tick_released.set_u64(tick);
    }

    /// The record of a released tick.
    pub fn record(&self, tick: Tick) -> Kept {
        let released = self.released.now();
        if tick > released {
            return Kept::NotReleased(released);
        }
        let records = self.records();
        let at = records.ring.partition_point(|record| record.decision.tick < tick);
        match records.ring.get(at) {
            Some(record) if record.decision.tick == tick => Kept::Record(records.view(at)),
            _ => {
                Kept::Gone(records.ring.front().map_or(released + 1, |record| record.decision.tick))
            }
        }
    }

    /// Where worker 0 gets commands from; `waker` is called after each. Before this, and once the receiver is gone, commands are
    /// not taken.
    pub fn take_commands(&self, waker: Waker) -> Receiver<Ordered> {
        let (sender, receiver) = sync_channel(COMMANDS_MAX);
        *self.commands.write().unwrap_or_else(PoisonError::into_inner) = Some((sender, waker));
        receiver
    }

    /// Sends a command to worker 0. The receiver of the outcome fails if the job ends first: then it may have happened.
    ///
    /// # Errors
    /// [`NotTaken`]: it did not happen.
    pub fn order(&self, command: Command) -> Result<oneshot::Receiver<Result<Done>>, NotTaken> {
        let commands = self.commands.read().unwrap_or_else(PoisonError::into_inner);
        let Some((sender, waker)) = commands.as_ref() else { return Err(NotTaken::Away) };
        let (reply, outcome) = oneshot::channel();
        sender.try_send(Ordered { command, reply }).map_err(|error| match error {
            TrySendError::Full(_) => NotTaken::Busy,
            TrySendError::Disconnected(_) => NotTaken::Away,
        })?;
        waker();
        Ok(outcome)
    }

    /// Waits until somebody wants something of the job, which has failed; `error` is shown meanwhile. Until [`Shared::go_on`] more may be
    /// wanted.
    pub(crate) fn await_wanted(&self, error: &str) -> Wanted {
        let mut waiting = self.waiting.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        // Who sees that it has failed may want something.
        waiting.get_or_insert_default();
        self.update(|status| (status.state, status.error) = (State::Failed, Some(error.into())));
        loop {
            if let Some(wanted) = waiting.get_or_insert_default().take() {
                return wanted;
            }
            let waited = self.waiting.changed.wait(waiting);
            waiting = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The job that had failed is tried again.
    pub(crate) fn go_on(&self) {
        *self.waiting.wanted.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.update(|status| (status.state, status.error) = (State::Starting, None));
    }

    /// Wants a job that has failed to be tried again; whether it waited for that.
    pub fn retry(&self) -> bool {
        self.want(Wanted::Retry)
    }

    /// Wants a job that has failed to be tried again without a record; gives the outcome, or `None` if the job does not wait for that. If
    /// the receiver fails it may have happened.
    pub fn skip(&self, place: Place) -> Option<oneshot::Receiver<Result<Done>>> {
        let (reply, outcome) = oneshot::channel();
        self.want(Wanted::Skip(place, reply)).then_some(outcome)
    }

    fn want(&self, wanted: Wanted) -> bool {
        let mut waiting = self.waiting.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(none @ None) = waiting.as_mut() else { return false };
        *none = Some(wanted);
        self.waiting.changed.notify_all();
        true
    }

    /// Says that the whole process is to end, whatever worker 0 does (a signal, a fatal error).
    pub fn end(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// Whether [`Shared::end`] was called.
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
