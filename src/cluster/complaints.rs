//! What is wrong with connections, in the log: each kind once in a while with its number, however many come.

use super::lock;
use super::refusal::Refusal;
use crate::time::clock;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Between two lines about one kind.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts refusals and logs some.
#[derive(Default)]
pub(super) struct Complaints {
    kinds: Mutex<BTreeMap<Refusal, Seen>>,
}

#[derive(Default)]
struct Seen {
    /// When a line was last written.
    told: Option<Instant>,
    /// Since then.
    count: u64,
    total: u64,
}

impl Seen {
    /// One more: the number to tell now, if it is time.
    fn due(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        self.total += 1;
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < INTERVAL) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

impl Complaints {
    /// A connection from `from` was refused. A reason is text of this side, or of one who has proved the secret.
    pub(super) fn about(&self, refusal: Refusal, from: Option<SocketAddr>, reason: &str) {
        let due = lock(&self.kinds).entry(refusal).or_default().due(clock::instant());
        if let Some(count) = due {
            let from = from.map_or_else(|| "an unknown address".into(), |from| from.to_string());
            let what = refusal.name();
            tracing::warn!(count, %from, reason, "connections of the cluster are refused: {what}");
        }
    }

    /// How many there were of a kind.
    #[cfg(test)]
    pub(super) fn count(&self, refusal: Refusal) -> u64 {
        lock(&self.kinds).get(&refusal).map_or(0, |seen| seen.total)
    }
}

#[cfg(test)]
mod tests;
