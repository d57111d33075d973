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
    drained.entries.iter().map(|(key, _, _)| &**key).collect()
}

#[test]
fn the_newest_tick_wins_and_within_it_the_last() {
    let last = drained(&[put(5, b"a", b"1"), put(5, b"a", b"2"), put(4, b"a", b"3")]);
    assert_eq!(last.entries, [(b"a"[..].into(), 5, Some(b"2".to_vec()))]);
    let gone = drained(&[put(5, b"a", b"1"), change(5, b"a", What::Remove)]);
    assert_eq!(gone.entries, [(b"a"[..].into(), 5, None)], "a removal is kept for older segments");
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
fn memory_is_counted_and_falls_to_what_is_left() {
    let mut bucket = Bucket::new(1);
    for i in 0..100_u8 {
        bucket.apply(&put(1, &[1, i], &[0; 50]));
        bucket.apply(&put(1, &[1, i], &[0; 10]));
    }
    let filled = bucket.bytes();
    assert_eq!(filled, 100 * (CELL_BYTES + 2 + 10));
    bucket.apply(&change(2, &[1], What::RemovePrefix));
    bucket.sweep();
    assert_eq!(bucket.bytes(), CELL_BYTES + 1);
    assert_eq!(bucket.tick_max(), 2);
    bucket.drain();
    assert_eq!(bucket.bytes(), 0);
}
