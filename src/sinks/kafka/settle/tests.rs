use super::*;
use crate::ids::Lane;
use std::collections::BTreeMap;

fn mark(generation: u64, taking: u64) -> Mark {
    Mark {
        job: "j".into(),
        sink: "s".into(),
        lane: Lane(0),
        generation: Generation(generation),
        nonce: Nonce(100 + generation),
        taking: Nonce(taking),
    }
}

fn progress(generation: u64, tick: u64) -> Progress {
    Progress {
        job: "j".into(),
        sink: "s".into(),
        lane: Lane(0),
        program: "p".into(),
        generation: Generation(generation),
        nonce: Nonce(100 + generation),
        tick,
        rows: 0,
        digest: 0,
        last: true,
        next_offsets: BTreeMap::new(),
        watermarks: BTreeMap::new(),
    }
}

fn m(generation: u64, taking: u64) -> Entry {
    Entry::Mark(mark(generation, taking))
}

fn p(generation: u64, tick: u64) -> Entry {
    Entry::Progress(progress(generation, tick))
}

#[test]
fn a_lane_is_settled_up_to_ones_own_mark() {
    let own = |generation, tick| Settled::Own(Some(progress(generation, tick)));
    for (name, entries, expected) in [
        ("nothing is there", vec![], Settled::Unmarked),
        ("only mine", vec![m(2, 1)], Settled::Own(None)),
        ("the newest progress counts", vec![m(1, 9), p(1, 1), p(1, 2), m(2, 1)], own(1, 2)),
        (
            "the lane was taken by the same generation before",
            vec![m(2, 7), p(2, 3), m(2, 1)],
            own(2, 3),
        ),
        // Counterexample 12: the end that a reader sees is not one's own mark.
        ("progress, but not my mark", vec![m(1, 9), p(1, 1)], Settled::Unmarked),
        ("a mark of an earlier taking is not mine", vec![m(2, 7), p(2, 3)], Settled::Unmarked),
        // Counterexample 7: a zombie takes a lane back; it must see who has it.
        (
            "a newer one has marked",
            vec![m(1, 9), p(1, 1), m(3, 4), m(2, 1)],
            Settled::Fenced(Generation(3)),
        ),
        ("a newer one has written", vec![p(3, 5), m(2, 1)], Settled::Fenced(Generation(3))),
        // Who comes after me fences me itself, and I learn of it from the producer.
        ("a newer one came after me", vec![p(1, 1), m(2, 1), m(3, 4), p(3, 2)], own(1, 1)),
        ("a loser's mark lies between", vec![p(2, 5), m(1, 8), m(2, 1)], own(2, 5)),
        (
            "kinds of a later version",
            vec![Entry::Unknown, p(1, 1), Entry::Unknown, m(2, 1)],
            own(1, 1),
        ),
    ] {
        assert_eq!(settle(&entries, &mark(2, 1)), expected, "{name}");
    }
}

#[test]
fn a_lane_of_others_is_not_taken() {
    let mut other = progress(1, 1);
    other.sink = "t".into();
    let foreign = Settled::Foreign { job: "j".into(), sink: "t".into() };
    assert_eq!(settle(&[Entry::Progress(other), m(2, 1)], &mark(2, 1)), foreign);
    let mut twin = mark(2, 5);
    twin.nonce = Nonce(1);
    assert_eq!(settle(&[Entry::Mark(twin), m(2, 1)], &mark(2, 1)), Settled::Twin(Nonce(1)));
}

#[test]
fn reading_begins_near_the_mark_and_ends_at_the_beginning() {
    let starts = |low, mark| windows(low, mark).collect::<Vec<_>>();
    assert_eq!(starts(0, 10), [0]);
    assert_eq!(starts(7, 100), [36, 7]);
    assert_eq!(starts(0, 1_000_000), [999_936, 995_904, 737_856, 0]);
}
