//! How many bytes of received messages may be held at a time. It knows nothing of what they say.

use super::lock;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often one that waits looks whether it still has to.
const LOOK: Duration = Duration::from_millis(50);

/// Room for the bytes of messages from one process.
pub(super) struct Room {
    used: Mutex<usize>,
    freed: Condvar,
    bytes_max: usize,
}

/// The room that a received message takes; given back when this is dropped.
pub(crate) struct Held {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    pub(super) fn new(bytes_max: usize) -> Arc<Room> {
        Arc::new(Room { used: Mutex::new(0), freed: Condvar::new(), bytes_max })
    }

    /// Takes room, waiting until there is some or `give_up` says so: then it is taken beyond the limit.
    pub(super) fn take(self: &Arc<Room>, bytes: usize, give_up: impl Fn() -> bool) -> Held {
        let mut used = lock(&self.used);
        while *used > 0 && *used + bytes > self.bytes_max && !give_up() {
            used = self.freed.wait_timeout(used, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        *used += bytes;
        Held { room: Arc::clone(self), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *lock(&self.room.used) -= self.bytes;
        self.room.freed.notify_all();
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.bytes)
    }
}

#[cfg(test)]
mod tests;
