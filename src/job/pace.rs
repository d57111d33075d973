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
    /// Whether the open tick takes no more on a worker.
    pub(crate) full: bool,
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
    let due = match (facts.full, facts.ready) {
        (true, _) => Duration::ZERO,
        (false, true) => facts.interval,
        (false, false) => bounds.heartbeat,
    };
    match due.checked_sub(facts.since_last) {
        None | Some(Duration::ZERO) => Pace::Open,
        Some(left) => Pace::Wait(left),
    }
}

/// Above this share of its time a worker is loaded: fewer, larger ticks leave it more for records.
const LOADED: f64 = 0.85;
/// Below this share there is time for smaller ticks.
const QUIET: f64 = 0.5;

/// More ticks than this under way mean that they are opened quicker than they come through, though workers may be parked: they wait
/// for each other, or for a core.
const CROWDED: u64 = 4;
/// With no more ticks under way than this there is no queue of them.
const CALM: u64 = 2;

/// The next interval: under load ticks grow, when quiet they are small. `busy` is the share of time that the busiest worker was not
/// parked since the last tick was opened, `ahead` the number of ticks that are open or computed and not yet through the dataflow. So the
/// fixed cost of ticks, which is some of what a worker is busy with, falls until they no longer load it, or until they no longer queue,
/// or the greatest interval is reached.
pub(crate) fn interval(bounds: &Bounds, current: Duration, busy: f64, ahead: u64) -> Duration {
    let next = if busy > LOADED || ahead > CROWDED {
        current * 2
    } else if busy < QUIET && ahead <= CALM {
        current / 2
    } else {
        current
    };
    next.clamp(bounds.interval_min, bounds.interval_max)
}

#[cfg(test)]
mod tests;
