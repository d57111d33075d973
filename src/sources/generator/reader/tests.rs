#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::Kind;
use crate::sources::Transport as _;
use std::sync::{Arc, mpsc};

const ALL: u64 = u64::MAX;
const PLENTY: Budget = Budget { records: 1_000_000, bytes: 1 << 30 };

fn reader(settings: &Nexmark, partition: &str, next: u64) -> Box<dyn Reader> {
    let mut reader = settings.open(Arc::new(|| {})).unwrap();
    reader.assign(Inlet(1), partition, next).unwrap();
    reader
}

fn poll(reader: &mut dyn Reader, limit: u64, budget: Budget) -> (Polled, Vec<(u64, Vec<u8>)>) {
    let mut found = Vec::new();
    let polled = reader.poll(Inlet(1), limit, budget, &mut |raw| {
        assert_eq!(raw.next, raw.offset + 1);
        found.push((raw.offset, raw.payload.unwrap().to_vec()));
        Ok(())
    });
    (polled.unwrap(), found)
}

#[test]
fn bounded_partitions_hold_exactly_all_events() {
    for (events, partitions, expected) in
        [(10, 4, vec![3, 3, 2, 2]), (8, 4, vec![2; 4]), (2, 4, vec![1, 1, 0, 0]), (0, 1, vec![0])]
    {
        let settings = Nexmark::new().partitions(partitions).unwrap().events(events);
        let counts: Vec<_> = settings
            .discover()
            .unwrap()
            .iter()
            .map(|partition| {
                let (polled, found) =
                    poll(&mut *reader(&settings, &partition.name, 0), ALL, PLENTY);
                assert_eq!(polled, Polled::Finished);
                found.len()
            })
            .collect();
        assert_eq!(counts, expected, "{events} in {partitions}");
    }
}

#[test]
fn budget_limit_and_position_change_no_record() {
    let settings = Nexmark::new().events(4_000);
    let (_, all) = poll(&mut *reader(&settings, "2", 0), ALL, PLENTY);
    assert_eq!(all.len(), 1_000);
    let sizes: Vec<_> = all.iter().map(|(_, payload)| payload.len()).collect();

    let mut piecewise = reader(&settings, "2", 0);
    let two = Budget { records: 100, bytes: sizes[0] + sizes[1] };
    assert_eq!(poll(&mut *piecewise, ALL, two), (Polled::More, all[..2].to_vec()));
    let tiny = Budget { records: 100, bytes: 1 };
    assert_eq!(poll(&mut *piecewise, ALL, tiny), (Polled::More, all[2..3].to_vec()));
    assert_eq!(poll(&mut *piecewise, 3, PLENTY), (Polled::Limit, vec![]));
    let few = Budget { records: 4, bytes: 1 << 20 };
    assert_eq!(poll(&mut *piecewise, ALL, few), (Polled::More, all[3..7].to_vec()));
    assert_eq!(poll(&mut *piecewise, 10, PLENTY), (Polled::Limit, all[7..10].to_vec()));
    assert_eq!(piecewise.lag(Inlet(1)), Some(990));
    assert_eq!(
        poll(&mut *reader(&settings, "2", 10), ALL, PLENTY),
        (Polled::Finished, all[10..].to_vec())
    );
}

#[test]
fn the_rate_holds_up_what_is_new_and_not_a_replay() {
    let slow = Nexmark::new().partitions(1).unwrap().rate(1).unwrap();
    let mut reader = reader(&slow, "0", 0);
    let (polled, found) = poll(&mut *reader, 500, PLENTY);
    assert_eq!((polled, found.len()), (Polled::Limit, 500));
    let (polled, found) = poll(&mut *reader, ALL, PLENTY);
    assert_eq!((polled, found.len()), (Polled::CaughtUp, 0), "nothing in the first moment");
}

#[test]
fn the_rate_is_shared_by_partitions_and_counts_exactly() {
    let ms = Duration::from_millis;
    for (elapsed, rate, partitions, expected) in [
        (ms(0), 1000, 1, 0),
        (ms(1), 1000, 1, 1),
        (ms(999), 1, 1, 0),
        (ms(1000), 1, 1, 1),
        (ms(1000), 10, 4, 2),
        (ms(2000), 10, 4, 5),
        (Duration::MAX, u64::MAX, 1, u64::MAX),
    ] {
        assert_eq!(allowed(elapsed, rate, partitions), expected, "{elapsed:?} {rate} {partitions}");
    }
}

#[test]
fn what_becomes_due_wakes_the_worker_and_is_given() {
    let (sender, woken) = mpsc::channel();
    let settings = Nexmark::new().partitions(1).unwrap().rate(1_000).unwrap().events(20);
    let waker = move || {
        let _ = sender.send(());
    };
    let mut reader = settings.open(Arc::new(waker)).unwrap();
    reader.assign(Inlet(1), "0", 0).unwrap();
    let mut count = 0;
    loop {
        let (polled, found) = poll(&mut *reader, ALL, PLENTY);
        count += found.len();
        match polled {
            Polled::CaughtUp => woken.recv_timeout(Duration::from_secs(30)).unwrap(),
            polled => break assert_eq!((polled, count), (Polled::Finished, 20)),
        }
    }
}

#[test]
fn another_number_of_partitions_is_refused_by_name() {
    let mut reader = Nexmark::new().open(Arc::new(|| {})).unwrap();
    for partition in ["4", "-1", "x"] {
        let error = reader.assign(Inlet(1), partition, 0).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(
            error.message().contains(&format!("partition {partition} is not one of 4")),
            "{error}"
        );
    }
}

#[test]
fn settings_are_checked() {
    let refused = [
        Nexmark::new().partitions(0),
        Nexmark::new().rate(0),
        Nexmark::new().event_time_rate(0),
        Nexmark::new().event_time_rate(1_000_001),
    ];
    assert!(refused.into_iter().all(|result| result.unwrap_err().kind() == Kind::Config));
}
