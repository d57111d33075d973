//! State is bounded by live rows, and nothing grows with the number of ticks: the whole engine over a real directory and a file as tick
//! log, measured from outside. In short as part of `./test`; `./test bounded` runs the same over 20 M updates, optimised.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::cast_precision_loss, reason = "numbers are compared by their ratio")]

mod flow;
mod heap;
mod input;
mod job;
mod measure;
mod rest;
mod rows;
mod ticks;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is measured belongs to the process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that `./test bounded` makes greater.
fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.replace('_', "").parse().unwrap(),
        Err(_) => otherwise,
    }
}

#[expect(clippy::print_stderr, reason = "the figures are half of what the test is for")]
fn say(text: &str) {
    eprintln!("{text}");
}
