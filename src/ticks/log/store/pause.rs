//! Waiting for a store that does not answer, and saying so.

use crate::error::{Error, Kind, Result};
use std::time::Duration;

const WAIT_MIN: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(3);

/// The pauses between the tries of one step, each longer than the last.
pub(super) struct Pause {
    what: String,
    wait: Duration,
}

impl Pause {
    /// `what` says in messages which step is held up.
    pub(super) fn new(what: String) -> Pause {
        Pause { what, wait: WAIT_MIN }
    }

    /// Waits after a try that ended in `error`.
    pub(super) fn wait(&mut self, error: &Error) {
        tracing::warn!(
            "{} is held up, no tick is released meanwhile, trying again in {:?}: {error}",
            self.what,
            self.wait
        );
        std::thread::sleep(self.wait);
        self.wait = (self.wait * 2).min(WAIT_MAX);
    }

    /// The outcome of `step`, which changes nothing, once the store has answered it.
    ///
    /// # Errors
    /// Whatever `step` gave that is not `Retry`.
    pub(super) fn until_read<T>(&mut self, mut step: impl FnMut() -> Result<T>) -> Result<T> {
        loop {
            match step() {
                Err(error) if error.kind() == Kind::Retry => self.wait(&error),
                outcome => return outcome,
            }
        }
    }
}
