#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn put<'a>(tick: Tick, key: &'a [u8], value: &'a [u8]) -> Change<'a> {
    Change { uid: 0, tick, key, what: What::Put(value) }
}

fn change<'a>(tick: Tick, key: &'a [u8], what: What<'a>) -> Change<'a> {
    Change { uid: 0, tick, key, what }
}

fn drained(changes: &[Change<'_>]) -> Drained {
    let mut bucket = Bucket::new(1);
    changes.iter().for_each(|c| bucket.apply(c));
    bucket.drain().remove(0)
}

fn keys(drained: &Drained) -> Vec<&[u8]> {
    drained.entries().map(|(key, _, _)| key).collect()
}

#[test]
fn the_newest_tick_wins_and_within_it_the_last() {
    let last = drained(&[put(5, b"a", b"1"), put(5, b"a", b"2"), put(4, b"a", b"3")]);
    assert_eq!(last.entries().collect::<Vec<_>>(), [(&b"a"[..], 5, Some(&b"2"[..]))]);
    let gone = drained(&[put(5, b"a", b"1"), change(5, b"a", What::Remove)]);
    let gone: Vec<_> = gone.entries().collect();
    assert_eq!(gone, [(&b"a"[..], 5, None)], "a removal is kept for older segments");
}

#[test]
fn a_prefix_removal_covers_lower_ticks_whenever_they_come_and_its_own_tick_before_it() {
    let d = drained(&[
        put(5, b"pa", b"same tick, before"),
        put(7, b"pb", b"higher tick, before"),
        change(5, b"p", What::RemovePrefix),
        put(4, b"pc", b"lower tick, after: another worker was behind"),
        put(5, b"pd", b"same tick, after"),
        put(4, b"q", b"another prefix"),
    ]);
    assert_eq!(keys(&d), [&b"pb"[..], b"pd", b"q"]);
    assert_eq!(d.tombstones.into_iter().collect::<Vec<_>>(), [(b"p".to_vec(), 5)]);
}

#[test]
fn keys_ascend_also_where_they_differ_late_or_only_in_their_length() {
    let long = [&[7; 16][..], &[7; 17], &[7; 15], &[7; 20], b"", b"\0", b"\0\0"];
    let mut all: Vec<Vec<u8>> = long.iter().map(|key| key.to_vec()).collect();
    all.extend((0..200_u8).rev().map(|n| [&[7; 16][..], &[n, 255 - n]].concat()));
    let changes: Vec<_> = all.iter().map(|key| put(1, key, key)).collect();
    let d = drained(&changes);
    all.sort();
    assert_eq!(keys(&d), all);
    assert!(d.entries().all(|(key, tick, value)| (tick, value) == (1, Some(key))));
}

#[test]
fn a_value_may_become_shorter_longer_gone_and_come_back() {
    let values = [&b"four"[..], b"12", b"four", b"longer still", b"", b"1"];
    for (n, value) in values.iter().enumerate() {
        let mut bucket = Bucket::new(1);
        for (tick, value) in (1..).zip(&values[..=n]) {
            bucket.apply(&put(tick, b"before", b"before"));
            bucket.apply(&change(tick, b"key", What::Remove));
            bucket.apply(&put(tick, b"key", value));
            bucket.apply(&put(tick, b"later", b"later"));
        }
        bucket.sweep();
        let d = bucket.drain().remove(0);
        let found: Vec<_> = d.entries().map(|(_, _, found)| found.unwrap()).collect();
        assert_eq!(found, [&b"before"[..], value, b"later"]);
    }
}

#[test]
fn memory_is_counted_and_falls_to_what_is_left() {
    let mut bucket = Bucket::new(1);
    for i in 0..100_u8 {
        bucket.apply(&put(1, &[1, i], &[0; 10]));
        bucket.apply(&put(1, &[1, i], &[0; 5]));
        bucket.apply(&put(1, &[1, i], &[0; 50]));
    }
    assert_eq!(bucket.bytes(), 100 * (CELL_BYTES + 2 + 10 + 50));
    bucket.sweep();
    assert_eq!(bucket.bytes(), 100 * (CELL_BYTES + 2 + 50), "what was left behind is given back");
    bucket.apply(&change(2, &[1], What::RemovePrefix));
    bucket.sweep();
    assert_eq!(bucket.bytes(), CELL_BYTES + 1);
    assert_eq!(bucket.tick_max(), 2);
    bucket.drain();
    assert_eq!(bucket.bytes(), 0);
}
