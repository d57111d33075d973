use super::*;
use Activity::{Active, Finished, Idle};

/// Name, partitions, current watermark; expected watermark, held by.
type Case<'a> = (&'a str, &'a [PartitionTime], Option<i64>, Option<i64>, Option<usize>);

fn at(event_time_max: impl Into<Option<i64>>, activity: Activity) -> PartitionTime {
    PartitionTime { event_time_max: event_time_max.into(), lag: 10, activity }
}

#[test]
fn least_stamp_and_who_holds_it() {
    const END: Option<i64> = Some(i64::MAX);
    #[rustfmt::skip]
    let table: &[Case] = &[
        ("no partition is known: stays", &[], Some(5), Some(5), None),
        ("no partition is known at first", &[], None, None, None),
        ("one", &[at(100, Active)], None, Some(90), Some(0)),
        ("the least of two", &[at(100, Active), at(70, Active)], None, Some(60), Some(1)),
        ("the first of equals", &[at(70, Active), at(70, Active)], None, Some(60), Some(0)),
        ("never back", &[at(100, Active), at(70, Active)], Some(80), Some(80), Some(1)),
        ("idle holds nothing", &[at(100, Active), at(70, Idle)], None, Some(90), Some(0)),
        ("finished holds nothing", &[at(100, Active), at(70, Finished)], None, Some(90), Some(0)),
        ("idle without records holds nothing", &[at(100, Active), at(None, Idle)], None, Some(90), Some(0)),
        ("no record yet holds everything", &[at(100, Active), at(None, Active)], None, None, Some(1)),
        ("a newcomer holds from where it stands", &[at(100, Active), at(None, Active)], Some(60), Some(60), Some(1)),
        ("a returned one holds from where it stands", &[at(100, Active), at(20, Active)], Some(60), Some(60), Some(1)),
        ("all idle: stays", &[at(100, Idle), at(70, Idle)], Some(60), Some(60), None),
        ("all idle at first: nothing", &[at(100, Idle)], None, None, None),
        ("idle and finished: stays", &[at(100, Idle), at(70, Finished)], Some(60), Some(60), None),
        ("all finished: end of input", &[at(100, Finished), at(None, Finished)], Some(60), END, None),
        ("the end stays the end", &[at(100, Active)], END, END, Some(0)),
        ("stamps do not wrap", &[at(i64::MIN, Active)], None, Some(i64::MIN), Some(0)),
    ];
    for (name, partitions, current, watermark, held_by) in table {
        let expected = Least { watermark: *watermark, held_by: *held_by };
        assert_eq!(hold(partitions, *current), expected, "{name}");
        assert_eq!(least(partitions, *current), *watermark, "{name}");
    }
}

#[test]
fn each_partition_has_its_own_lag() {
    let slow = PartitionTime { lag: 60, ..at(100, Active) };
    assert_eq!(
        hold(&[at(70, Active), slow], None),
        Least { watermark: Some(40), held_by: Some(1) }
    );
}
