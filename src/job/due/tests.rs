use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Snapshots taken in `intervals` intervals of `ticks` ticks each, of which those in `busy` change something.
fn taken(since: &mut Since, intervals: usize, ticks: u64, busy: bool) -> usize {
    let mut taken = 0;
    for _ in 0..intervals {
        for _ in 0..ticks {
            since.tick(busy);
        }
        if since.is_due(3, SECOND, SECOND) {
            since.taken();
            taken += 1;
        }
    }
    taken
}

#[test]
fn one_an_interval_while_something_changes() {
    let mut since = Since::start();
    assert!(!since.is_due(3, SECOND / 2, SECOND));
    assert_eq!(taken(&mut since, 100, 10, true), 100);
}

#[test]
fn at_rest_a_few_more_and_then_none() {
    let mut since = Since::start();
    taken(&mut since, 5, 10, true);
    assert_eq!(taken(&mut since, 900, 10, false), 5);
    assert_eq!(taken(&mut since, 1, 10, true), 1, "a change wakes it");
    assert_eq!(taken(&mut since, 900, 10, false), 5);
}

#[test]
fn a_merge_counts_as_a_change() {
    let mut since = Since::start();
    assert_eq!(taken(&mut since, 100, 1, false), 6);
    since.merged();
    assert_eq!(taken(&mut since, 100, 1, false), 6);
}

#[test]
fn heartbeats_alone_lead_to_one_for_each_stretch_of_the_log() {
    let mut since = Since::start();
    taken(&mut since, 100, 1, false);
    assert_eq!(taken(&mut since, 1000, 100, false), 10, "100,000 ticks");
}
