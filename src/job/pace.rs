//! When the clock opens the next tick, and what holds it. Pure.

use std::time::Duration;

/// Bounds of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Least time between two ticks.
    pub interval_min: Duration,
    /// Greatest time that the interval adapts to.
    pub interval_max: Duration,
    /// A tick is opened after this time though nothing is ready.
    pub heartbeat: Duration,
    /// Ticks that may be open or computed and not yet through the dataflow.
    pub ahead_max: u64,
    /// Ticks that may be read and not yet known to count.
    pub durable_ahead_max: u64,
    /// Bytes that may be released to a sink and not yet committed.
    pub sink_bytes_max: u64,
}

/// What the clock knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Whether a worker has something in the open tick, or a watermark moved, or a command waits.
    pub(crate) ready: bool,
    /// Time since the last opening.
    pub(crate) since_last: Duration,
    /// The interval in force.
    pub(crate) interval: Duration,
    /// Ticks opened and not through the dataflow.
    pub(crate) ahead: u64,
    /// Ticks opened and not known to count.
    pub(crate) durable_ahead: u64,
    /// The most bytes that a sink has not committed.
    pub(crate) sink_bytes: u64,
    /// Per cent of the memory's budget that is used; 0 without a budget, or if the next tick is to end the job.
    pub(crate) memory_percent: u64,
}

/// What the clock does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Opens the next tick.
    Open,
    /// Waits at most this long, or until something becomes ready.
    Wait(Duration),
    /// Waits for a window.
    Held(Window),
}

/// A window that is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Window {
    /// Ticks beyond the output probe.
    Dataflow,
    /// Ticks beyond the durable frontier.
    Log,
    /// Bytes released to a sink and not committed.
    Sink,
    /// Memory of the process.
    Memory,
}

/// Per cent of the memory's budget at which the clock stops.
const MEMORY_PERCENT_MAX: u64 = 95;

/// Decides. Windows come first: a full one holds whatever is ready.
pub(crate) fn pace(bounds: &Bounds, facts: &Facts) -> Pace {
    if facts.ahead >= bounds.ahead_max {
        return Pace::Held(Window::Dataflow);
    }
    if facts.durable_ahead >= bounds.durable_ahead_max {
        return Pace::Held(Window::Log);
    }
    if facts.sink_bytes >= bounds.sink_bytes_max {
        return Pace::Held(Window::Sink);
    }
    if facts.memory_percent >= MEMORY_PERCENT_MAX {
        return Pace::Held(Window::Memory);
    }
    let due = if facts.ready { facts.interval } else { bounds.heartbeat };
    match due.checked_sub(facts.since_last) {
        None | Some(Duration::ZERO) => Pace::Open,
        Some(left) => Pace::Wait(left),
    }
}

/// The interval that keeps the fixed cost of ticks below a fifth of worker time: at least five times what a tick lately cost
/// beside its records, within the bounds.
pub(crate) fn interval(bounds: &Bounds, tick_cost: Duration) -> Duration {
    (tick_cost * 5).clamp(bounds.interval_min, bounds.interval_max)
}

#[cfg(test)]
mod tests;
