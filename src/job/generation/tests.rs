use super::lanes::{Wanted, next_sinks};
use super::*;
use crate::sinks::Progress;
use crate::ticks::fixtures::*;
use crate::ticks::record::{Record, SinkDecl};
use std::collections::BTreeMap;

fn log(records: &[Record]) -> Counter {
    let mut log = Counter::new();
    for (position, record) in (0..).zip(records) {
        log.feed(position, record);
    }
    log
}

fn yes(base: impl Into<Option<Tick>>) -> MayLead {
    MayLead::Yes { base: base.into() }
}

/// A lane that holds this tick whole; 0 is no progress.
pub(super) fn wrote(tick: Tick) -> Option<Progress> {
    (tick > 0).then(|| Progress {
        job: "job".into(),
        sink: "sink".into(),
        lane: Lane(0),
        program: "one".into(),
        generation: Generation(1),
        nonce: crate::ids::Nonce(1),
        tick,
        rows: 0,
        digest: 0,
        last: true,
        next_offsets: BTreeMap::new(),
        watermarks: BTreeMap::new(),
    })
}

pub(super) fn held(sink: SinkDecl, ticks: &[Tick]) -> Held {
    Held { sink, progress: ticks.iter().map(|t| wrote(*t)).collect() }
}

/// PROTOCOL 1.
#[test]
fn the_next_generation_is_above_all_claims_and_opens() {
    let g = |n: u64| (n > 0).then_some(Generation(n));
    for (claim, open, expected) in
        [(0, 0, 1), (3, 0, 4), (3, 3, 4), (5, 3, 6), (2, 9, 10), (0, 4, 5)]
    {
        assert_eq!(next(g(claim), g(open)), Generation(expected), "claim {claim}, open {open}");
    }
}

#[test]
fn before_the_claim() {
    let refused = |end| MayLead::Refuse(Refusal::NoSnapshotAtEnd { program: "one".into(), end });
    let one = [open(1), tick(1, 1), tick(1, 2)];
    let with = |more: &[Record]| log(&[&one[..], more].concat());
    let two = [snapshot(1, 2), open_program(2, "two", Some(2)), tick(2, 3)];
    #[rustfmt::skip]
    let table = [
        ("an empty log is anybody's", "two", log(&[]), yes(None)),
        ("a log without a tick, too", "two", log(&[open(1)]), yes(None)),
        ("the same program needs nothing", "one", with(&[]), yes(None)),
        ("U1, U2: another one needs a snapshot", "two", with(&[]), refused(2)),
        ("U3: an older snapshot is not enough", "two", with(&[snapshot(1, 1)]), refused(2)),
        ("U5: a snapshot at the end is the base", "two", with(&[snapshot(1, 2)]), yes(2)),
        ("a savepoint is as good", "two", with(&[savepoint(1, 2, "s")]), yes(2)),
        ("one that does not count is not there", "two", with(&[open(2), snapshot(1, 2)]), refused(2)),
        ("another one that has opened but not ticked changes nothing", "one",
            with(&[snapshot(1, 2), open_program(2, "two", Some(2))]), yes(None)),
        ("its own second try has the same base", "two", with(&[snapshot(1, 2), open_program(2, "two", Some(2))]), yes(2)),
        ("once in force it carries its base on", "two", with(&two), yes(2)),
        ("also when its own snapshot is there", "two", with(&[&two[..], &[snapshot(2, 3)]].concat()), yes(2)),
        ("a drop proves that an own snapshot serves all", "two", with(&[&two[..], &[snapshot(2, 3), drop_below(2, 3)]].concat()), yes(3)),
        ("U6: and back again", "one", with(&[&two[..], &[snapshot(2, 3)]].concat()), yes(3)),
    ];
    for (name, program, log, expected) in table {
        assert_eq!(before_claim(program, &[], &log), expected, "{name}");
    }
}

/// To give up state is a change like another program's, once.
#[test]
fn state_is_given_up_like_a_change_of_program_and_once() {
    let drops = |generation, base, uid: &str, tick| {
        let open = open_with(generation, vec![]);
        let dropped = BTreeMap::from([(uid.to_owned(), tick)]);
        Record::Open(Open { base: Some(base), dropped, ..open })
    };
    let one = [open(1), tick(1, 1), tick(1, 2)];
    let with = |more: &[Record]| log(&[&one[..], more].concat());
    let refused = |end| MayLead::Refuse(Refusal::NoSnapshotAtEnd { program: "one".into(), end });
    let at = |tick| BTreeMap::from([("x".to_owned(), tick)]);
    let done = [snapshot(1, 2), drops(2, 2, "x", 2), tick(2, 3)];
    let drained = [&done[..], &[snapshot(2, 3)]].concat();
    #[rustfmt::skip]
    let table = [
        ("nothing to give up", "one", log(&[]), yes(None), false, BTreeMap::new()),
        ("no snapshot at the end", "one", with(&[]), refused(2), true, at(2)),
        ("a snapshot at the end", "one", with(&[snapshot(1, 2)]), yes(2), true, at(2)),
        ("an open that never ticked has given up nothing", "one", with(&done[..2]), yes(2), true, at(2)),
        ("it was given up, what was kept since goes on", "one", with(&done), yes(2), false, at(2)),
        ("also at a drained end", "one", with(&drained), yes(2), false, at(2)),
        ("another program gives up its own", "two", with(&drained), yes(3), true, at(3)),
    ];
    let told = ["x".to_owned()];
    for (name, program, log, may, switches, dropped) in table {
        assert_eq!(before_claim(program, &told, &log), may, "{name}");
        assert_eq!(will_switch(program, &told, &log), switches, "{name}");
        assert_eq!(next_dropped(program, &told, &log), dropped, "{name}");
    }
    assert!(next_dropped("two", &[], &with(&drained)).is_empty(), "its snapshot has it no more");
    let next = |dropped| Open { base: Some(3), dropped, ..open_with(9, vec![]) };
    let further = [&one[..], &drained, &[tick(2, 4)]].concat();
    let more = next(BTreeMap::from([("x".to_owned(), 2), ("y".to_owned(), 3)]));
    assert_eq!(
        after_open(&more, &with_open(&further, &more)),
        MayLead::Exit { seen: 3, end: 4 },
        "it gives up more, at an end that is no longer the end"
    );
    let same = next(at(2));
    assert_eq!(after_open(&same, &with_open(&further, &same)), yes(3), "it gives up no more");
}

fn opened(program: &str, base: Option<Tick>, sinks: Vec<SinkDecl>) -> Open {
    Open { program: program.into(), base, ..open_with(9, sinks) }
}

/// Feeds the open too, as the caller has.
fn with_open(records: &[Record], open: &Open) -> Counter {
    log(&[records, &[Record::Open(open.clone())]].concat())
}

#[test]
fn after_the_open() {
    let a = || sink("a", 1, 1);
    let first = Record::Open(open_with(1, vec![a()]));
    let one = [first.clone(), tick(1, 1), tick(1, 2), snapshot(1, 2)];
    let further = [&one[..], &[tick(1, 3)]].concat();
    let exit = |seen, end| MayLead::Exit { seen, end };
    #[rustfmt::skip]
    let table: Vec<(&str, &[Record], Open, MayLead)> = vec![
        ("the first open", &[], opened("one", None, vec![a()]), yes(None)),
        ("the same program, whatever happened since it looked", &further, opened("one", None, vec![a()]), yes(None)),
        ("another program saw the true end", &one, opened("two", Some(2), vec![a()]), yes(2)),
        ("D4: another program saw an older end", &further, opened("two", Some(2), vec![a()]), exit(2, 3)),
        ("a new sink begins after the true end", &one, opened("one", None, vec![a(), sink("b", 1, 3)]), yes(None)),
        ("a new sink would begin before the true end", &further, opened("one", None, vec![a(), sink("b", 1, 3)]), exit(2, 3)),
        ("new lanes would begin before the true end", &further, opened("one", None, vec![gone(a()), sink("a", 2, 3)]), exit(2, 3)),
        ("removed ones begin when they began", &further, opened("one", None, vec![a(), gone(sink("b", 1, 2))]), yes(None)),
    ];
    for (name, records, open, expected) in table {
        assert_eq!(after_open(&open, &with_open(records, &open)), expected, "{name}");
    }
}

#[test]
fn after_progress_was_read() {
    let a = || sink("a", 2, 1);
    let not_drained = |lane, reached| {
        let (program, sink) = ("one".into(), "a".into());
        MayLead::Refuse(Refusal::NotDrained { program, sink, lane: Lane(lane), reached, end: 2 })
    };
    let first = Record::Open(open_with(1, vec![a(), gone(sink("old", 1, 1))]));
    let records = [first, tick(1, 1), tick(1, 2), snapshot(1, 2)];
    let old = || held(sink("old", 1, 1), &[1]);
    let same = || opened("one", None, vec![a()]);
    let two = || opened("two", Some(2), vec![a()]);
    let lanes = || opened("one", None, vec![gone(a()), sink("a", 1, 3)]);
    let removed = || opened("two", Some(2), vec![gone(a())]);
    #[rustfmt::skip]
    let table = [
        ("the same program catches up by itself", same(), [2, 1], yes(None)),
        ("another one, all drained", two(), [2, 2], yes(2)),
        ("U4: another one, a lane is behind", two(), [2, 1], not_drained(1, 1)),
        ("another one, nothing written", two(), [0, 2], not_drained(0, 0)),
        ("another one that has removed the sink", removed(), [1, 2], not_drained(0, 1)),
        ("PROTOCOL 10: other lanes, all drained", lanes(), [2, 2], yes(None)),
        ("PROTOCOL 10: other lanes, a lane is behind", lanes(), [2, 1], not_drained(1, 1)),
    ];
    for (name, open, ticks, expected) in table {
        let log = with_open(&records, &open);
        assert_eq!(after_progress(&open, &log, &[held(a(), &ticks), old()]), expected, "{name}");
    }
    let log = with_open(&records[..3], &two());
    let refused = Refusal::NoSnapshotAtEnd { program: "one".into(), end: 2 };
    let all = [held(a(), &[2, 2]), old()];
    assert_eq!(after_progress(&two(), &log, &all), MayLead::Refuse(refused), "no snapshot at E");
    let log = with_open(&[], &same());
    assert_eq!(after_progress(&same(), &log, &[]), yes(None), "nothing is in force");
}

/// The open of a takeover while nothing changes is accepted at each step, and its sinks are those before.
#[test]
fn a_takeover_by_the_same_program_changes_no_sink() {
    let wanted = [Wanted { name: "a".into(), lanes: 2, address: BTreeMap::new(), change: None }];
    let first = next_sinks(None, &[], &wanted, 0, false);
    let records = [Record::Open(open_with(1, first.clone())), tick(1, 1), tick(1, 2)];
    let before = log(&records);
    let sinks = next_sinks(before.in_force(), before.sinks(), &wanted, before.last_tick(), false);
    assert_eq!(sinks, first);
    let open = opened("one", None, sinks);
    assert_eq!(after_open(&open, &with_open(&records, &open)), yes(None));
}

#[test]
fn refusals_say_where_and_what_to_do() {
    let refusal = Refusal::NotDrained {
        program: "one".into(),
        sink: "visits".into(),
        lane: Lane(3),
        reached: 7,
        end: 9,
    };
    let error = refusal.error();
    for part in ["visits", "lane 3", "tick 7", "tick 9", "tidemark stop", "run one"] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
}
