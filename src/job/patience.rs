//! Trying again at the start what is away for a while, and saying so. It decides nothing about what failed for good.

use crate::error::{Kind, Result};
use crate::time::clock;
use std::time::Duration;

/// Tries `step` again while it says `Retry` or `Undecided`, for at most `for_max`.
pub(crate) fn persist<T>(
    what: &str,
    for_max: Duration,
    mut step: impl FnMut() -> Result<T>,
) -> Result<T> {
    let begun = clock::instant();
    let mut wait = Duration::from_millis(100);
    loop {
        match step() {
            Err(error)
                if matches!(error.kind(), Kind::Retry | Kind::Undecided)
                    && clock::instant() - begun < for_max =>
            {
                tracing::warn!(%error, "{what} is tried again in {wait:?}");
                std::thread::sleep(wait);
                wait = (wait * 2).min(Duration::from_secs(3));
            }
            outcome => return outcome,
        }
    }
}
