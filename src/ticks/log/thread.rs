//! The leader's hold on its log: a thread that appends, groups and counts. It knows nothing of what the records are for.
//!
//! ```text
//! append, mark, cut -> bounded queue -> one append of all that waits -> counted -> on(Event)
//!                                       nothing waits for a while: read, so that a newer leader is noticed (PROTOCOL 8)
//! ```
//! `on` is called on the log's thread, in the order of the log, and holds it up; it must not append, which may wait for this thread. After [`Event::Deposed`] or [`Event::Failed`] nothing
//! more is appended and nothing more is called.

use super::{Entry, Log};
use crate::error::{Error, Kind, Result};
use crate::ids::{Generation, Tick};
use crate::ticks::counts::{Counter, Position, Verdict, Why};
use crate::ticks::record::Record;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the log's thread tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An own record counts: a tick may be released (PROTOCOL 7), a snapshot exists (12), a drop may be acted on (13).
    Counted(Record),
    /// Another generation leads, or a record that is not one's own counts: end at once (PROTOCOL 8). What counted before is true.
    Deposed {
        /// The generation that leads now.
        by: Generation,
    },
    /// The log can't be used any more: the generation ends, and whether the records without [`Event::Counted`] are in the log is open.
    Failed(Error),
}

/// What a leader does about a record that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRecord {
    /// It is one's own and counts: act on it.
    Act,
    /// It does not exist.
    Ignore,
    /// End at once; this generation leads. What was released stays true and may be finished.
    End {
        /// Who leads.
        by: Generation,
    },
    /// One's own record could not count, whoever leads: it should not have been appended.
    Defect(Why),
}

/// PROTOCOL 8: a counted record that is not one's own ends the leader, a newer open above all; so does an own record that does not count
/// because of one (D3). `generation` is the record's.
pub fn on_record(own: bool, generation: Generation, verdict: Verdict) -> OnRecord {
    match (own, verdict) {
        (true, Verdict::Counts) => OnRecord::Act,
        (false, Verdict::Counts) => OnRecord::End { by: generation },
        (false, Verdict::Not(_)) => OnRecord::Ignore,
        (true, Verdict::Not(Why::NotOpen(Some(by)))) if by > generation => OnRecord::End { by },
        (true, Verdict::Not(why)) => OnRecord::Defect(why),
    }
}

/// Settings of a [`LogThread`].
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Records that may wait before [`Appender::append`] blocks.
    pub queue_records: usize,
    /// Records in one append at most.
    pub group_records: usize,
    /// After so long without an append the log is read for a newer leader.
    pub look_after: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { queue_records: 1024, group_records: 256, look_after: Duration::from_millis(500) }
    }
}

enum Request {
    Append(Record),
    Mark,
    Cut(Tick),
    Look(SyncSender<Result<()>>),
    Stop,
}

#[derive(Debug)]
struct Shared {
    last_tick: AtomicU64,
    ended: OnceLock<Error>,
}

/// Hands records to the log's thread. Clones share it.
#[derive(Clone, Debug)]
pub struct Appender {
    requests: SyncSender<Request>,
    shared: Arc<Shared>,
}

impl Appender {
    /// Queues `record`, of the generation that the thread was started for. Blocks while the queue is full. What becomes of it is told
    /// by an [`Event`].
    ///
    /// # Errors
    /// Why the thread has ended: `Fenced`, or the error of [`Event::Failed`]. The record was not appended.
    pub fn append(&self, record: Record) -> Result<()> {
        self.send(Request::Append(record))
    }

    /// Queues a `state` record that says what a reader must know after everything queued before, so that the log can be cut there
    /// later. Call it right after the tick of a snapshot. Nothing is appended as long as this generation has no counted tick.
    ///
    /// # Errors
    /// As [`Appender::append`].
    pub fn mark(&self) -> Result<()> {
        self.send(Request::Mark)
    }

    /// Queues the removal of the log's beginning up to the newest `state` record at or below `root`, the oldest root (PROTOCOL 14). A
    /// cut that could not be made is a warning; the next one makes up for it.
    ///
    /// # Errors
    /// As [`Appender::append`].
    pub fn cut(&self, root: Tick) -> Result<()> {
        self.send(Request::Cut(root))
    }

    /// Reads what others have appended up to now and waits for the outcome: whoever lost something of its generation to another asks
    /// here first whether that one leads.
    ///
    /// # Errors
    /// Why the thread has ended: `Fenced` if a newer generation leads. `Retry` if the log can't be read at present.
    pub fn look(&self) -> Result<()> {
        let (reply, answer) = sync_channel(1);
        self.send(Request::Look(reply))?;
        answer.recv().map_err(|_| self.why_ended())?
    }

    /// The last tick known to count.
    pub fn last_tick(&self) -> Tick {
        self.shared.last_tick.load(Ordering::Acquire)
    }

    fn send(&self, request: Request) -> Result<()> {
        self.requests.send(request).map_err(|_| self.why_ended())
    }

    fn why_ended(&self) -> Error {
        let ended = self.shared.ended.get().cloned();
        ended.unwrap_or_else(|| Error::internal("the tick log's thread has been stopped"))
    }
}

/// The thread that owns the log of a leader.
#[derive(Debug)]
pub struct LogThread {
    appender: Appender,
    thread: JoinHandle<(Box<dyn Log>, Counter)>,
}

impl LogThread {
    /// Starts the thread for `generation`, whose open counts: `counter` has been fed everything up to it. From here on the counter keeps no
    /// tick records.
    ///
    /// # Errors
    /// `Fenced` if it is not the newest open that counts, `Retry` if the system gives no thread.
    pub fn start(
        log: Box<dyn Log>,
        mut counter: Counter,
        generation: Generation,
        settings: Settings,
        on: impl FnMut(Event) + Send + 'static,
    ) -> Result<LogThread> {
        if counter.generation() != Some(generation) {
            let by = counter.generation().unwrap_or_default();
            return Err(deposed(log.as_ref(), generation, by));
        }
        counter.forget_ticks(Tick::MAX);
        let (requests, queue) = sync_channel(settings.queue_records);
        let shared = Arc::new(Shared {
            last_tick: AtomicU64::new(counter.last_tick()),
            ended: OnceLock::new(),
        });
        let appender = Appender { requests, shared: shared.clone() };
        let on = Box::new(on);
        let holder = Holder { log, counter, generation, settings, shared, on };
        let thread = std::thread::Builder::new()
            .name("tick-log".into())
            .spawn(move || holder.run(&queue))
            .map_err(|e| Error::new(Kind::Retry, format!("no thread for the tick log: {e}")))?;
        Ok(LogThread { appender, thread })
    }

    /// A hand for others to append with.
    pub fn appender(&self) -> Appender {
        self.appender.clone()
    }

    /// Appends what was queued before, ends the thread and gives log and counter back. Later appends fail.
    ///
    /// # Panics
    /// If the callback has panicked on the thread.
    pub fn stop(self) -> (Box<dyn Log>, Counter) {
        // An error says that the thread has ended already.
        let _ = self.appender.send(Request::Stop);
        self.thread.join().expect("the callback of the tick log's thread does not panic")
    }
}

fn deposed(log: &dyn Log, generation: Generation, by: Generation) -> Error {
    Error::new(
        Kind::Fenced,
        format!("{}: generation {by} leads now, generation {generation} ends", log.describe()),
    )
}

/// The thread's side.
struct Holder {
    log: Box<dyn Log>,
    counter: Counter,
    generation: Generation,
    settings: Settings,
    shared: Arc<Shared>,
    on: Box<dyn FnMut(Event) + Send>,
}

/// The thread ends, `on` has been told why.
struct Ended;

impl Holder {
    fn run(mut self, queue: &Receiver<Request>) -> (Box<dyn Log>, Counter) {
        while self.step(queue).is_ok() {}
        (self.log, self.counter)
    }

    fn step(&mut self, queue: &Receiver<Request>) -> Result<(), Ended> {
        let mut request = match queue.recv_timeout(self.settings.look_after) {
            Ok(request) => request,
            Err(RecvTimeoutError::Timeout) => {
                if let Err(e) = self.look()? {
                    tracing::warn!("{e}; looking for a newer leader again in a while");
                }
                return Ok(());
            }
            Err(RecvTimeoutError::Disconnected) => return Err(Ended),
        };
        let mut group = Vec::new();
        let outcome = loop {
            match request {
                Request::Append(record) => group.push(record),
                Request::Mark => {
                    self.append(&mut group)?;
                    group.extend(self.counter.state().map(Record::State));
                }
                Request::Cut(root) => {
                    self.append(&mut group)?;
                    self.cut(root)?;
                }
                Request::Look(reply) => {
                    self.append(&mut group)?;
                    let looked = self.look()?;
                    // Whoever asked may have given up.
                    let _ = reply.send(looked);
                }
                Request::Stop => break Err(Ended),
            }
            if group.len() >= self.settings.group_records {
                break Ok(());
            }
            request = match queue.try_recv() {
                Ok(request) => request,
                Err(TryRecvError::Empty) => break Ok(()),
                Err(TryRecvError::Disconnected) => break Err(Ended),
            };
        };
        self.append(&mut group)?;
        outcome
    }

    fn append(&mut self, group: &mut Vec<Record>) -> Result<(), Ended> {
        if group.is_empty() {
            return Ok(());
        }
        let entries = match self.log.append(group) {
            Ok(entries) => entries,
            Err(error) => {
                // That another one leads says more than that an answer did not come, as after a long halt.
                if error.kind() == Kind::Undecided
                    && let Some(by) = self.newer_open()
                {
                    return Err(self.depose(by));
                }
                return Err(self.fail(error));
            }
        };
        group.clear();
        entries.into_iter().try_for_each(|entry| self.count(entry))
    }

    fn count(&mut self, entry: Entry) -> Result<(), Ended> {
        let Entry { position, record, own } = entry;
        let verdict = self.counter.feed(position, &record);
        match on_record(own, record.generation(), verdict) {
            OnRecord::Act => {
                self.shared.last_tick.store(self.counter.last_tick(), Ordering::Release);
                (self.on)(Event::Counted(record));
                Ok(())
            }
            OnRecord::Ignore => Ok(()),
            OnRecord::End { by } => Err(self.depose(by)),
            OnRecord::Defect(why) => Err(self.fail(Error::internal(format!(
                "{}: {} was appended and does not count: {why}",
                self.log.describe(),
                record.describe()
            )))),
        }
    }

    /// Reads what others have appended, or says that it can't at present.
    fn look(&mut self) -> Result<Result<()>, Ended> {
        let mut entries: Vec<(Position, Record)> = Vec::new();
        let read = self.log.read(&mut |position, record| {
            entries.push((position, record));
            Ok(())
        });
        for (position, record) in entries {
            self.count(Entry { position, record, own: false })?;
        }
        match read {
            Err(e) if e.kind() != Kind::Retry => Err(self.fail(e)),
            read => Ok(read),
        }
    }

    /// The newest open above one's own in what was not read yet, as far as that can be read. Such an open counts, whatever stands
    /// between.
    fn newer_open(&mut self) -> Option<Generation> {
        let mut newest = self.generation;
        let read = self.log.read(&mut |_, record| {
            if let Record::Open(open) = record {
                newest = newest.max(open.generation);
            }
            Ok(())
        });
        if let Err(e) = read {
            tracing::debug!("{e}; who leads is not known");
        }
        (newest > self.generation).then_some(newest)
    }

    fn cut(&mut self, root: Tick) -> Result<(), Ended> {
        let Some(position) = self.counter.cut_for(root) else { return Ok(()) };
        match self.log.cut(position) {
            Ok(()) => {
                self.counter.was_cut(position);
                Ok(())
            }
            Err(e) if e.kind() == Kind::Retry => {
                tracing::warn!("{e}; the log was not cut");
                Ok(())
            }
            Err(e) => Err(self.fail(e)),
        }
    }

    fn depose(&mut self, by: Generation) -> Ended {
        self.end(deposed(self.log.as_ref(), self.generation, by), Event::Deposed { by })
    }

    fn fail(&mut self, error: Error) -> Ended {
        self.end(error.clone(), Event::Failed(error))
    }

    fn end(&mut self, why: Error, event: Event) -> Ended {
        // Only this thread sets it, and only once.
        let _ = self.shared.ended.set(why);
        (self.on)(event);
        Ended
    }
}

#[cfg(test)]
mod tests;
