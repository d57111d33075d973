use super::*;
use crate::ticks::counts::Counter;
use crate::ticks::fixtures::*;
use crate::ticks::record::Record;

/// Snapshots of these ticks; a negative one is the savepoint "s<tick>".
fn taken(ticks: &[i64]) -> Vec<SnapshotRecord> {
    ticks
        .iter()
        .map(|t| {
            let name = (*t < 0).then(|| format!("s{}", -t));
            snapshot_record(1, t.unsigned_abs(), name.as_deref())
        })
        .collect()
}

/// PROTOCOL 5.
#[test]
fn where_to_begin() {
    // Snapshots, least, base, proven, reaches; expected ticks in order, 0 is the log's beginning.
    type Case<'a> = (&'a str, &'a [i64], Tick, Option<Tick>, Tick, Tick, &'a [Tick]);
    #[rustfmt::skip]
    let table: &[Case<'_>] = &[
        ("a fresh job", &[], 0, None, 0, 0, &[0]),
        ("the newest at or below the least progress, then older ones", &[2, 4, 6], 9, None, 0, 0, &[6, 4, 2, 0]),
        ("S1: a snapshot ahead of a slow sink is not for it", &[2, 4, 6], 5, None, 0, 0, &[4, 2, 0]),
        ("exactly at it", &[2, 4, 6], 6, None, 0, 0, &[6, 4, 2, 0]),
        ("S1: nothing written", &[1], 0, None, 0, 0, &[0]),
        ("a savepoint is a snapshot", &[2, -4], 5, None, 0, 0, &[4, 2, 0]),
        ("the log was cut: what it does not reach is of no use", &[2, 4, 6], 9, None, 0, 4, &[6, 4]),
        ("U1: nothing below the base, and not the beginning", &[2, 4, 6], 9, Some(4), 0, 0, &[6, 4]),
        ("below what drops prove there are savepoints only, maybe another program's", &[-2, 4, 6], 9, None, 4, 0, &[6, 4, 0]),
        ("the log was cut and no snapshot serves", &[6], 5, None, 0, 4, &[]),
        ("U4: the base is past a sink's progress", &[4], 3, Some(4), 0, 0, &[]),
        ("a lost snapshot", &[], 9, None, 0, 4, &[]),
    ];
    for (name, snapshots, least, base, proven, reaches, expected) in table {
        let snapshots = taken(snapshots);
        let (least, base, proven, reaches) = (*least, *base, *proven, *reaches);
        let points =
            restore_points(RestoreFacts { snapshots: &snapshots, least, base, proven, reaches });
        let ticks = points.unwrap_or_default().into_iter().map(|point| match point {
            Restore::Snapshot(s) => s.tick,
            Restore::Beginning => 0,
        });
        assert_eq!(ticks.collect::<Vec<_>>(), *expected, "{name}");
    }
}

#[test]
fn of_two_snapshots_at_one_tick_the_later_is_first() {
    let snapshots = [snapshot_record(1, 4, None), snapshot_record(2, 4, Some("again"))];
    let facts = RestoreFacts { snapshots: &snapshots, least: 4, base: None, proven: 0, reaches: 1 };
    let expected = [&snapshots[1], &snapshots[0]].map(Restore::Snapshot);
    assert_eq!(restore_points(facts), Ok(expected.to_vec()));
}

/// PROTOCOL 13. Each drop is fed to a counter, and every root must be left.
#[test]
fn what_may_be_given_up() {
    // Snapshots, least, base, lineage, kept, names given up; expected `below` (`None`: no drop) and ticks left.
    type Case<'a> = (
        &'a str,
        &'a [i64],
        (Tick, Option<Tick>, Option<Tick>, usize),
        &'a [&'a str],
        Option<Tick>,
        &'a [Tick],
    );
    #[rustfmt::skip]
    let table: &[Case<'_>] = &[
        ("nothing there", &[], (9, None, None, 1), &[], None, &[]),
        ("only the newest", &[6], (9, None, Some(6), 1), &[], None, &[6]),
        ("older ones", &[2, 4, 6], (9, None, Some(6), 1), &[], Some(6), &[6]),
        ("as many as are kept", &[2, 4, 6], (9, None, Some(6), 2), &[], Some(4), &[4, 6]),
        ("fewer than are kept", &[2, 4, 6], (9, None, Some(6), 5), &[], None, &[2, 4, 6]),
        ("S2: the one that a slow sink needs, and all newer", &[2, 4, 6], (5, None, Some(6), 1), &[], Some(4), &[4, 6]),
        ("a sink that needs the oldest", &[2, 4, 6], (3, None, Some(6), 1), &[], None, &[2, 4, 6]),
        ("S2: a sink that needs the beginning", &[2, 4, 6], (0, None, Some(6), 1), &[], None, &[2, 4, 6]),
        ("S12: one's own lineage", &[2, 4, 6], (9, None, Some(4), 1), &[], Some(4), &[4, 6]),
        ("savepoints stay", &[-2, 4, 6], (9, None, Some(6), 1), &[], Some(6), &[2, 6]),
        ("only savepoints are old", &[-2, 6], (9, None, Some(6), 1), &[], None, &[2, 6]),
        ("savepoints are no ordinary ones", &[2, 4, -6], (9, None, Some(6), 1), &[], Some(4), &[4, 6]),
        ("a savepoint is given up", &[-2, -4, 6], (9, None, Some(6), 1), &["s2"], Some(6), &[4, 6]),
        ("a savepoint that is still needed loses its name only", &[-6], (9, None, Some(6), 1), &["s6"], Some(6), &[6]),
        ("a name that is not there", &[6], (9, None, Some(6), 1), &["s5"], None, &[6]),
        ("base stays", &[2, 4, 6], (9, Some(2), Some(6), 1), &[], Some(6), &[2, 6]),
        ("only base is old", &[2, 6], (9, Some(2), Some(6), 1), &[], None, &[2, 6]),
    ];
    for (name, ticks, (least, base, lineage, kept), give_up, below, left) in table {
        let snapshots = taken(ticks);
        let names: Vec<_> = give_up.iter().map(|n| String::from(*n)).collect();
        let (least, base, lineage) = (*least, *base, *lineage);
        let facts = RootFacts { snapshots: &snapshots, least, base, lineage };
        let drop = droppable(facts, *kept, &names, Generation(1));
        assert_eq!(drop.as_ref().map(|d| d.below), *below, "{name}");

        let mut log = Counter::new();
        log.feed(0, &open_program(1, "one", base));
        let records = snapshots.iter().cloned().map(Record::Snapshot);
        let records: Vec<_> = records.chain(drop.map(Record::Drop)).collect();
        for (position, record) in (1..).zip(&records) {
            log.feed(position, record);
        }
        let ticks: Vec<_> = log.snapshots().iter().map(|s| s.tick).collect();
        assert_eq!(ticks, *left, "{name}");
        let needed = snapshots.iter().map(|s| s.tick).filter(|t| *t <= least).max();
        assert!(needed.is_none_or(|t| ticks.contains(&t)), "{name}: what a restart needs is left");
        let after = RootFacts { snapshots: log.snapshots(), ..facts };
        assert_eq!(droppable(after, *kept, &names, Generation(1)), None, "{name}: done");
    }
}

/// PROTOCOL 14.
#[test]
fn how_far_the_log_may_be_cut() {
    let root = |ticks: &[i64], least, base, lineage| {
        let snapshots = taken(ticks);
        oldest_root(RootFacts { snapshots: &snapshots, least, base, lineage })
    };
    assert_eq!(root(&[], 9, None, None), None, "no snapshot: all is needed");
    assert_eq!(root(&[4, 6], 3, None, Some(6)), None, "S2: a slow sink needs the beginning");
    assert_eq!(root(&[4, 6], 9, None, Some(6)), Some(4));
    assert_eq!(root(&[-2, 6], 9, None, Some(6)), Some(2), "a savepoint");
    assert_eq!(root(&[6], 9, Some(3), Some(6)), Some(3), "base");
    assert_eq!(root(&[6], 9, None, Some(5)), Some(5), "the lineage");
}
