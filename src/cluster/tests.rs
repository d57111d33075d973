//! Whole processes as threads of a test, over loopback.
#![expect(clippy::unwrap_used, reason = "tests")]

pub(super) mod certificates;
mod fixture;
mod flood;
mod joining;
mod losses;
mod meshing;
mod refusals;
mod sealed;
