//! How many connections may be in a handshake at a time: beyond it the oldest goes. It knows nothing of what they say.

use super::lock;
use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long one that was dropped is waited for before the next oldest is dropped too.
const GOING: Duration = Duration::from_millis(100);

/// The connections that are in a handshake.
pub(super) struct Crowd {
    state: Mutex<State>,
    left: Condvar,
    max: usize,
}

#[derive(Default)]
struct State {
    number: u64,
    /// Those not yet told to go, the oldest first.
    inside: VecDeque<(u64, Arc<TcpStream>)>,
    /// With those that were told to go and have not left.
    count: usize,
}

/// A connection in a handshake; it leaves when this is dropped.
pub(super) struct Inside {
    crowd: Arc<Crowd>,
    number: u64,
}

impl Crowd {
    pub(super) fn new(max: usize) -> Arc<Crowd> {
        Arc::new(Crowd { state: Mutex::default(), left: Condvar::new(), max })
    }

    /// Lets one in, and tells how many were dropped for it. Waits only for those that it dropped, whose reads end at once.
    pub(super) fn enter(self: &Arc<Crowd>, stream: &Arc<TcpStream>) -> (Inside, usize) {
        let mut dropped = 0;
        let mut state = lock(&self.state);
        while state.count >= self.max {
            if let Some((_, oldest)) = state.inside.pop_front() {
                // It fails if they were quicker.
                let _ = oldest.shutdown(Shutdown::Both);
                dropped += 1;
            }
            let waited = self.left.wait_timeout(state, GOING);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let number = state.number;
        state.number += 1;
        state.count += 1;
        state.inside.push_back((number, Arc::clone(stream)));
        (Inside { crowd: Arc::clone(self), number }, dropped)
    }

    /// Ends all handshakes.
    pub(super) fn clear(&self) {
        for (_, stream) in lock(&self.state).inside.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let mut state = lock(&self.crowd.state);
        state.inside.retain(|(number, _)| *number != self.number);
        state.count -= 1;
        self.crowd.left.notify_one();
    }
}
