#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;

#[test]
fn ticks_share_transactions_and_only_large_ones_are_torn() {
    let piece = |tick, from, to| Piece { tick, from, to };
    for (name, ticks, expected) in [
        ("none", vec![], vec![]),
        ("an empty one", vec![(0, 0, 0)], vec![vec![piece(0, 0, 0)]]),
        (
            "several fit",
            vec![(0, 0, 3), (1, 0, 0), (2, 0, 7)],
            vec![vec![piece(0, 0, 3), piece(1, 0, 0), piece(2, 0, 7)]],
        ),
        (
            "the second has no room but fits alone",
            vec![(0, 0, 3), (1, 0, 8)],
            vec![vec![piece(0, 0, 3)], vec![piece(1, 0, 8)]],
        ),
        ("exactly full", vec![(0, 0, 10)], vec![vec![piece(0, 0, 10)]]),
        (
            "a large one is torn, others join its end",
            vec![(0, 0, 1), (1, 0, 21), (2, 0, 9)],
            vec![
                vec![piece(0, 0, 1)],
                vec![piece(1, 0, 10)],
                vec![piece(1, 10, 20)],
                vec![piece(1, 20, 21), piece(2, 0, 9)],
            ],
        ),
        (
            "the rest of a torn one",
            vec![(0, 15, 30)],
            vec![vec![piece(0, 15, 25)], vec![piece(0, 25, 30)]],
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
                proptest::prop_assert!(piece.to <= to);
                if piece.to < to {
                    current = Some((tick, piece.to, to));
                }
            }
        }
        proptest::prop_assert!(current.is_none() && next.next().is_none());
    }
}
