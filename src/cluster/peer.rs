//! Another process with its two connections, and the one reason why it was lost. What messages say is not known here.

use super::heartbeat::{self, Silence};
use super::lock;
use super::socket::Socket;
use std::io;
use std::net::Shutdown;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A process that goes closes both connections; what it said last on the one for messages is read for so long.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A process that has joined, or that this one has joined.
pub(super) struct Peer {
    process: usize,
    control: Arc<Socket>,
    heartbeat: Arc<Socket>,
    state: Mutex<State>,
    read: Condvar,
}

#[derive(Default)]
struct State {
    /// Why it was lost: the first reason.
    why: Option<String>,
    reading: Reading,
    /// This process goes itself: nothing is lost.
    left: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    NotYet,
    Running,
    Done,
}

impl Peer {
    /// Begins to send and to hear heartbeats, in a thread of its own.
    pub(super) fn start(
        process: usize,
        control: Arc<Socket>,
        heartbeat: Arc<Socket>,
        limit: Duration,
    ) -> io::Result<Arc<Peer>> {
        let (state, read) = (Mutex::default(), Condvar::new());
        let peer = Arc::new(Peer { process, control, heartbeat, state, read });
        let beating = Arc::clone(&peer);
        let run = move || {
            let silence = heartbeat::beat(&beating.heartbeat, limit);
            if !matches!(silence, Silence::TooLong(_)) {
                beating.hear_last_words();
            }
            beating.end(&silence.to_string());
        };
        std::thread::Builder::new().name(format!("cluster:beat-{process}")).spawn(run)?;
        Ok(peer)
    }

    pub(super) fn process(&self) -> usize {
        self.process
    }

    /// The connection for messages.
    pub(super) fn control(&self) -> &Arc<Socket> {
        &self.control
    }

    /// It is lost for this reason, unless it is already: its connections end, and with them the threads on them.
    pub(super) fn end(&self, why: &str) {
        lock(&self.state).why.get_or_insert_with(|| why.to_owned());
        self.shut();
    }

    /// Why it was lost, if it is.
    pub(super) fn ended(&self) -> Option<String> {
        lock(&self.state).why.clone()
    }

    /// Lost before anybody began to read what it says.
    pub(super) fn is_gone(&self) -> bool {
        let state = lock(&self.state);
        state.why.is_some() && state.reading == Reading::NotYet
    }

    /// From here on somebody reads what it says, and tells of its loss.
    pub(super) fn begin_reading(&self) {
        lock(&self.state).reading = Reading::Running;
    }

    /// All that it said is read: why it is lost, or `None` if this process goes itself.
    pub(super) fn done_reading(&self, why: &str) -> Option<String> {
        let mut state = lock(&self.state);
        state.reading = Reading::Done;
        let why = state.why.get_or_insert_with(|| why.to_owned()).clone();
        let left = state.left;
        drop(state);
        self.read.notify_all();
        self.shut();
        (!left).then_some(why)
    }

    /// From here on nothing is a loss.
    pub(super) fn part(&self) {
        lock(&self.state).left = true;
    }

    /// This process goes itself, at once.
    pub(super) fn leave(&self) {
        self.part();
        self.end("this process has left");
    }

    /// Waits until all that it said is read, for at most `time_max`.
    pub(super) fn wait_read(&self, time_max: Duration) {
        let running = |state: &mut State| state.reading == Reading::Running;
        let waited = self.read.wait_timeout_while(lock(&self.state), time_max, running);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn hear_last_words(&self) {
        self.wait_read(LAST_WORDS);
    }

    fn shut(&self) {
        // They fail if the other side was quicker.
        let _ = self.control.shutdown(Shutdown::Both);
        let _ = self.heartbeat.shutdown(Shutdown::Both);
    }
}
