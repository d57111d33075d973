//! What lies between workers and the persister's thread. It knows no store.

use super::{Counters, Part};
use crate::ids::Tick;
use crate::state::changes::Changes;
use crate::state::compaction::Merged;
use crate::state::manifest::ManifestFacts;
use crate::time::clock;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Buffers that are kept to be used again.
const RECYCLED_MAX: usize = 16;

/// Something for the thread to do.
#[derive(Debug)]
pub(super) enum Message {
    Changes(Changes),
    Expect(Tick),
    Finished(usize, Tick),
    Facts(Box<ManifestFacts>),
    Part(Box<Part>),
    Merged(Box<Merged>),
}

/// A queue bounded by bytes. A mutex and two conditions rather than a channel, since the bound is in bytes and buffers
/// come back through the same lock.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
    bytes_max: usize,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    bytes: usize,
    recycled: Vec<Vec<u8>>,
    closed: bool,
    /// Objects that are being written, or that the next manifest builds on.
    lineage: BTreeSet<String>,
    /// Objects of manifests whose record is not known to count.
    uncounted: BTreeMap<Tick, Vec<String>>,
}

impl Queue {
    pub(super) fn new(bytes_max: usize, counters: Arc<Counters>) -> Queue {
        Queue {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            bytes_max,
            counters,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is held")
    }

    /// Waits for room; one hand-over always fits an empty queue. Thrown away once the queue is closed.
    pub(super) fn push_changes(&self, changes: Changes) -> Vec<u8> {
        let len = changes.len();
        let mut state = self.lock();
        let full =
            |state: &State| !state.closed && state.bytes > 0 && state.bytes + len > self.bytes_max;
        if full(&state) {
            let since = clock::instant();
            self.counters.waiting.fetch_add(1, Ordering::Relaxed);
            while full(&state) {
                state = self.emptied.wait(state).expect("no panic while it is held");
            }
            let waited = clock::instant().duration_since(since).as_micros() as u64;
            self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counters.waits.fetch_add(1, Ordering::Relaxed);
            self.counters.waited_us.fetch_add(waited, Ordering::Relaxed);
        }
        if state.closed {
            return changes.into_bytes();
        }
        state.bytes += len;
        self.counters.queued_bytes.store(state.bytes as u64, Ordering::Relaxed);
        state.messages.push_back(Message::Changes(changes));
        self.filled.notify_one();
        state.recycled.pop().unwrap_or_default()
    }

    pub(super) fn push(&self, message: Message) {
        let mut state = self.lock();
        if !state.closed {
            state.messages.push_back(message);
            self.filled.notify_one();
        }
    }

    /// The next message; `None` once the queue is closed.
    pub(super) fn pop(&self) -> Option<Message> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(message) = state.messages.pop_front() {
                return Some(message);
            }
            state = self.filled.wait(state).expect("no panic while it is held");
        }
    }

    /// Says that changes are dealt with: makes room and takes their memory back.
    pub(super) fn done(&self, changes: Changes) {
        let mut state = self.lock();
        state.bytes -= changes.len();
        self.counters.queued_bytes.store(state.bytes as u64, Ordering::Relaxed);
        if state.recycled.len() < RECYCLED_MAX {
            state.recycled.push(changes.into_bytes());
        }
        self.emptied.notify_all();
    }

    /// Ends everything: waiting workers go on, the thread stops.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// Waits; gives `false` if the queue was closed meanwhile.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let deadline = clock::instant() + time;
        let mut state = self.lock();
        while !state.closed {
            let left = deadline.saturating_duration_since(clock::instant());
            if left.is_zero() {
                return true;
            }
            state = self.filled.wait_timeout(state, left).expect("no panic while it is held").0;
        }
        false
    }

    /// Objects that are about to be written.
    pub(super) fn hold(&self, names: impl IntoIterator<Item = String>) {
        self.lock().lineage.extend(names);
    }

    /// The list that the next manifest builds on, after it has changed. Objects being written stay.
    pub(super) fn release(&self, names: &[String]) {
        let mut state = self.lock();
        for name in names {
            state.lineage.remove(name);
        }
    }

    /// A manifest is about to be written with these objects.
    pub(super) fn uncounted(&self, tick: Tick, names: Vec<String>) {
        self.lock().uncounted.insert(tick, names);
    }

    pub(super) fn uncounted_until(&self, tick: Tick) {
        let mut state = self.lock();
        state.uncounted = state.uncounted.split_off(&tick);
    }

    pub(super) fn held(&self) -> BTreeSet<String> {
        let state = self.lock();
        state.lineage.iter().chain(state.uncounted.values().flatten()).cloned().collect()
    }
}
