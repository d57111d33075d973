#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::ids::Inlet;
use crate::ticks::fixtures::*;

const OK: Verdict = Verdict::Counts;

fn not_open(newest: impl Into<Option<u64>>) -> Verdict {
    Verdict::Not(Why::NotOpen(newest.into().map(Generation)))
}

fn opened_before(newest: u64) -> Verdict {
    Verdict::Not(Why::OpenedBefore(Generation(newest)))
}

fn not_next(last: Tick) -> Verdict {
    Verdict::Not(Why::NotNext(last))
}

/// A counter that was fed these records at positions 0, 1, ...
fn fed(records: &[Record]) -> Counter {
    let mut counter = Counter::new();
    for (position, record) in (0..).zip(records) {
        counter.feed(position, record);
    }
    counter
}

fn snapshots(counter: &Counter) -> Vec<Tick> {
    counter.snapshots().iter().map(|s| s.tick).collect()
}

#[test]
fn verdicts() {
    #[rustfmt::skip]
    let table: Vec<(&str, Vec<(Record, Verdict)>)> = vec![
        ("nothing counts before an open", vec![
            (tick(1, 1), not_open(None)), (snapshot(1, 1), not_open(None)), (drop_below(1, 1), not_open(None)),
            (state(1, 1), not_open(None)), (open(1), OK), (tick(1, 1), OK)]),
        ("the first tick is 1", vec![(open(1), OK), (tick(1, 2), not_next(0)), (tick(1, 0), not_next(0)), (tick(1, 1), OK)]),
        ("ticks have no gap and no repeat", vec![
            (open(1), OK), (tick(1, 1), OK), (tick(1, 1), not_next(1)), (tick(1, 3), not_next(1)), (tick(1, 2), OK)]),
        ("a generation need not follow the one before", vec![(open(4), OK), (open(9), OK), (tick(9, 1), OK)]),
        ("an open counts only above the newest", vec![
            (open(2), OK), (open(2), opened_before(2)), (open(1), opened_before(2)), (open(3), OK)]),
        ("an open that does not count lets nothing count", vec![
            (open(2), OK), (open(1), opened_before(2)), (tick(1, 1), not_open(2)), (tick(2, 1), OK)]),
        ("records of a generation that has only claimed", vec![(open(1), OK), (tick(2, 1), not_open(1)), (open(2), OK), (tick(2, 1), OK)]),
        ("ticks go on over generations", vec![
            (open(1), OK), (tick(1, 1), OK), (open(2), OK), (tick(2, 1), not_next(1)), (tick(2, 2), OK)]),
        ("snapshot, drop, skip and state of a zombie", vec![
            (open(1), OK), (tick(1, 1), OK), (open(2), OK), (snapshot(1, 1), not_open(2)), (drop_below(1, 1), not_open(2)),
            (skip(1, None, 7), not_open(2)), (state(1, 1), not_open(2)), (snapshot(2, 1), OK), (drop_below(2, 1), OK)]),
        // D1, D12: A (1) proposes tick 1; B (2) reads the end and proposes its own; both land, either first. B's open decides.
        ("D1: the zombie's tick lands after the new leader's", vec![
            (open(1), OK), (open(2), OK), (tick(2, 1), OK), (tick(1, 1), not_open(2))]),
        ("D2: the zombie's tick lands before the new leader's, after its open", vec![
            (open(1), OK), (open(2), OK), (tick(1, 1), not_open(2)), (tick(2, 1), OK)]),
        ("D1, D2 corrected: it lands before the open, so the new leader reads it and goes on behind it", vec![
            (open(1), OK), (tick(1, 1), OK), (open(2), OK), (tick(2, 1), not_next(1)), (tick(2, 2), OK)]),
        // D4: A (2) claimed after B (1) but opens with an old view: what B did before is in the log, A's next tick must follow it.
        ("D4: the winner of the generation had the stale read", vec![
            (open(1), OK), (tick(1, 1), OK), (open(2), OK), (tick(2, 1), not_next(1)), (tick(1, 2), not_open(2)), (tick(2, 2), OK)]),
        ("S3, S4: the zombie's snapshot", vec![(open(1), OK), (tick(1, 1), OK), (tick(1, 2), OK), (open(2), OK), (snapshot(1, 2), not_open(2))]),
        ("S6, S7: the zombie's drop of what the new leader restored", vec![
            (open(1), OK), (tick(1, 1), OK), (snapshot(1, 1), OK), (open(2), OK), (drop_below(1, 2), not_open(2))]),
        ("a state at the head stands for what was before it", vec![
            (state(3, 8), OK), (tick(3, 8), not_next(8)), (tick(2, 9), not_open(3)), (tick(3, 9), OK), (open(3), opened_before(3)), (open(4), OK)]),
        ("a state elsewhere is a record like others", vec![(open(1), OK), (state(1, 8), OK), (tick(1, 9), not_next(0)), (tick(1, 1), OK)]),
    ];
    for (name, steps) in table {
        let mut counter = Counter::new();
        for (position, (record, expected)) in (0..).zip(&steps) {
            let verdict = counter.feed(position, record);
            assert_eq!(verdict, *expected, "{name}: {}", record.describe());
        }
    }
}

/// D3: A is acknowledged, but B's open stands before A's tick. The acknowledgement is true and the tick does not exist.
#[test]
fn d3_what_does_not_count_changes_nothing() {
    let before = fed(&[open(1), tick(1, 1), open(2)]);
    let mut after = before.clone();
    let zombie = [tick(1, 2), snapshot(1, 1), drop_below(1, 9), state(1, 1), open(1), tick(2, 1)];
    for record in zombie {
        assert_ne!(after.feed(3, &record), Verdict::Counts);
    }
    assert_eq!(after, Counter { next: after.next, ..before });
}

/// Any two who read the same log agree, wherever the first stopped on the way (read up to your own mark).
#[test]
fn every_prefix_is_read_the_same() {
    let log =
        [open(1), tick(1, 1), open(3), tick(1, 2), open(2), tick(3, 2), tick(2, 2), tick(3, 3)];
    let whole = fed(&log);
    for stop in 0..log.len() {
        let mut counter = fed(&log[..stop]);
        for (position, record) in (stop as u64..).zip(&log[stop..]) {
            counter.feed(position, record);
        }
        assert_eq!(counter, whole);
    }
    assert_eq!((whole.generation(), whole.last_tick()), (Some(Generation(3)), 3));
}

#[test]
fn the_program_in_force_is_that_of_the_last_tick() {
    let program = |c: &Counter| c.in_force().map(|o| o.program.clone());
    let log = [
        open_program(1, "one", None),
        tick(1, 1),
        open_program(2, "two", Some(1)),
        open_program(3, "two", Some(1)),
        tick(3, 2),
    ];
    let seen: Vec<_> = (1..=log.len()).map(|n| program(&fed(&log[..n]))).collect();
    let [one, two] = ["one", "two"].map(|p| Some(p.to_string()));
    assert_eq!(seen, [None, one.clone(), one.clone(), one, two], "an open changes nothing");
}

#[test]
fn sinks_of_all_opens_stay() {
    let opened = |g, sinks| Record::Open(open_with(g, sinks));
    let counter = fed(&[
        opened(1, vec![sink("a", 2, 1), sink("b", 1, 1)]),
        opened(2, vec![sink("a", 1, 5)]),
        opened(2, vec![sink("never", 1, 5)]),
        opened(3, vec![sink("a", 1, 5), sink("c", 1, 9)]),
    ]);
    assert_eq!(
        counter.sinks(),
        [gone(sink("a", 2, 1)), gone(sink("b", 1, 1)), sink("a", 1, 5), sink("c", 1, 9)]
    );
    let carried = counter.sinks().to_vec();
    let again = fed(&[opened(4, carried.clone()), opened(5, carried.clone())]);
    assert_eq!(again.sinks(), carried, "an open that carries the list on changes nothing");
}

#[test]
fn drops_give_up_snapshots_but_not_savepoints_and_base() {
    let mut counter = fed(&[
        open_program(1, "one", Some(2)),
        tick(1, 1),
        snapshot(1, 1),
        snapshot(1, 2),
        savepoint(1, 3, "keep"),
        savepoint(1, 4, "give-up"),
        snapshot(1, 5),
        savepoint(1, 6, "late"),
    ]);
    assert_eq!(counter.savepoint("keep").unwrap().tick, 3);
    counter.feed(8, &drop_savepoints(1, 5, &["give-up", "late"]));
    assert_eq!(snapshots(&counter), [2, 3, 5, 6]);
    assert_eq!(counter.savepoint("late"), None, "it stays as a snapshot, not by name");
    assert_eq!(counter.progress_floor(), 5);
    counter.feed(9, &drop_below(1, 4));
    assert_eq!((snapshots(&counter), counter.progress_floor()), (vec![2, 3, 5, 6], 5));
}

#[test]
fn ticks_after_and_what_was_forgotten() {
    let ticks = |c: &Counter, after| -> Vec<Tick> {
        c.ticks_after(after).unwrap().map(|t| t.decision.tick).collect()
    };
    let mut counter = fed(&[open(1), tick(1, 1), tick(1, 2), tick(1, 9), tick(1, 3)]);
    assert_eq!((ticks(&counter, 0), ticks(&counter, 2)), (vec![1, 2, 3], vec![3]));
    assert_eq!(ticks(&counter, 3), [0; 0]);
    counter.forget_ticks(1);
    assert_eq!(ticks(&counter, 1), [2, 3]);
    assert_eq!(counter.ticks_after(0).err().unwrap().kind(), crate::Kind::Internal);
    counter.forget_ticks(Tick::MAX);
    counter.feed(5, &tick(1, 4));
    assert_eq!((counter.last_tick(), counter.ticks.len()), (4, 0));
}

/// PROTOCOL 14: who reads the cut log knows what who reads the whole log knows, above the cut.
#[test]
fn a_cut_log_tells_the_same() {
    let opened = |g, sinks| Record::Open(open_with(g, sinks));
    let mut with_inlet = tick(2, 2);
    let Record::Tick(record) = &mut with_inlet else { panic!("a tick") };
    record.decision.inlets.push(InletDecl {
        inlet: Inlet(0),
        source: "s".into(),
        partition: "p".into(),
        start: 0,
        identity: None,
    });
    let mut log = vec![
        opened(1, vec![sink("a", 1, 1), sink("b", 1, 1)]),
        tick(1, 1),
        snapshot(1, 1),
        opened(2, vec![sink("a", 1, 1)]),
    ];
    assert_eq!(fed(&log).state(), None, "generation 2 is not in force yet");
    log.extend([with_inlet, savepoint(2, 2, "x")]);
    let at = log.len();
    log.push(Record::State(fed(&log).state().unwrap()));
    log.extend([tick(2, 3), snapshot(2, 3), opened(3, vec![sink("a", 1, 1)]), tick(3, 4)]);

    let mut whole = fed(&log);
    let mut cut = Counter::new();
    for (position, record) in (0..).zip(&log).skip(at) {
        cut.feed(position, record);
    }
    assert_eq!((whole.reaches_back_to(), cut.reaches_back_to()), (0, 2));
    assert_eq!(cut.ticks_after(1).err().unwrap().kind(), crate::Kind::Corrupt);
    assert_eq!((whole.cut_for(1), whole.cut_for(2), whole.cut_for(9)), (None, Some(6), Some(6)));
    assert_eq!(cut.cut_for(9), None, "nothing stands before it");
    whole.was_cut(at as u64);
    // The whole one knew generation 2's first open as it was; the cut one has it with the sinks of generation 1.
    assert_eq!(cut, whole);
}

#[test]
fn what_is_left_out_is_known_until_the_log_is_cut_behind_its_tick() {
    let mut counter = fed(&[
        open(1),
        tick(1, 1),
        tick(1, 2),
        open(2),
        skip(1, Some(1), 6),
        skip(2, Some(1), 7),
        skip(2, Some(2), 8),
        state(2, 2),
    ]);
    let left_out = |counter: &Counter, after| {
        counter.skips_after(after).map(|skip| (skip.tick.unwrap(), skip.offset)).collect::<Vec<_>>()
    };
    assert_eq!(left_out(&counter, 0), [(1, 7), (2, 8)], "not what a zombie said");
    assert_eq!(left_out(&counter, 1), [(2, 8)]);
    assert_eq!(left_out(&counter, 2), []);
    counter.was_cut(7);
    assert_eq!(left_out(&counter, 0), [], "no tick that it is about is ever read again");
}

#[test]
fn what_is_left_out_once_it_is_read_is_so_from_the_tick_that_reads_it() {
    let reads = |at: Tick, from: u64, to: u64| {
        let inlets = if at == 1 { vec![inlet(0, "clicks", "0", 0)] } else { vec![] };
        reads(2, at, inlets, vec![range(0, from, to)])
    };
    let mut counter =
        fed(&[open(2), reads(1, 0, 7), skip(2, None, 7), skip(2, None, 90), reads(2, 7, 9)]);
    let left_out = |counter: &Counter, after| {
        counter.skips_after(after).map(|skip| (skip.tick, skip.offset)).collect::<Vec<_>>()
    };
    assert_eq!(left_out(&counter, 1), [(Some(2), 7), (None, 90)]);
    assert_eq!(left_out(&counter, 2), [(None, 90)]);
    // A log that is cut here begins with what is still to be read.
    let state = counter.state().unwrap();
    assert_eq!(state.skips.len(), 1);
    let cut = fed(&[Record::State(state), reads(3, 9, 91)]);
    assert_eq!(left_out(&cut, 2), [(Some(3), 90)]);
    counter.feed(5, &reads(3, 9, 90));
    assert_eq!(left_out(&counter, 2), [(None, 90)]);
}
