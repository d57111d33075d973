//! The door to the clock.
#![expect(clippy::disallowed_methods, reason = "this is the door")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Now, for measuring how long something took; never part of an output.
pub fn instant() -> Instant {
    Instant::now()
}

/// Where a job gets the wall clock of its decisions.
pub trait Wall: Send + Sync {
    /// Microseconds since the Unix epoch (UTC).
    fn micros(&self) -> i64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Wall for System {
    fn micros(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        }
    }
}
