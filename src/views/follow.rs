//! Subscriptions: one task a view merges what the workers release into a [`Ring`]; any number of subscribers read from it. Nobody waits
//! for a subscriber: one that is too slow for the ring is told where to resume, and ends.

use super::QueryError;
use super::inbox::{FeedReceiver, Request, feed};
use super::kind::{Part, ViewKind};
use super::ring::{Place, Read, Ring, TickText, lagged_event, tick_event};
use super::router::Router;
use crate::ids::{Generation, Tick};
use crate::time::clock;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Bounds of subscriptions.
#[derive(Clone, Copy, Debug)]
pub struct FollowLimits {
    /// Bytes of event text kept for each view that is followed.
    pub ring_bytes_max: usize,
    /// Bytes on their way from one worker.
    pub feed_bytes_max: usize,
    /// An event comes at least this often, with or without changes.
    pub heartbeat: Duration,
    /// A ring is kept this long after its last subscriber, so that one that comes back finds it.
    pub linger: Duration,
}

impl Default for FollowLimits {
    fn default() -> Self {
        FollowLimits {
            ring_bytes_max: 8 << 20,
            feed_bytes_max: 32 << 20,
            heartbeat: Duration::from_secs(5),
            linger: Duration::from_secs(30),
        }
    }
}

/// Changes read at a time from the workers' history, for a subscriber that begins before the ring.
const HISTORY_ROWS: usize = 1000;

/// Where a followed view stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Through(Tick),
    Ended,
}

struct Channel {
    generation: Generation,
    ring: Mutex<Ring>,
    stand: watch::Sender<Stand>,
}

impl Channel {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All subscriptions of a process.
pub struct Follows {
    router: Arc<Router>,
    limits: FollowLimits,
    channels: Mutex<BTreeMap<String, Arc<Channel>>>,
}

impl Follows {
    /// No subscriptions yet.
    pub fn new(router: Arc<Router>, limits: FollowLimits) -> Arc<Follows> {
        Arc::new(Follows { router, limits, channels: Mutex::default() })
    }

    /// Changes of `view` from tick `from` on (from now if absent). Called within a tokio runtime.
    ///
    /// # Errors
    /// `Gone` with the oldest tick from which the view can be followed, or another [`QueryError`].
    pub async fn open(
        self: &Arc<Self>,
        view: &str,
        from: Option<Tick>,
        generation: Generation,
    ) -> Result<Subscription, QueryError> {
        let (channel, stand) = self.channel(view, generation)?;
        let from = from.unwrap_or_else(|| self.router.released().now() + 1);
        let mut subscription = Subscription {
            router: self.router.clone(),
            heartbeat: self.limits.heartbeat,
            view: view.to_owned(),
            channel,
            stand,
            place: Place { tick: from, chunk: 0 },
            history: VecDeque::new(),
            state: Progress::CatchingUp,
        };
        let start = subscription.channel.ring().span().0;
        if from < start {
            // Before anything is answered: a tick that is gone is an error, not an event.
            subscription.read_history(start).await?;
        }
        Ok(subscription)
    }

    fn channel(
        self: &Arc<Self>,
        view: &str,
        generation: Generation,
    ) -> Result<(Arc<Channel>, watch::Receiver<Stand>), QueryError> {
        let kind = self.router.view(view)?;
        let mut channels = self.channels();
        if let Some(channel) = channels.get(view) {
            return Ok((channel.clone(), channel.stand.subscribe()));
        }
        let from = self.router.released().now() + 1;
        let mut receivers = Vec::new();
        self.router.send_all(|| {
            let (sender, receiver) = feed(self.limits.feed_bytes_max);
            receivers.push(receiver);
            Request::Follow { view: view.to_owned(), from, feed: sender }
        })?;
        let channel = Arc::new(Channel {
            generation,
            ring: Mutex::new(Ring::new(from, self.limits.ring_bytes_max)),
            stand: watch::Sender::new(Stand::Through(from - 1)),
        });
        channels.insert(view.to_owned(), channel.clone());
        let stand = channel.stand.subscribe();
        tokio::spawn(merge(self.clone(), kind, channel.clone(), receivers, from));
        Ok((channel, stand))
    }

    fn channels(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Channel>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the channel out, but only if nobody reads it when `unread_only`; whether it is out.
    fn remove(&self, view: &str, channel: &Arc<Channel>, unread_only: bool) -> bool {
        let mut channels = self.channels();
        if unread_only && channel.stand.receiver_count() > 0 {
            return false;
        }
        if channels.get(view).is_some_and(|known| Arc::ptr_eq(known, channel)) {
            channels.remove(view);
        }
        true
    }
}

/// Merges the workers' feeds of a view into its ring, tick by tick, until they end or nobody reads.
async fn merge(
    follows: Arc<Follows>,
    kind: Arc<dyn ViewKind>,
    channel: Arc<Channel>,
    mut receivers: Vec<FeedReceiver>,
    from: Tick,
) {
    let view = kind.decl().name.clone();
    let mut through = vec![from - 1; receivers.len()];
    let mut held: BTreeMap<Tick, Vec<Part>> = BTreeMap::new();
    let mut unread_since = None;
    // The worker that is furthest behind says what is whole.
    while let Some((behind, _)) = through.iter().enumerate().min_by_key(|(_, tick)| **tick) {
        let Some(parts) = receivers[behind].next().await else { break };
        through[behind] = parts.through;
        for (tick, part) in parts.ticks {
            held.entry(tick).or_default().push(part);
        }
        let least = through.iter().copied().min().unwrap_or(0);
        if add(&channel, kind.as_ref(), &mut held, least).is_err() {
            break;
        }
        channel.stand.send_replace(Stand::Through(least));
        if channel.stand.receiver_count() > 0 {
            unread_since = None;
            continue;
        }
        let since = *unread_since.get_or_insert_with(clock::instant);
        if since.elapsed() >= follows.limits.linger && follows.remove(&view, &channel, true) {
            return;
        }
    }
    follows.remove(&view, &channel, false);
    channel.stand.send_replace(Stand::Ended);
}

fn add(
    channel: &Channel,
    kind: &dyn ViewKind,
    held: &mut BTreeMap<Tick, Vec<Part>>,
    through: Tick,
) -> Result<(), QueryError> {
    while let Some(first) = held.first_entry().filter(|first| *first.key() <= through) {
        let (tick, parts) = first.remove_entry();
        let rows = kind.changes(tick, parts)?;
        let text = TickText::new(channel.generation, tick, &rows);
        channel.ring().push(text);
    }
    channel.ring().complete(through);
    Ok(())
}

/// How far a subscriber has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Reads what lies before the ring.
    CatchingUp,
    /// Reads the ring.
    Live,
    /// Has had its last event.
    Ended,
}

/// One subscriber's view of a view.
pub struct Subscription {
    router: Arc<Router>,
    heartbeat: Duration,
    view: String,
    channel: Arc<Channel>,
    stand: watch::Receiver<Stand>,
    place: Place,
    history: VecDeque<Bytes>,
    state: Progress,
}

impl Subscription {
    /// The next piece of event text; waits for it, at most as long as a heartbeat. `None` after the last.
    pub async fn next(&mut self) -> Option<Bytes> {
        // Ticks that change nothing here wake it too, and must not put the heartbeat off.
        let begun = clock::instant();
        loop {
            if let Some(text) = self.history.pop_front() {
                return Some(text);
            }
            if self.state == Progress::Ended {
                return None;
            }
            let stand = *self.stand.borrow_and_update();
            let read = self.channel.ring().read(self.place);
            match read {
                Read::Text(text, next) => {
                    self.place = next;
                    self.state = Progress::Live;
                    return Some(text);
                }
                Read::Before(start) if self.state == Progress::CatchingUp => {
                    if self.read_history(start).await.is_err() {
                        return Some(self.lagged());
                    }
                }
                Read::Before(_) => return Some(self.lagged()),
                Read::Wait(_) if stand == Stand::Ended => return Some(self.lagged()),
                Read::Wait(place) => {
                    self.place = place;
                    self.state = Progress::Live;
                    let left = self.heartbeat.saturating_sub(clock::instant() - begun);
                    if tokio::time::timeout(left, self.stand.changed()).await.is_err() {
                        return Some(self.still_here());
                    }
                }
            }
        }
    }

    fn lagged(&mut self) -> Bytes {
        self.state = Progress::Ended;
        lagged_event(self.channel.generation, self.place.tick).into()
    }

    /// What is said when nothing has changed for a while: the tick up to which that holds.
    fn still_here(&self) -> Bytes {
        let (_, through) = self.channel.ring().span();
        if self.place.tick == through + 1 {
            return tick_event(self.channel.generation, through, 0).into();
        }
        Bytes::from_static(b": waiting for the tick asked for\n\n")
    }

    /// Reads changes before tick `end` from the workers.
    async fn read_history(&mut self, end: Tick) -> Result<(), QueryError> {
        let (ticks, through) =
            self.router.changes(&self.view, self.place.tick, end - 1, HISTORY_ROWS).await?;
        for (tick, rows) in ticks {
            self.history.extend(TickText::new(self.channel.generation, tick, &rows).chunks);
        }
        self.place = Place { tick: through + 1, chunk: 0 };
        Ok(())
    }
}
