//! A worker's end of the queries: takes requests from a bounded channel, answers those whose tick is complete, keeps the others.
//! [`Inbox::serve`] is called once in every step of the worker's loop and never blocks.

use super::index::{Miss, Size};
use super::kind::{Part, Plan};
use super::shard::{Shards, TickParts};
use crate::error::Result;
use crate::ids::Tick;
use crate::sources::Waker;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::{mpsc, oneshot};

/// Requests that wait in the channel of one worker, and as many again that wait for their tick.
pub const REQUESTS_MAX: usize = 1024;

/// Requests taken in one step of the worker.
const REQUESTS_PER_STEP: usize = 64;

/// Changes after which an item of a feed ends.
const FEED_ROWS_MAX: usize = 50_000;

/// What an inbox answers when it has no rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The tick is not there.
    Miss(Miss),
    /// The worker does not have the view.
    NoSuchView,
    /// Too many requests wait for their tick.
    Busy,
    /// The way to the worker or back failed: why.
    Failed(String),
}

/// A promise to answer.
pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// What is asked of a worker.
pub enum Request {
    /// Rows at a tick.
    Rows {
        /// The view.
        view: String,
        /// The tick.
        tick: Tick,
        /// Which rows.
        plan: Plan,
        /// Whether the tick is to be kept a while if there are more.
        pin: bool,
        /// Where the answer goes.
        reply: Reply<Part>,
    },
    /// The changes of a range of complete ticks.
    Changes {
        /// The view.
        view: String,
        /// The first tick.
        from: Tick,
        /// The last tick.
        to: Tick,
        /// The answer ends after the tick that brings it to more changes than this.
        rows_max: usize,
        /// Where the answer goes.
        reply: Reply<TickParts>,
    },
    /// All changes of released ticks from `from` on, as they are released.
    Follow {
        /// The view.
        view: String,
        /// The first tick.
        from: Tick,
        /// Where they go.
        feed: FeedSender,
    },
    /// How large the view is, and which ticks can be read.
    Size {
        /// The view.
        view: String,
        /// Where the answer goes.
        reply: Reply<(Size, (Tick, Tick))>,
    },
}

impl Request {
    /// The tick that must be complete before it can be answered.
    fn tick(&self) -> Tick {
        match self {
            Request::Rows { tick, .. } => *tick,
            Request::Changes { to, .. } => *to,
            Request::Follow { .. } | Request::Size { .. } => 0,
        }
    }

    /// The view that is asked for.
    pub(super) fn view(&self) -> &str {
        match self {
            Request::Rows { view, .. }
            | Request::Changes { view, .. }
            | Request::Follow { view, .. }
            | Request::Size { view, .. } => view,
        }
    }

    fn is_abandoned(&self) -> bool {
        match self {
            Request::Rows { reply, .. } => reply.is_closed(),
            Request::Changes { reply, .. } => reply.is_closed(),
            Request::Follow { feed, .. } => feed.items.is_closed(),
            Request::Size { reply, .. } => reply.is_closed(),
        }
    }

    fn refuse(self, refusal: Refusal) {
        // Whoever asked may have gone away; then nobody needs the answer.
        match self {
            Request::Rows { reply, .. } => drop(reply.send(Err(refusal))),
            Request::Changes { reply, .. } => drop(reply.send(Err(refusal))),
            // A feed that ends before it began: its reader sees the end.
            Request::Follow { .. } => {}
            Request::Size { reply, .. } => drop(reply.send(Err(refusal))),
        }
    }
}

/// The worker's end of a feed: bounded in bytes, never waits. A full one is dropped, which its reader sees as the end.
pub struct FeedSender {
    items: mpsc::UnboundedSender<TickParts>,
    held: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// The reader's end of a feed.
pub struct FeedReceiver {
    items: mpsc::UnboundedReceiver<TickParts>,
    held: Arc<AtomicUsize>,
}

/// A feed that holds at most about `bytes_max` bytes.
pub fn feed(bytes_max: usize) -> (FeedSender, FeedReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let held = Arc::new(AtomicUsize::new(0));
    let sender = FeedSender { items: sender, held: held.clone(), bytes_max };
    (sender, FeedReceiver { items: receiver, held })
}

/// What an item without changes counts, in bytes.
const ITEM_BYTES: usize = 64;

impl FeedSender {
    /// Whether the feed goes on.
    pub(super) fn send(&self, parts: TickParts) -> bool {
        let bytes = parts.bytes + ITEM_BYTES;
        let before = self.held.fetch_add(bytes, Ordering::AcqRel);
        // One item may be as large as it likes, else a large tick could never be followed.
        (before == 0 || before + bytes <= self.bytes_max) && self.items.send(parts).is_ok()
    }
}

impl FeedReceiver {
    /// The next changes; `None` at the end of the feed.
    pub async fn next(&mut self) -> Option<TickParts> {
        let parts = self.items.recv().await?;
        self.held.fetch_sub(parts.bytes + ITEM_BYTES, Ordering::AcqRel);
        Some(parts)
    }
}

struct Feed {
    view: String,
    next: Tick,
    sender: FeedSender,
}

/// A worker's end of the queries. Lives on the worker's thread.
pub struct Inbox {
    requests: Receiver<Request>,
    waiting: Vec<Request>,
    feeds: Vec<Feed>,
    seen: (Tick, Tick),
    waker: Waker,
}

/// A channel to a new inbox, whose worker `waker` wakes.
pub fn inbox(waker: Waker) -> (SyncSender<Request>, Inbox) {
    let (sender, requests) = sync_channel(REQUESTS_MAX);
    let (waiting, feeds) = (Vec::new(), Vec::new());
    (sender, Inbox { requests, waiting, feeds, seen: (0, 0), waker })
}

impl Inbox {
    /// Completes the shards through `complete_through`, lets go of history behind `released`, answers what can be answered and hands
    /// newly released changes to feeds. Gives the number of requests answered.
    ///
    /// # Errors
    /// As [`super::shard::ViewShard::complete`].
    pub fn serve(
        &mut self,
        shards: &Shards,
        complete_through: Tick,
        released: Tick,
    ) -> Result<usize> {
        if self.seen != (complete_through, released) {
            self.seen = (complete_through, released);
            for shard in shards.values() {
                shard.borrow_mut().complete(complete_through)?;
            }
        }
        let seen = released.min(complete_through);
        self.feeds.retain_mut(|feed| advance(feed, shards, seen));
        let mut answered = 0;
        for request in std::mem::take(&mut self.waiting) {
            answered += self.take(request, shards, complete_through);
        }
        let mut taken = 0;
        while taken < REQUESTS_PER_STEP {
            let Ok(request) = self.requests.try_recv() else { break };
            taken += 1;
            answered += self.take(request, shards, complete_through);
        }
        if taken == REQUESTS_PER_STEP {
            // There may be more, whose wakes have been used up.
            (self.waker)();
        }
        // Last, so that a query for the tick that was newest when it was sent still finds it.
        for shard in shards.values() {
            shard.borrow_mut().release(released);
        }
        Ok(answered)
    }

    /// Whether a request waits for a tick or a feed is open: then ticks without other work matter too.
    pub fn is_watched(&self) -> bool {
        !self.waiting.is_empty() || !self.feeds.is_empty()
    }

    fn take(&mut self, request: Request, shards: &Shards, complete_through: Tick) -> usize {
        if request.is_abandoned() {
            return 0;
        }
        if request.tick() > complete_through {
            if self.waiting.len() < REQUESTS_MAX {
                self.waiting.push(request);
                return 0;
            }
            request.refuse(Refusal::Busy);
            return 1;
        }
        if let Request::Follow { view, from, feed } = request {
            let mut feed = Feed { view, next: from, sender: feed };
            if advance(&mut feed, shards, self.seen.1.min(complete_through)) {
                self.feeds.push(feed);
            }
            return 1;
        }
        answer(request, shards);
        1
    }
}

/// Hands over what is released of a feed; whether the feed goes on.
fn advance(feed: &mut Feed, shards: &Shards, through: Tick) -> bool {
    let Some(shard) = shards.get(&feed.view) else { return false };
    while feed.next <= through {
        match shard.borrow().changes(feed.next, through, FEED_ROWS_MAX) {
            Ok(parts) => {
                feed.next = parts.through + 1;
                if !feed.sender.send(parts) {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
    !feed.sender.items.is_closed()
}

fn answer(request: Request, shards: &Shards) {
    let Some(shard) = shards.get(request.view()) else {
        return request.refuse(Refusal::NoSuchView);
    };
    let mut shard = shard.borrow_mut();
    match request {
        Request::Rows { tick, plan, pin, reply, .. } => {
            drop(reply.send(shard.read(&plan, tick, pin).map_err(Refusal::Miss)));
        }
        Request::Changes { from, to, rows_max, reply, .. } => {
            drop(reply.send(shard.changes(from, to, rows_max).map_err(Refusal::Miss)));
        }
        Request::Size { reply, .. } => drop(reply.send(Ok((shard.size(), shard.kept())))),
        Request::Follow { .. } => {}
    }
}
