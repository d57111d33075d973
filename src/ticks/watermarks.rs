//! A source's watermark as a function of its partitions. Pure; who reads and who waits is not known here.

use super::record::Activity;

/// What the watermark needs to know of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionTime {
    /// The greatest event time so far, in microseconds; `None` before the first record.
    pub event_time_max: Option<i64>,
    /// By how much records may be out of order, in microseconds.
    pub lag: i64,
    /// Whether it takes part.
    pub activity: Activity,
}

impl PartitionTime {
    /// The greatest event time so far minus the lag; `None` before the first record.
    pub fn stamp(&self) -> Option<i64> {
        self.event_time_max.map(|max| max.saturating_sub(self.lag))
    }
}

/// The watermark of a source, and who holds it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Least {
    /// In microseconds of event time; `None` while nothing may be said, `i64::MAX` at the end of all input.
    pub watermark: Option<i64>,
    /// Index of the partition that holds it: an active one without records before all others, else the first with the least stamp.
    /// `None` if no partition is active.
    pub held_by: Option<usize>,
}

/// The least stamp over the active partitions, but never less than `current`, and which partition holds it.
///
/// Idle and finished partitions hold nothing. An active one without any record yet holds everything: where it stands, `None` at first.
/// If none is active the watermark stays where it is, or is at the end of input (`i64::MAX`) if all are finished.
pub fn hold(partitions: &[PartitionTime], current: Option<i64>) -> Least {
    let active = partitions.iter().enumerate().filter(|(_, p)| p.activity == Activity::Active);
    // `None` is less than any stamp, and `min_by_key` gives the first of equals.
    let least = active.min_by_key(|(_, p)| p.stamp()).map(|(i, p)| (i, p.stamp()));
    let all_finished = partitions.iter().all(|p| p.activity == Activity::Finished);
    let watermark = match least {
        Some((_, stamp)) => current.max(stamp),
        None if all_finished && !partitions.is_empty() => Some(i64::MAX),
        None => current,
    };
    Least { watermark, held_by: least.map(|(i, _)| i) }
}

/// The watermark of [`hold`] alone.
pub fn least(partitions: &[PartitionTime], current: Option<i64>) -> Option<i64> {
    hold(partitions, current).watermark
}

#[cfg(test)]
mod tests;
