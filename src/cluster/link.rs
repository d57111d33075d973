//! Messages between process 0 and the others: a queue and a thread for each direction. What they say is the caller's.

use super::frame::{self, Found};
use super::lock;
use super::members::Limits;
use super::peer::Peer;
use super::room::{Held, Room};
use crate::error::{Error, Kind, Result};
use crate::time::clock;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::io::{self, BufReader, Write};
use std::marker::PhantomData;
use std::net::Shutdown;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What a process hears of another one.
#[derive(Debug)]
pub(crate) enum Event<In> {
    /// It has sent this. As long as `held` lives the message counts against [`Limits::queue_bytes_max`]; at the limit no
    /// more is received from that process, until some are dropped.
    Message { from: usize, message: In, held: Held },
    /// It is lost, and nothing more comes from it. Told once, after all its messages.
    Lost { process: usize, why: String },
}

/// Takes events; called by the threads that receive, so it must not block for long.
pub(super) type OnEvent<In> = Arc<dyn Fn(Event<In>) + Send + Sync>;

/// The connections for messages: on process 0 with all others, on the others with process 0.
///
/// May be shared by threads. Dropping it cuts the connections, and what waits in them; [`Control::close`] does not.
pub(crate) struct Control<Out> {
    links: Vec<Option<Link>>,
    message_bytes_max: usize,
    _sent: PhantomData<fn(&Out)>,
}

impl<Out: Serialize> Control<Out> {
    /// Begins to send to and to receive from these processes; `processes` is the number of all.
    pub(super) fn start<In: DeserializeOwned + 'static>(
        peers: &[Arc<Peer>],
        processes: usize,
        limits: &Limits,
        on_event: &OnEvent<In>,
    ) -> io::Result<Control<Out>> {
        let mut links: Vec<_> = (0..processes).map(|_| None).collect();
        for peer in peers {
            links[peer.process()] = Some(Link::start(peer, limits, Arc::clone(on_event))?);
        }
        let message_bytes_max = limits.message_bytes_max;
        Ok(Control { links, message_bytes_max, _sent: PhantomData })
    }

    /// Queues a message for a process, in the order of calls; never waits.
    ///
    /// # Errors
    /// It was not queued. `Retry` if too much waits for that process or it is lost; `Internal` if there is no connection with
    /// that process or the message is too large.
    pub(crate) fn send(&self, to: usize, message: &Out) -> Result<()> {
        let frame = frame::encode(message, self.message_bytes_max)?;
        match self.links.get(to) {
            Some(Some(link)) => link.push(&Arc::from(frame)),
            _ => Err(Error::internal(format!(
                "there is no connection for messages with process {to}"
            ))),
        }
    }

    /// Queues a message for all that this process has a connection with.
    ///
    /// # Errors
    /// As [`Control::send`]; then some may have it queued and others not.
    pub(crate) fn send_all(&self, message: &Out) -> Result<()> {
        let frame = Arc::from(frame::encode(message, self.message_bytes_max)?);
        self.links.iter().flatten().try_for_each(|link| link.push(&frame))
    }

    /// Sends what is queued, closes, and waits until the others have closed too, in all for at most `time_max`. From here on
    /// nobody is lost.
    pub(crate) fn close(self, time_max: Duration) {
        let until = clock::instant() + time_max;
        for link in self.links.iter().flatten() {
            link.peer.part();
            link.queue.close();
        }
        for link in self.links.iter().flatten() {
            link.peer.wait_read(until.saturating_duration_since(clock::instant()));
        }
    }
}

/// The connection for messages with one process.
struct Link {
    peer: Arc<Peer>,
    queue: Arc<Queue>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.peer.leave();
        self.queue.close();
    }
}

impl Link {
    fn start<In: DeserializeOwned + 'static>(
        peer: &Arc<Peer>,
        limits: &Limits,
        on_event: OnEvent<In>,
    ) -> io::Result<Link> {
        let queue = Arc::new(Queue::new(limits.queue_bytes_max));
        // First of all, so that threads that did start end if another can't.
        let link = Link { peer: Arc::clone(peer), queue: Arc::clone(&queue) };
        let process = peer.process();
        let thread =
            |what: &str| std::thread::Builder::new().name(format!("cluster:{what}-{process}"));
        let sender = Arc::clone(peer);
        thread("send").spawn(move || send(&queue, &sender))?;
        let (receiver, limits) = (Arc::clone(peer), limits.clone());
        peer.begin_reading();
        let queue = Arc::clone(&link.queue);
        thread("recv").spawn(move || {
            receive(&receiver, &limits, &on_event);
            queue.close();
        })?;
        Ok(link)
    }

    fn push(&self, frame: &Arc<[u8]>) -> Result<()> {
        let process = self.peer.process();
        let (what, why) = match self.queue.push(frame) {
            Ok(()) => return Ok(()),
            Err(Full::Bytes(waiting)) => {
                ("takes no more messages", format!("{waiting} bytes wait"))
            }
            Err(Full::Closed) => ("is lost", self.peer.ended().unwrap_or_default()),
        };
        Err(Error::new(Kind::Retry, format!("process {process} of the cluster {what}: {why}")))
    }
}

/// Reads messages until the connection ends, then tells that the process is lost.
fn receive<In: DeserializeOwned>(peer: &Peer, limits: &Limits, on_event: &OnEvent<In>) {
    let process = peer.process();
    let room = Room::new(limits.queue_bytes_max);
    let mut reader = BufReader::with_capacity(1 << 16, &**peer.control());
    let why = loop {
        match frame::read(&mut reader, limits.message_bytes_max) {
            Found::Message(message, bytes) => {
                let held = room.take(bytes, || peer.ended().is_some());
                on_event(Event::Message { from: process, message, held });
            }
            Found::End => break "it has closed its connections".to_owned(),
            Found::Broken(why) => break why,
        }
    };
    if let Some(why) = peer.done_reading(&why) {
        on_event(Event::Lost { process, why });
    }
}

/// Writes what is queued until the queue is closed and empty.
fn send(queue: &Queue, peer: &Peer) {
    let mut stream = &**peer.control();
    while let Some(frames) = queue.take() {
        for frame in &frames {
            if let Err(error) = stream.write_all(frame) {
                queue.close();
                // Whoever receives finds the end of the connection too, after what is left to read.
                tracing::debug!(%error, process = peer.process(), "a message could not be sent");
                return;
            }
        }
        queue.sent(&frames);
    }
    // It fails if the other side was quicker.
    let _ = stream.shutdown(Shutdown::Write);
}

/// Frames that wait to be sent, bounded in bytes.
struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
    bytes_max: usize,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Arc<[u8]>>,
    /// Of those that wait and those that are being written.
    bytes: usize,
    closed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Full {
    /// So many bytes wait already.
    Bytes(usize),
    Closed,
}

impl Queue {
    fn new(bytes_max: usize) -> Queue {
        Queue { state: Mutex::default(), changed: Condvar::new(), bytes_max }
    }

    /// One frame may always wait, however large it is with its head.
    fn push(&self, frame: &Arc<[u8]>) -> Result<(), Full> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(Full::Closed);
        }
        if state.bytes > 0 && state.bytes + frame.len() > self.bytes_max {
            return Err(Full::Bytes(state.bytes));
        }
        state.bytes += frame.len();
        state.frames.push_back(Arc::clone(frame));
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// All that waits, as soon as something does; `None` when it is closed and empty.
    fn take(&self) -> Option<VecDeque<Arc<[u8]>>> {
        let idle = |state: &mut Waiting| state.frames.is_empty() && !state.closed;
        let waited = self.changed.wait_while(lock(&self.state), idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        (!state.frames.is_empty()).then(|| std::mem::take(&mut state.frames))
    }

    /// These are written.
    fn sent(&self, frames: &VecDeque<Arc<[u8]>>) {
        lock(&self.state).bytes -= frames.iter().map(|frame| frame.len()).sum::<usize>();
    }

    /// Nothing more is queued.
    fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
