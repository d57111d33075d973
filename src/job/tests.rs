//! Whole jobs: what a damaged store does to a start, and what a snapshot costs the workers.
#![expect(clippy::unwrap_used, reason = "tests")]

mod damage;
mod idle;
mod touched;
