#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::ticks::fixtures;
use crate::ticks::record::Decision;
use std::sync::atomic::AtomicUsize;

fn record(tick: Tick) -> TickRecord {
    let decision = Decision {
        tick,
        wall: 0,
        watermarks: BTreeMap::new(),
        snapshot: false,
        inlets: Vec::new(),
        commands: Vec::new(),
    };
    TickRecord { generation: Generation(1), decision, ranges: Vec::new() }
}

#[test]
fn records_of_released_ticks_are_kept_up_to_a_bound() {
    let shared = Shared::new("job", "program", 1);
    assert_eq!(shared.record(1), Kept::NotReleased(0));
    let last = 10 + TICK_RECORDS_MAX as Tick;
    for tick in 11..=last {
        shared.release(record(tick));
    }
    let Kept::Record(kept) = shared.record(11) else { panic!("tick 11 is kept") };
    assert_eq!(*kept.record, record(11));
    assert_eq!(shared.record(10), Kept::Gone(11));
    assert_eq!(shared.record(last + 1), Kept::NotReleased(last));
    shared.release(record(last + 1));
    assert_eq!(shared.record(11), Kept::Gone(12));
    assert_eq!(shared.status().tick, last + 1);
    assert!(shared.registry().render().contains(&format!("tick_released {}\n", last + 1)));
}

#[test]
fn offsets_of_a_tick_are_those_of_every_partition_at_it() {
    let shared = Shared::new("job", "program", 1);
    let inlet = |number: u16, start| fixtures::inlet(number, "clicks", &number.to_string(), start);
    let range = fixtures::range;
    shared.restore_inlets([(inlet(0, 0), 100)]);
    let ranges = [vec![range(0, 100, 110)], vec![range(1, 7, 9)], vec![], vec![range(0, 110, 150)]];
    for (tick, ranges) in (41..).zip(ranges) {
        let mut record = record(tick);
        record.decision.inlets.extend((tick == 42).then(|| inlet(1, 7)));
        shared.release(TickRecord { ranges, ..record });
    }
    let table: [(Tick, &[(&str, u64)]); 4] = [
        (41, &[("0", 110)]),
        (42, &[("0", 110), ("1", 9)]),
        (43, &[("0", 110), ("1", 9)]),
        (44, &[("0", 150), ("1", 9)]),
    ];
    for (tick, wanted) in table {
        let Kept::Record(kept) = shared.record(tick) else { panic!("tick {tick} is kept") };
        let wanted = wanted.iter().map(|(name, next)| ((*name).to_owned(), *next)).collect();
        assert_eq!(kept.next_offsets, BTreeMap::from([("clicks".to_owned(), wanted)]));
    }
    let Kept::Record(kept) = shared.record(42) else { panic!("tick 42 is kept") };
    assert_eq!(kept.partitions, [("clicks".to_owned(), "1".to_owned())]);
}

#[test]
fn commands_reach_worker_0_only_while_it_listens() {
    let shared = Shared::new("job", "program", 1);
    assert_eq!(shared.order(Command::Stop).unwrap_err(), NotTaken::Away);
    let woken = Arc::new(AtomicUsize::new(0));
    let commands = shared.take_commands({
        let woken = woken.clone();
        Arc::new(move || {
            woken.fetch_add(1, Ordering::Relaxed);
        })
    });
    let mut outcome = shared.order(Command::Stop).unwrap();
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    let ordered = commands.try_recv().unwrap();
    assert_eq!(ordered.command, Command::Stop);
    assert!(outcome.try_recv().is_err(), "nothing is answered before the tick counts");
    ordered.reply.send(Ok(Done { tick: 9, manifest: None })).unwrap();
    assert_eq!(outcome.try_recv().unwrap().unwrap().tick, 9);
    let mut waiting = Vec::new();
    let refused = loop {
        match shared.order(Command::Stop) {
            Ok(outcome) => waiting.push(outcome),
            Err(refused) => break refused,
        }
    };
    assert_eq!((refused, waiting.len()), (NotTaken::Busy, COMMANDS_MAX));
    drop(commands);
    assert_eq!(shared.order(Command::Stop).unwrap_err(), NotTaken::Away);
}
