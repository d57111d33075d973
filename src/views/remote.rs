//! Queries to workers of other processes: the first process asks, with its requests as text, and the others answer.
//!
//! ```text
//! first: Router -> Relay::port -> ask(worker, id, Question) ~~> Answering::asked -> Router -> worker's inbox     : the other
//!        reply  <- Relay::answered <~~ say(id, Answer)      <~~ a task that awaits the worker's reply or its feed
//! ```
//! How questions and answers travel is the caller's; each question but [`Question::Leave`] is answered, a feed until its end.

use super::QueryError;
use super::inbox::{FeedReceiver, FeedSender, Refusal, Reply, Request, feed};
use super::index::Size;
use super::kind::{Form, Part, ViewKind};
use super::router::{Port, Router};
use super::shard::TickParts;
use crate::error::{Error, Kind, Result};
use crate::ids::Tick;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// Between two tries to send what the way to the first process has no room for.
const PAUSE: Duration = Duration::from_millis(20);

/// What is asked of a worker of another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Question {
    /// As [`Request::Rows`].
    Rows { view: String, tick: Tick, plan: String, pin: bool },
    /// As [`Request::Changes`].
    Changes { view: String, from: Tick, to: Tick, rows_max: usize },
    /// As [`Request::Follow`].
    Follow { view: String, from: Tick },
    /// As [`Request::Size`].
    Size { view: String },
    /// Nobody follows any more under this number.
    Leave,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Rows of a view.
    Rows(Result<String, Refusal>),
    /// Changes of a view.
    Changes(Result<Ticks, Refusal>),
    /// How large its part of a view is, and which ticks can be read.
    Size(Result<(Size, (Tick, Tick)), Refusal>),
    /// The next item of a feed; none at its end.
    Feed(Option<Ticks>),
}

/// [`TickParts`] as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ticks {
    ticks: Vec<(Tick, String)>,
    through: Tick,
    bytes: usize,
}

impl Ticks {
    fn of(kind: &dyn ViewKind, parts: TickParts) -> Result<Ticks, QueryError> {
        let text = |(tick, part)| Ok((tick, kind.send(&(Form::Changes, part))?));
        let ticks = parts.ticks.into_iter().map(text).collect::<Result<_, QueryError>>()?;
        Ok(Ticks { ticks, through: parts.through, bytes: parts.bytes })
    }

    fn parts(self, kind: &dyn ViewKind) -> Result<TickParts, QueryError> {
        let part = |(tick, text): (Tick, String)| Ok((tick, kind.receive(Form::Changes, &text)?));
        let ticks = self.ticks.into_iter().map(part).collect::<Result<_, QueryError>>()?;
        Ok(TickParts { ticks, through: self.through, bytes: self.bytes })
    }
}

fn refusal(error: &QueryError) -> Refusal {
    match error {
        QueryError::Busy => Refusal::Busy,
        QueryError::NoSuchView { .. } => Refusal::NoSuchView,
        other => Refusal::Failed(other.to_string()),
    }
}

/// Sends a question to a worker under a number of this process's.
type Ask = Box<dyn Fn(usize, u64, Question) -> Result<()> + Send + Sync>;

/// The first process's end.
pub(crate) struct Relay {
    /// Weak, since the router has the ports, which have this.
    router: Weak<Router>,
    ask: Ask,
    waiting: Mutex<BTreeMap<u64, Waiting>>,
    asked: AtomicU64,
}

/// Who waits for an answer, and of which worker.
struct Waiting {
    worker: usize,
    kind: Arc<dyn ViewKind>,
    reply: Awaits,
}

enum Awaits {
    Rows(Reply<Part>),
    Changes(Reply<TickParts>),
    Size(Reply<(Size, (Tick, Tick))>),
    Feed(FeedSender),
}

impl Relay {
    /// For the queries of `router`; `ask` takes questions to the other processes without waiting.
    pub(crate) fn new(
        router: &Arc<Router>,
        ask: impl Fn(usize, u64, Question) -> Result<()> + Send + Sync + 'static,
    ) -> Arc<Relay> {
        Arc::new(Relay {
            router: Arc::downgrade(router),
            ask: Box::new(ask),
            waiting: Mutex::default(),
            asked: AtomicU64::new(0),
        })
    }

    /// Takes requests to worker `worker`, which is in another process.
    pub(crate) fn port(self: &Arc<Relay>, worker: usize) -> Port {
        let relay = Arc::clone(self);
        Arc::new(move |request| relay.forward(worker, request))
    }

    fn forward(&self, worker: usize, request: Request) -> Result<(), QueryError> {
        let router = self.router.upgrade().ok_or(QueryError::Away)?;
        let kind = router.view(request.view())?;
        let (question, reply) = match request {
            Request::Rows { view, tick, plan, pin, reply } => {
                let plan = kind.send(&(Form::Plan, plan))?;
                (Question::Rows { view, tick, plan, pin }, Awaits::Rows(reply))
            }
            Request::Changes { view, from, to, rows_max, reply } => {
                (Question::Changes { view, from, to, rows_max }, Awaits::Changes(reply))
            }
            Request::Follow { view, from, feed } => {
                (Question::Follow { view, from }, Awaits::Feed(feed))
            }
            Request::Size { view, reply } => (Question::Size { view }, Awaits::Size(reply)),
        };
        let id = self.asked.fetch_add(1, Ordering::Relaxed);
        self.waiting().insert(id, Waiting { worker, kind, reply });
        (self.ask)(worker, id, question).map_err(|error| {
            self.waiting().remove(&id);
            tracing::debug!(%error, worker, "a query could not be sent");
            QueryError::Away
        })
    }

    /// Takes the answer that came under a number.
    pub(crate) fn answered(&self, id: u64, answer: Answer) {
        let Some(Waiting { worker, kind, reply }) = self.waiting().remove(&id) else {
            // The end of a feed that this end has left, or what was on its way then.
            return;
        };
        let failed = |error: QueryError| Refusal::Failed(error.to_string());
        // Whoever asked may be gone; then nobody needs the answer.
        match (reply, answer) {
            (Awaits::Rows(reply), Answer::Rows(rows)) => {
                let part = |text: String| kind.receive(Form::Rows, &text).map_err(failed);
                drop(reply.send(rows.and_then(part)));
            }
            (Awaits::Changes(reply), Answer::Changes(ticks)) => {
                let parts = |ticks: Ticks| ticks.parts(kind.as_ref()).map_err(failed);
                drop(reply.send(ticks.and_then(parts)));
            }
            (Awaits::Size(reply), Answer::Size(size)) => drop(reply.send(size)),
            (Awaits::Feed(feed), Answer::Feed(Some(ticks))) => {
                let parts = ticks.parts(kind.as_ref());
                if parts.is_ok_and(|parts| feed.send(parts)) {
                    let reply = Awaits::Feed(feed);
                    self.waiting().insert(id, Waiting { worker, kind, reply });
                } else if let Err(error) = (self.ask)(worker, id, Question::Leave) {
                    tracing::debug!(%error, worker, "the end of a subscription could not be sent");
                }
            }
            (Awaits::Feed(_), Answer::Feed(None)) => {}
            _ => tracing::error!(worker, id, "a worker answered what it was not asked"),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends an answer. `Retry` says that there is no room now.
type Say = Arc<dyn Fn(u64, Answer) -> Result<()> + Send + Sync>;

/// The end of a process that is asked. Dropping it ends what is under way.
pub(crate) struct Answering {
    router: Arc<Router>,
    say: Say,
    runtime: tokio::runtime::Runtime,
    feeds: Arc<Mutex<BTreeMap<u64, AbortHandle>>>,
    feed_bytes_max: usize,
}

impl Answering {
    /// Answers with `say` from the workers of `router`, which are in this process.
    ///
    /// # Errors
    /// `Internal` if there is no thread for it.
    pub(crate) fn start(
        router: Arc<Router>,
        feed_bytes_max: usize,
        say: impl Fn(u64, Answer) -> Result<()> + Send + Sync + 'static,
    ) -> Result<Answering> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("answers")
            .enable_time()
            .build()
            .map_err(|e| Error::internal(format!("no thread to answer queries: {e}")))?;
        Ok(Answering { router, say: Arc::new(say), runtime, feeds: Arc::default(), feed_bytes_max })
    }

    /// Takes a question; the answer comes later.
    pub(crate) fn asked(&self, worker: usize, id: u64, question: Question) {
        match question {
            Question::Rows { view, tick, plan, pin } => {
                let kind = self.router.view(&view);
                let asked = kind.and_then(|kind| {
                    let plan = kind.receive(Form::Plan, &plan)?;
                    let (reply, answer) = oneshot::channel();
                    self.router.send(worker, Request::Rows { view, tick, plan, pin, reply })?;
                    Ok((kind, answer))
                });
                self.answer(id, asked, Answer::Rows, |kind, part| kind.send(&(Form::Rows, part)));
            }
            Question::Changes { view, from, to, rows_max } => {
                let asked = self.router.view(&view).and_then(|kind| {
                    let (reply, answer) = oneshot::channel();
                    let request = Request::Changes { view, from, to, rows_max, reply };
                    self.router.send(worker, request)?;
                    Ok((kind, answer))
                });
                self.answer(id, asked, Answer::Changes, Ticks::of);
            }
            Question::Size { view } => {
                let asked = self.router.view(&view).and_then(|kind| {
                    let (reply, answer) = oneshot::channel();
                    self.router.send(worker, Request::Size { view, reply })?;
                    Ok((kind, answer))
                });
                self.answer(id, asked, Answer::Size, |_, size| Ok(size));
            }
            Question::Follow { view, from } => self.follow(worker, id, view, from),
            Question::Leave => {
                if let Some(task) = lock(&self.feeds).remove(&id) {
                    task.abort();
                }
            }
        }
    }

    /// Awaits what a worker gives and says it.
    fn answer<T: Send + 'static, W: Send + 'static>(
        &self,
        id: u64,
        asked: Result<(Arc<dyn ViewKind>, oneshot::Receiver<Result<T, Refusal>>), QueryError>,
        wrap: fn(Result<W, Refusal>) -> Answer,
        text: fn(&dyn ViewKind, T) -> Result<W, QueryError>,
    ) {
        let say = Arc::clone(&self.say);
        self.runtime.spawn(async move {
            let outcome = match asked {
                Ok((kind, answer)) => match answer.await {
                    Ok(given) => given.and_then(|given| {
                        text(kind.as_ref(), given).map_err(|error| refusal(&error))
                    }),
                    Err(_) => Err(refusal(&QueryError::Away)),
                },
                Err(error) => Err(refusal(&error)),
            };
            if let Err(error) = say_soon(&say, id, wrap(outcome)).await {
                // An answer that is too large is none; there is room for the reason.
                let why = wrap(Err(Refusal::Failed(error.message().to_owned())));
                drop(say_soon(&say, id, why).await);
            }
        });
    }

    fn follow(&self, worker: usize, id: u64, view: String, from: Tick) {
        let (sender, receiver) = feed(self.feed_bytes_max);
        let kind = self.router.view(&view).and_then(|kind| {
            self.router.send(worker, Request::Follow { view, from, feed: sender })?;
            Ok(kind)
        });
        let (say, feeds) = (Arc::clone(&self.say), Arc::clone(&self.feeds));
        // Held until the task is noted, so that it can't end before.
        let mut noted = lock(&self.feeds);
        let task = self.runtime.spawn(async move {
            if let Ok(kind) = kind {
                pass_on(&say, id, kind.as_ref(), receiver).await;
            }
            drop(say_soon(&say, id, Answer::Feed(None)).await);
            lock(&feeds).remove(&id);
        });
        noted.insert(id, task.abort_handle());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says what a feed gives until it ends or can't be said.
async fn pass_on(say: &Say, id: u64, kind: &dyn ViewKind, mut receiver: FeedReceiver) {
    while let Some(parts) = receiver.next().await {
        let said = match Ticks::of(kind, parts) {
            Ok(ticks) => say_soon(say, id, Answer::Feed(Some(ticks))).await,
            Err(error) => Err(Error::internal(error.to_string())),
        };
        if let Err(error) = said {
            tracing::warn!(%error, view = kind.decl().name, "a subscription ends");
            return;
        }
    }
}

/// Says it as soon as there is room.
async fn say_soon(say: &Say, id: u64, answer: Answer) -> Result<()> {
    loop {
        match say(id, answer.clone()) {
            Err(error) if error.kind() == Kind::Retry => tokio::time::sleep(PAUSE).await,
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests;
