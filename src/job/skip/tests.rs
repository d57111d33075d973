#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::ids::Nonce;
use crate::sinks::{Identity, Progress};
use crate::ticks::fixtures::{inlet, open, range, reads, savepoint, snapshot};
use crate::ticks::record::{Record, SinkDecl};
use std::collections::BTreeMap;

fn log(more: &[Record]) -> Counter {
    let clicks = vec![inlet(0, "clicks", "0", 0), inlet(1, "clicks", "1", 0)];
    let orders = vec![inlet(2, "orders", "a.jsonl", 0)];
    let records = [
        open(1),
        reads(1, 1, clicks, vec![range(0, 0, 10)]),
        reads(1, 2, vec![], vec![range(0, 10, 12), range(1, 5, 9)]),
        reads(1, 3, orders, vec![range(1, 9, 20)]),
    ];
    let mut counter = Counter::new();
    for (position, record) in (0..).zip(records.iter().chain(more)) {
        counter.feed(position, record);
    }
    counter
}

fn place(source: &str, partition: &str, offset: u64) -> Place {
    Place { source: source.into(), partition: partition.into(), offset }
}

#[test]
fn only_a_record_of_a_tick_that_was_not_shown_may_be_left_out() {
    let found = |more: &[Record], place: &Place, stuck| {
        let found = read(&log(more), &["clicks", "orders"], place, stuck);
        let found = found.map(|read| (read.tick, read.from));
        found.map_err(|error| error.message().to_owned())
    };
    assert_eq!(found(&[], &place("clicks", "0", 10), 2), Ok((Some(2), Some(10))));
    assert_eq!(found(&[], &place("clicks", "0", 11), 2), Ok((Some(2), Some(10))));
    assert_eq!(
        found(&[], &place("clicks", "1", 19), 2),
        Ok((Some(3), Some(9))),
        "after the one it is stuck at"
    );
    assert_eq!(found(&[snapshot(1, 1)], &place("clicks", "1", 8), 2), Ok((Some(2), Some(5))));
    assert_eq!(
        found(&[], &place("clicks", "0", 12), 4),
        Ok((None, Some(12))),
        "the tick is not in the log"
    );
    assert_eq!(found(&[], &place("orders", "a.jsonl", 0), 4), Ok((None, Some(0))));
    assert_eq!(found(&[], &place("orders", "b.jsonl", 0), 4), Ok((None, None)), "a new partition");
    for (more, wanted, told) in [
        (
            vec![],
            place("clicks", "0", 9),
            "was read in tick 1 or before, which the job has got through",
        ),
        (
            vec![],
            place("clicks", "1", 4),
            "was read in tick 2 or before, which the job has got through",
        ),
        (vec![], place("visits", "0", 0), "no source \"visits\"; there are: clicks, orders"),
        (
            vec![savepoint(1, 3, "kept")],
            place("clicks", "0", 10),
            "was read in tick 2, and the snapshot of tick 3 has what came of it",
        ),
    ] {
        let refused = found(&more, &wanted, 2).unwrap_err();
        assert!(refused.contains(told), "no {told:?} in {refused:?}");
    }
}

#[test]
fn a_tick_that_any_lane_of_any_sink_has_is_shown() {
    let held = |name: &str, ticks: &[Option<(Tick, bool)>]| Held {
        sink: SinkDecl {
            name: name.into(),
            lanes: 2,
            first_tick: 1,
            live: true,
            address: BTreeMap::new(),
            image: None,
        },
        progress: ticks
            .iter()
            .map(|at| {
                let (tick, last) = (*at)?;
                let identity = Identity {
                    job: "j".into(),
                    program: "p".into(),
                    generation: Generation(1),
                    nonce: Nonce(1),
                };
                Some(Progress { last, ..Progress::whole(&identity, tick) })
            })
            .collect(),
    };
    let behind = held("a", &[Some((6, true)), None]);
    not_shown(7, &[behind.clone(), held("b", &[None, None])]).unwrap();
    for there in [Some((7, true)), Some((7, false)), Some((9, true))] {
        let told = not_shown(7, &[behind.clone(), held("b", &[None, there])]).unwrap_err();
        assert!(told.message().starts_with("sink b has rows up to tick "), "{told}");
    }
}
