#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::ids::{Generation, Lane, Nonce};
use crate::sinks::Row;
use std::collections::BTreeMap;

fn rows(text: &str) -> Vec<Row> {
    let row =
        |c: char| Row { shard: 0, key: None, diff: 1, value: Some(c.to_string().into_bytes()) };
    text.chars().map(row).collect()
}

fn tick(tick: u64, text: &str) -> LaneTick {
    LaneTick {
        lane: Lane(1),
        tick,
        rows: rows(text),
        next_offsets: BTreeMap::new(),
        watermarks: BTreeMap::new(),
    }
}

/// Progress of tick 5 with the rows of `text`.
fn progress(text: &str, last: bool) -> Progress {
    Progress {
        job: "j".into(),
        sink: "s".into(),
        lane: Lane(1),
        program: "p".into(),
        generation: Generation(1),
        nonce: Nonce(1),
        tick: 5,
        rows: text.len() as u64,
        digest: digest_of(&rows(text)),
        last,
        next_offsets: BTreeMap::new(),
        watermarks: BTreeMap::new(),
    }
}

#[test]
fn what_is_there_is_skipped_and_no_more() {
    for (name, given, progress, expected) in [
        ("a new lane", tick(5, "abc"), None, Some(0)),
        ("behind", tick(4, "xyz"), Some(progress("abc", true)), None),
        ("behind a torn tick", tick(4, "xyz"), Some(progress("a", false)), None),
        ("the same, whole", tick(5, "abc"), Some(progress("abc", true)), None),
        ("the same, empty", tick(5, ""), Some(progress("", true)), None),
        ("the same, torn", tick(5, "abc"), Some(progress("ab", false)), Some(2)),
        ("the next", tick(6, "abc"), Some(progress("abc", true)), Some(0)),
        ("one far ahead", tick(9, ""), Some(progress("abc", true)), Some(0)),
    ] {
        assert_eq!(committed("s", &given, progress.as_ref()), Ok(expected), "{name}");
    }
}

#[test]
fn a_replay_that_differs_is_refused_by_name() {
    for (name, given, progress) in [
        ("another row", tick(5, "abX"), progress("abc", true)),
        ("another order", tick(5, "bac"), progress("abc", true)),
        ("fewer rows", tick(5, "ab"), progress("abc", true)),
        ("more rows", tick(5, "abcd"), progress("abc", true)),
        ("another row before the tear", tick(5, "aXc"), progress("ab", false)),
        ("nothing behind the tear", tick(5, "ab"), progress("ab", false)),
    ] {
        let error = committed("visits", &given, Some(&progress)).unwrap_err();
        assert_eq!(error.kind(), Kind::Nondeterministic, "{name}");
        for part in ["visits", "lane 1", "tick 5"] {
            assert!(error.message().contains(part), "{name}: {error}");
        }
    }
}

#[test]
fn a_torn_tick_is_never_left_behind() {
    let error = committed("s", &tick(6, "a"), Some(&progress("a", false))).unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
}

#[test]
fn ticks_share_transactions_and_only_large_ones_are_torn() {
    let piece = |tick, from, to, last| Piece { tick, from, to, last };
    for (name, ticks, expected) in [
        ("none", vec![], vec![]),
        ("an empty one", vec![(0, 0, 0)], vec![vec![piece(0, 0, 0, true)]]),
        (
            "several fit",
            vec![(0, 0, 3), (1, 0, 0), (2, 0, 7)],
            vec![vec![piece(0, 0, 3, true), piece(1, 0, 0, true), piece(2, 0, 7, true)]],
        ),
        (
            "the second has no room but fits alone",
            vec![(0, 0, 3), (1, 0, 8)],
            vec![vec![piece(0, 0, 3, true)], vec![piece(1, 0, 8, true)]],
        ),
        ("exactly full", vec![(0, 0, 10)], vec![vec![piece(0, 0, 10, true)]]),
        (
            "a large one is torn, others join its end",
            vec![(0, 0, 1), (1, 0, 21), (2, 0, 9)],
            vec![
                vec![piece(0, 0, 1, true)],
                vec![piece(1, 0, 10, false)],
                vec![piece(1, 10, 20, false)],
                vec![piece(1, 20, 21, true), piece(2, 0, 9, true)],
            ],
        ),
        (
            "the rest of a torn one",
            vec![(0, 15, 30)],
            vec![vec![piece(0, 15, 25, false)], vec![piece(0, 25, 30, true)]],
        ),
    ] {
        assert_eq!(cut(ticks, 10), expected, "{name}");
    }
}

proptest::proptest! {
    /// Any ticks, any limit: each row once, in order, no transaction too large, each tick whole at its end.
    #[test]
    fn cutting_loses_and_repeats_nothing(
        sizes in proptest::collection::vec((0_usize..40, 0_usize..40), 0..20),
        rows_max in 1_usize..30,
    ) {
        let ticks: Vec<_> =
            sizes.iter().enumerate().map(|(i, (from, more))| (i, *from, from + more)).collect();
        let mut next = ticks.iter().copied();
        let mut current: Option<(usize, usize, usize)> = None;
        for transaction in cut(ticks.clone(), rows_max) {
            proptest::prop_assert!(!transaction.is_empty());
            let rows: usize = transaction.iter().map(|p| p.to - p.from).sum();
            proptest::prop_assert!(rows <= rows_max);
            for piece in transaction {
                let (tick, from, to) = current.take().or_else(|| next.next()).unwrap();
                proptest::prop_assert_eq!((piece.tick, piece.from), (tick, from));
                proptest::prop_assert_eq!(piece.last, piece.to == to);
                if !piece.last {
                    current = Some((tick, piece.to, to));
                }
            }
        }
        proptest::prop_assert!(current.is_none() && next.next().is_none());
    }
}
