#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::ids::Generation;
use crate::ticks::counts::{Counter, Verdict, Why};
use crate::ticks::fixtures::*;
use crate::ticks::log::{append_and_count, read_and_count};

const OK: Verdict = Verdict::Counts;

#[test]
fn an_append_gives_everything_up_to_its_own_last_record() {
    let log = MemoryLog::new();
    let (mut a, mut b) = (log.handle(), log.handle());
    a.append(&[open(1), tick(1, 1)]).unwrap();
    let given = b.append(&[open(2)]).unwrap();
    let given: Vec<_> = given.iter().map(|e| (e.position, e.own, e.record.clone())).collect();
    assert_eq!(given, [(0, false, open(1)), (1, false, tick(1, 1)), (2, true, open(2))]);
    let given = a.append(&[tick(1, 2)]).unwrap();
    let given: Vec<_> = given.iter().map(|e| (e.position, e.own)).collect();
    assert_eq!(given, [(2, false), (3, true)]);
    let mut seen = vec![];
    b.read(&mut |position, record| {
        seen.push((position, record));
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, [(3, tick(1, 2))]);
}

/// D1, D2, D3: the zombie's append is pending while the new leader reads, opens and proposes the same tick; then it lands.
#[test]
fn a_zombies_pending_tick_never_counts_for_anybody() {
    let log = MemoryLog::new();
    let (mut a, mut b) = (log.handle(), log.handle());
    let (mut a_view, mut b_view) = (Counter::new(), Counter::new());
    append_and_count(&mut a, &mut a_view, &[open(1)]).unwrap();
    log.fail_next(Fault::Pending);
    let error = append_and_count(&mut a, &mut a_view, &[tick(1, 1)]).unwrap_err();
    assert_eq!(error.kind(), Kind::Undecided);
    assert_eq!(append_and_count(&mut b, &mut b_view, &[open(2)]).unwrap(), [OK]);
    log.land();
    assert_eq!(append_and_count(&mut b, &mut b_view, &[tick(2, 1)]).unwrap(), [OK]);
    read_and_count(&mut a, &mut a_view).unwrap();
    assert_eq!(log.records(), [open(1), open(2), tick(1, 1), tick(2, 1)]);
    assert_eq!(a_view, b_view, "both agree on the one sequence");
    assert_eq!(a_view.last_tick(), 1);
}

/// D3: acknowledged, and yet it does not count.
#[test]
fn an_acknowledged_append_is_not_yet_a_counted_one() {
    let log = MemoryLog::new();
    let (mut a, mut b) = (log.handle(), log.handle());
    let mut view = Counter::new();
    append_and_count(&mut a, &mut view, &[open(1)]).unwrap();
    b.append(&[open(2)]).unwrap();
    let verdicts = append_and_count(&mut a, &mut view, &[tick(1, 1), tick(1, 2)]).unwrap();
    assert_eq!(verdicts, [Verdict::Not(Why::NotOpen(Some(Generation(2)))); 2]);
}

#[test]
fn after_a_lost_answer_the_handle_appends_no_more() {
    for (fault, landed) in [(Fault::Lost, 1), (Fault::Landed, 2)] {
        let log = MemoryLog::new();
        let mut a = log.handle();
        a.append(&[open(1)]).unwrap();
        log.fail_next(fault);
        for _ in 0..2 {
            assert_eq!(a.append(&[tick(1, 1)]).unwrap_err().kind(), Kind::Undecided);
        }
        assert_eq!(log.records().len(), landed, "{fault:?}");
        assert!(log.handle().append(&[open(2)]).is_ok(), "the crash ends it");
    }
}

#[test]
fn cut_at_a_state_only_and_positions_go_on() {
    let log = MemoryLog::new();
    let mut a = log.handle();
    a.append(&[open(1), tick(1, 1), state(1, 1), tick(1, 2)]).unwrap();
    assert_eq!(a.cut(1).unwrap_err().kind(), Kind::Internal);
    a.cut(2).unwrap();
    a.cut(2).unwrap();
    assert_eq!(a.cut(0).unwrap_err().kind(), Kind::Internal);
    assert_eq!(log.records(), [state(1, 1), tick(1, 2)]);
    let given = log.handle().append(&[open(2)]).unwrap();
    assert_eq!(given.iter().map(|e| e.position).collect::<Vec<_>>(), [2, 3, 4]);
}
