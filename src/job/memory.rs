//! `memory.budget`: at 80 % a warning, at 95 % of it in any process the clock stops.

use super::beside;
use super::observe::Observer;
use super::peers::Report;
use super::setup::Setup;
use crate::telemetry::process;
use crate::time::clock;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Per cent of the budget at which the log says so.
const WARN_PERCENT: u64 = 80;
/// Per cent of the budget below which it may be said again.
const CALM_PERCENT: u64 = 75;
/// How often the process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The process's memory against its budget.
#[derive(Debug)]
pub(crate) struct Pressure {
    budget: Option<u64>,
    percent: u64,
    looked: Option<Instant>,
    warned: bool,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Per cent of the budget; 0 without one.
    pub(crate) percent: u64,
    /// The bytes used, if this is the moment to warn.
    pub(crate) warn: Option<u64>,
}

impl Pressure {
    pub(crate) fn new(budget: Option<u64>) -> Pressure {
        Pressure { budget, percent: 0, looked: None, warned: false }
    }

    /// The pressure at `now`; `read` gives the bytes that the process uses, if it can be known. A warning comes once, until the memory
    /// has fallen again.
    pub(crate) fn at(&mut self, now: Instant, read: impl FnOnce() -> Option<u64>) -> Found {
        let quiet = |percent| Found { percent, warn: None };
        let Some(budget) = self.budget else { return quiet(0) };
        if self.looked.is_some_and(|at| now.saturating_duration_since(at) < LOOK_EVERY) {
            return quiet(self.percent);
        }
        self.looked = Some(now);
        let Some(used) = read() else { return quiet(0) };
        let percent = u128::from(used) * 100 / u128::from(budget.max(1));
        self.percent = u64::try_from(percent).unwrap_or(u64::MAX);
        let warn = self.percent >= WARN_PERCENT && !self.warned;
        self.warned = warn || (self.warned && self.percent >= CALM_PERCENT);
        Found { percent: self.percent, warn: warn.then_some(used) }
    }

    /// Per cent of the budget that this process uses now; a warning if it has become much.
    pub(crate) fn look(&mut self, observer: &Observer) -> u64 {
        let resident = || process::read().map(|process| process.resident_bytes);
        let found = self.at(clock::instant(), resident);
        if let Some(used) = found.warn {
            let rows = match &observer.largest()[..] {
                // The leading process knows the rows of all.
                "" => String::new(),
                rows => format!(". Rows: {rows}"),
            };
            tracing::warn!(
                "{} MiB in memory, {} % of memory.budget; at 95 % the clock stops{rows}",
                used >> 20,
                found.percent,
            );
        }
        found.percent
    }
}

/// Starts the thread by which a process that does not lead tells process 0 how much it uses.
pub(crate) fn watch(setup: &Arc<Setup>) {
    let (Some(up), Some(budget)) = (setup.up.clone(), setup.memory_budget) else { return };
    let (mut pressure, mut told) = (Pressure::new(Some(budget)), 0);
    let without = "no thread to watch the memory: this process is not held to memory.budget";
    beside::look(setup, "memory", LOOK_EVERY, without, move |setup| {
        let percent = pressure.look(&setup.observer);
        if percent != told {
            match up.send(0, &Report::Memory(percent)) {
                Ok(()) => told = percent,
                Err(error) => tracing::debug!(%error, "the memory in use could not be told of"),
            }
        }
        ControlFlow::Continue(())
    });
}

#[cfg(test)]
mod tests;
