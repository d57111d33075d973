#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;
use std::ops::RangeBounds;

type Oracle = BTreeMap<(u8, u8), Diff>;

/// The state at a tick, by adding up everything before it.
fn at(log: &[(Tick, Vec<Change<u8, u8>>)], tick: Tick) -> Oracle {
    let mut state = Oracle::new();
    for (row, diff) in log.iter().filter(|(t, _)| *t <= tick).flat_map(|(_, changes)| changes) {
        *state.entry(*row).or_default() += diff;
    }
    state.retain(|_, diff| *diff != 0);
    state
}

fn bound() -> impl Strategy<Value = Bound<u8>> {
    prop_oneof![
        Just(Bound::Unbounded),
        (0..12u8).prop_map(Bound::Included),
        (0..12u8).prop_map(Bound::Excluded)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_kept_tick_reads_as_the_sum_of_its_prefix(
        ticks in prop::collection::vec(
            (1..4u64, prop::collection::vec(((0..10u8, 0..4u8), -2..3isize), 0..12)), 1..20),
        keep in 1..8u64,
        behind in 0..6u64,
        (from, to) in (bound(), bound()),
        limit in 1..10usize,
    ) {
        let mut index = ViewIndex::new(keep);
        let mut log = Vec::new();
        let mut now = 0;
        for (step, changes) in ticks {
            now += step;
            log.push((now, changes.clone()));
            index.apply(now, changes).unwrap();
            index.trim(now.saturating_sub(behind), None);
        }
        let released = now.saturating_sub(behind);
        prop_assert_eq!(index.newest(), now);
        prop_assert_eq!(index.oldest(), (released + 1).saturating_sub(keep));
        for tick in 0..now + 2 {
            let read = index.read(&Span { from, to, after: None, limit: usize::MAX }, tick);
            if tick < index.oldest() {
                prop_assert_eq!(read, Err(Miss::Gone { oldest: index.oldest() }));
                continue;
            }
            if tick > now {
                prop_assert_eq!(read, Err(Miss::NotYet { newest: now }));
                continue;
            }
            let state = at(&log, tick);
            let wanted: Vec<_> = state
                .iter()
                .filter(|((key, _), _)| (from, to).contains(key))
                .map(|((key, value), diff)| (*key, *value, *diff))
                .collect();
            prop_assert_eq!(&read.unwrap(), &wanted);
            // The same in pages, each from where the last ended.
            let (mut pages, mut after) = (Vec::new(), None);
            loop {
                let page = index.read(&Span { from, to, after, limit }, tick).unwrap();
                let Some((key, value, _)) = page.last() else { break };
                prop_assert!(page.len() <= limit);
                after = Some((*key, *value));
                pages.extend(page);
            }
            prop_assert_eq!(&pages, &wanted);
            for key in 0..12u8 {
                let rows: Vec<_> = state
                    .iter()
                    .filter(|((k, _), _)| *k == key)
                    .map(|((_, value), diff)| (*value, *diff))
                    .collect();
                prop_assert_eq!(index.point(&key, tick).unwrap(), rows);
            }
        }
        prop_assert_eq!(index.size().rows as usize, at(&log, now).len());
        // What is kept is what changed in the history, and no more.
        let kept: usize = index.changes(index.oldest() + 1, now).unwrap().map(|(_, c)| c.len()).sum();
        prop_assert_eq!(index.size().changes as usize, kept);
        // Following from any kept tick leads from its state to the newest.
        for tick in index.oldest()..=now {
            let mut state = at(&log, tick);
            for (row, diff) in index.changes(tick + 1, now).unwrap().flat_map(|(_, changes)| changes) {
                *state.entry(*row).or_default() += diff;
            }
            state.retain(|_, diff| *diff != 0);
            prop_assert_eq!(state, at(&log, now));
        }
    }
}

#[test]
fn a_tick_that_was_applied_is_refused() {
    let mut index = ViewIndex::new(4);
    index.apply(3, vec![((1u8, 1u8), 1)]).unwrap();
    let error = index.apply(3, vec![((1u8, 1u8), 1)]).unwrap_err();
    assert!(error.message().contains("tick 3"), "{error}");
    index.complete(9);
    assert!(index.apply(9, Vec::new()).is_err());
    assert_eq!(index.point(&1, 9).unwrap(), vec![(1, 1)]);
}

#[test]
fn restored_rows_have_no_history_before_them() {
    let mut index = ViewIndex::starting(4, 40);
    assert_eq!(index.point(&1, 40), Err(Miss::NotYet { newest: 39 }));
    index.apply(40, vec![((1u8, 1u8), 1), ((2, 1), 1)]).unwrap();
    index.trim(40, None);
    index.apply(41, vec![((1, 1), -1)]).unwrap();
    index.trim(41, None);
    assert_eq!(index.point(&1, 39), Err(Miss::Gone { oldest: 40 }));
    assert_eq!(index.point(&1, 40).unwrap(), vec![(1, 1)]);
    assert_eq!(index.point(&1, 41).unwrap(), vec![]);
    assert_eq!(index.size().changes, 1, "the restored rows are not kept twice");
    assert_eq!(index.changes(40, 41).unwrap_err(), Miss::Gone { oldest: 41 });
    assert_eq!(index.changes(41, 41).unwrap().len(), 1);
}

#[test]
fn a_pin_holds_its_tick_and_memory_follows_when_it_goes() {
    let mut index = ViewIndex::new(2);
    for tick in 1..=100 {
        index.apply(tick, vec![((0u64, tick), 1), ((0, tick - 1), -1)]).unwrap();
        index.trim(tick, Some(50));
    }
    assert_eq!(index.oldest(), 50);
    assert_eq!(index.point(&0, 50).unwrap(), vec![(0, -1), (50, 1)]);
    index.trim(100, None);
    assert_eq!(index.oldest(), 99);
    assert_eq!(index.size(), Size { rows: 2, changes: 2, bytes: index.size().bytes });
}

#[test]
fn bytes_grow_with_rows_and_shrink_with_them() {
    let mut index = ViewIndex::new(1);
    let rows: Vec<_> = (0..1000u64).map(|n| ((n, "x".repeat(200)), 1)).collect();
    index.apply(1, rows.clone()).unwrap();
    index.trim(1, None);
    let full = index.size().bytes;
    assert!((200_000..600_000).contains(&full), "{full}");
    index.apply(2, rows.into_iter().map(|(row, diff)| (row, -diff)).collect()).unwrap();
    index.trim(2, None);
    assert_eq!(index.size().rows, 0);
    assert_eq!(index.size().bytes, 0);
}
