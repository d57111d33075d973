//! One line that says what holds the job up, from facts.

use crate::ids::Tick;
use std::fmt::Write;

/// Why a source's watermark stands where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatermarkHeld {
    /// A partition has the least stamp while the others are ahead.
    By {
        /// The partition.
        partition: String,
        /// How many records it has not read yet; absent if the transport can't say.
        lag_records: Option<u64>,
    },
    /// Every partition is idle.
    AllIdle,
}

/// Why the clock issues no tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClockHeld {
    /// Operators have not finished earlier ticks.
    Output {
        /// Ticks in the dataflow.
        ticks: u64,
    },
    /// The tick log has not acknowledged earlier ticks.
    Durable {
        /// Ticks on their way to the log.
        ticks: u64,
        /// How long the last append took, in milliseconds.
        append_ms: u64,
    },
    /// A sink has not committed what was released to it.
    Sink {
        /// The sink.
        name: String,
        /// How long its last commit took, in milliseconds.
        commit_ms: u64,
    },
    /// Memory is at its budget.
    Memory {
        /// Per cent of the budget.
        percent: u64,
        /// The process that uses so much, if there are several.
        process: Option<usize>,
    },
}

/// What is known about the job's advance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Ticks replayed and to replay, while replaying.
    pub replay: Option<(Tick, Tick)>,
    /// Sources whose watermark does not move freely, in the order of names.
    pub watermarks: Vec<(String, WatermarkHeld)>,
    /// What stops the clock.
    pub clock: Option<ClockHeld>,
}

/// The line for people; empty if nothing holds the job up.
///
/// ```
/// use tidemark::telemetry::holding::{ClockHeld, Facts, WatermarkHeld, holding};
///
/// let held = WatermarkHeld::By { partition: "3".into(), lag_records: Some(12_400) };
/// let facts = Facts {
///     watermarks: vec![("clicks".into(), held)],
///     clock: Some(ClockHeld::Sink { name: "visits".into(), commit_ms: 340 }),
///     ..Facts::default()
/// };
/// assert_eq!(
///     holding(&facts),
///     "watermark held by clicks/3 (lagging 12,400 records), clock held by sink visits (commit 340 ms)"
/// );
/// ```
pub fn holding(facts: &Facts) -> String {
    let mut parts = Vec::new();
    if let Some((done, of)) = facts.replay {
        parts.push(format!("replaying tick {} of {}", grouped(done), grouped(of)));
    }
    for (source, held) in &facts.watermarks {
        parts.push(match held {
            WatermarkHeld::By { partition, lag_records: None } => {
                format!("watermark held by {source}/{partition}")
            }
            WatermarkHeld::By { partition, lag_records: Some(0) } => {
                format!("watermark held by {source}/{partition} (caught up, waiting for records)")
            }
            WatermarkHeld::By { partition, lag_records: Some(lag) } => {
                let noun = if *lag == 1 { "record" } else { "records" };
                format!("watermark held by {source}/{partition} (lagging {} {noun})", grouped(*lag))
            }
            WatermarkHeld::AllIdle => {
                format!("watermark of {source} stands still (all partitions idle)")
            }
        });
    }
    parts.extend(facts.clock.as_ref().map(|clock| match clock {
        ClockHeld::Output { ticks } => {
            format!("clock held by operators ({} ticks under way)", grouped(*ticks))
        }
        ClockHeld::Durable { ticks, append_ms } => format!(
            "clock held by the tick log ({} ticks not durable, append {} ms)",
            grouped(*ticks),
            grouped(*append_ms)
        ),
        ClockHeld::Sink { name, commit_ms } => {
            format!("clock held by sink {name} (commit {} ms)", grouped(*commit_ms))
        }
        ClockHeld::Memory { percent, process } => {
            let of = process.map(|process| format!(" of process {process}")).unwrap_or_default();
            format!("clock held by memory{of} ({percent} % of memory.budget)")
        }
    }));
    parts.join(", ")
}

/// The number with a comma between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.write_char(digit).expect("writing to a string can't fail");
    }
    out
}

#[cfg(test)]
mod tests;
