//! The newest tick that may be seen: worker 0 moves it once the main and the durable frontier have passed a tick.

use crate::ids::Tick;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// The newest released tick. It never goes back.
#[derive(Debug)]
pub struct Released {
    now: AtomicU64,
    moved: watch::Sender<Tick>,
}

impl Default for Released {
    fn default() -> Self {
        Released { now: AtomicU64::new(0), moved: watch::Sender::new(0) }
    }
}

impl Released {
    /// The newest released tick; 0 before the first.
    pub fn now(&self) -> Tick {
        self.now.load(Ordering::Acquire)
    }

    /// Releases every tick up to `tick`; a lower one than before changes nothing.
    pub fn advance(&self, tick: Tick) {
        if self.now.fetch_max(tick, Ordering::AcqRel) < tick {
            self.moved.send_if_modified(|seen| {
                let further = *seen < tick;
                *seen = (*seen).max(tick);
                further
            });
        }
    }

    /// Waits until `tick` is released and gives the newest released one then.
    pub async fn reach(&self, tick: Tick) -> Tick {
        let mut moved = self.moved.subscribe();
        // The sender lives in `self`, so waiting can't fail.
        let _ = moved.wait_for(|now| *now >= tick).await;
        self.now()
    }
}

#[cfg(test)]
mod tests;
