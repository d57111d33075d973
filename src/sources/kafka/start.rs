//! Where reading of a partition begins and whether what was wanted is still there. Pure; no I/O.

use super::settings::{Offsets, Start};
use crate::{Error, Kind, Result};

/// What a partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// The earliest offset.
    pub low: u64,
    /// The next offset to be written (to become readable, for committed rows).
    pub high: u64,
}

/// The next offset at which a job begins that never read `partition`. `fresh` is whether the job sees the topic for the first time;
/// partitions that appear later begin at their earliest offset. `dated` is what the broker answered for a start by timestamp.
///
/// # Errors
/// `Config` if a given offset is not there.
pub(super) fn begin(
    start: &Start,
    fresh: bool,
    topic: &str,
    partition: i32,
    held: Held,
    dated: Option<u64>,
) -> Result<u64> {
    let wanted = match start {
        _ if !fresh => return Ok(held.low),
        Start::Earliest => return Ok(held.low),
        Start::Latest => return Ok(held.high),
        Start::Timestamp(_) => return Ok(dated.unwrap_or(held.high).max(held.low)),
        Start::Offset(Offsets::All(offset)) => *offset,
        Start::Offset(Offsets::Each(each)) => match each.get(&partition.to_string()) {
            Some(offset) => *offset,
            None => return Ok(held.low),
        },
    };
    if (held.low..=held.high).contains(&wanted) {
        return Ok(wanted);
    }
    Err(Error::config(format!(
        "kafka topic {topic} partition {partition}: start offset {wanted} is not there: earliest {}, latest {}",
        held.low, held.high
    )))
}

/// The error for an offset that is not there.
pub(super) fn gone(topic: &str, partition: i32, wanted: u64, held: Option<Held>) -> Error {
    let (earliest, latest) = held.map_or_else(
        || ("unknown".to_owned(), "unknown".to_owned()),
        |held| (held.low.to_string(), held.high.to_string()),
    );
    Error::new(
        Kind::SourceChanged,
        format!(
            "kafka topic {topic} partition {partition}: wanted offset {wanted}, earliest {earliest}, latest {latest}: \
             the records were deleted, or the topic was made anew; start from a snapshot that the topic still covers, \
             or begin a new job"
        ),
    )
}

/// Whether a partition that wants `next` has certainly lost it, by what was seen of it earlier. (An end seen earlier proves nothing
/// about what was appended since.)
pub(super) fn lost(next: u64, seen: Held) -> bool {
    next < seen.low
}

/// Which partitions of `known` a topic with `present` partitions has lost: none, unless it was made anew.
pub(super) fn vanished(known: impl Iterator<Item = i32>, present: &[i32]) -> Option<i32> {
    known.into_iter().find(|partition| !present.contains(partition))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_partition_begins_where_the_settings_say() {
        let held = Held { low: 10, high: 20 };
        let each = Start::Offset(Offsets::Each(BTreeMap::from([("1".to_owned(), 15)])));
        for (start, fresh, partition, dated, expected) in [
            (Start::Earliest, true, 0, None, 10),
            (Start::Latest, true, 0, None, 20),
            (Start::Latest, false, 0, None, 10),
            (Start::Offset(Offsets::All(12)), true, 0, None, 12),
            (Start::Offset(Offsets::All(10)), true, 0, None, 10),
            (Start::Offset(Offsets::All(20)), true, 0, None, 20),
            (Start::Offset(Offsets::All(12)), false, 0, None, 10),
            (each.clone(), true, 1, None, 15),
            (each.clone(), true, 0, None, 10),
            (Start::Timestamp(7), true, 0, Some(13), 13),
            (Start::Timestamp(7), true, 0, None, 20),
            (Start::Timestamp(7), false, 0, Some(13), 10),
        ] {
            let begun = begin(&start, fresh, "t", partition, held, dated);
            assert_eq!(begun, Ok(expected), "{start:?} fresh={fresh} partition={partition}");
        }
    }

    #[test]
    fn a_start_offset_that_is_not_there_is_refused() {
        for wanted in [0, 9, 21] {
            let start = Start::Offset(Offsets::All(wanted));
            let error = begin(&start, true, "t", 3, Held { low: 10, high: 20 }, None).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            for part in
                ["topic t", "partition 3", &format!("offset {wanted}"), "earliest 10", "latest 20"]
            {
                assert!(error.message().contains(part), "{error}");
            }
        }
    }

    #[test]
    fn only_a_raised_low_watermark_proves_a_loss() {
        let seen = Held { low: 10, high: 20 };
        assert!(lost(9, seen));
        assert!(!lost(10, seen));
        assert!(!lost(25, seen));
    }

    #[test]
    fn a_partition_never_vanishes_from_a_topic_that_is_the_same() {
        assert_eq!(vanished([0, 1].into_iter(), &[0, 1, 2]), None);
        assert_eq!(vanished([0, 1, 2].into_iter(), &[0, 1]), Some(2));
    }

    #[test]
    fn the_error_names_everything() {
        let error = gone("t", 3, 7, Some(Held { low: 10, high: 20 }));
        assert_eq!(error.kind(), Kind::SourceChanged);
        for part in ["topic t", "partition 3", "offset 7", "earliest 10", "latest 20"] {
            assert!(error.message().contains(part), "{error}");
        }
    }
}
