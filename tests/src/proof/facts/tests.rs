use super::*;

fn progress(sink: &str, generation: u64, tick: u64, offset: u64, watermark: i64) -> Progress {
    let offsets = (0..PARTITIONS).map(|partition| (partition.to_string(), offset)).collect();
    Progress {
        job: "proof".into(),
        sink: sink.into(),
        lane: 0,
        generation,
        tick,
        rows: 1,
        last: true,
        next_offsets: BTreeMap::from([(SOURCE.to_owned(), offsets)]),
        watermarks: BTreeMap::from([(SOURCE.to_owned(), watermark)]),
    }
}

#[test]
fn sinks_tell_of_different_ticks_and_agree_on_common_ones() {
    let ticks = facts(&[
        progress("a", 1, 1, 10, -5),
        progress("a", 1, 3, 30, 5),
        progress("b", 2, 2, 20, 0),
        progress("b", 2, 3, 30, 5),
    ]);
    let ticks = ticks.expect("they agree");
    assert_eq!(ticks.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((ticks[&2].offsets[3], ticks[&2].watermark), (20, Some(0)));
    assert_eq!(ticks[&3].generation, 1, "the first that committed it");
}

#[test]
fn contradictions_are_told() {
    let first = || progress("a", 2, 5, 50, 7);
    for (second, what) in [
        (progress("a", 2, 5, 50, 7), "the same tick twice"),
        (progress("a", 2, 4, 40, 7), "a lane that goes back"),
        (progress("a", 1, 6, 60, 7), "an older generation after a newer one"),
        (progress("b", 2, 5, 51, 7), "other offsets for one tick"),
        (progress("b", 2, 5, 50, 8), "another watermark for one tick"),
        (progress("b", 2, 6, 49, 7), "offsets that go back"),
        (progress("b", 2, 6, 60, 6), "a watermark that goes back"),
    ] {
        assert!(facts(&[first(), second]).is_err(), "{what}");
    }
    let part = |rows, last| Progress { rows, last, ..first() };
    assert!(facts(&[part(10, false), part(20, true)]).is_ok());
    assert!(facts(&[part(10, false), part(10, true)]).is_err(), "a chunk without rows");
    assert!(facts(&[part(10, false), progress("a", 2, 6, 60, 7)]).is_err(), "a tick left torn");
}
