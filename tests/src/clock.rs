//! The clock of the tests: deadlines only. No test's verdict depends on how fast something was.
#![expect(clippy::disallowed_methods, reason = "the tests' own door to the clock")]

use std::time::{Duration, Instant, SystemTime};

/// Now, for deadlines and for figures that are printed.
pub fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since the Unix epoch, to compare with what other programs on this machine wrote down.
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.expect("it is after 1970").as_millis()).expect("milliseconds fit")
}

/// The point in time after which waiting is given up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    begun: Instant,
    limit: Duration,
}

impl Deadline {
    /// `limit` from now.
    pub fn after(limit: Duration) -> Deadline {
        Deadline { begun: now(), limit }
    }

    /// What is left; `None` once it has passed.
    pub fn left(&self) -> Option<Duration> {
        self.limit.checked_sub(self.begun.elapsed()).filter(|left| !left.is_zero())
    }

    /// The whole time allowed.
    pub fn limit(&self) -> Duration {
        self.limit
    }
}
