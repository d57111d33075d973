//! Creates that come late: PROTOCOL, counterexamples 1, 2, 5 and 6. A create that is on its way for long is one that is made now by a
//! process that has read the log before.

use super::*;

/// The objects below the newest cut that begin with no open: where a late create would find its place free.
fn free(store: &Store) -> Vec<u64> {
    let numbers: Vec<_> =
        store.list(LOG).unwrap().iter().filter_map(|o| number_of(LOG, &o.name)).collect();
    (0..*numbers.last().unwrap()).filter(|n| !numbers.contains(n)).collect()
}

#[test]
fn a_late_tick_finds_its_place_taken_by_an_open_though_the_log_was_cut_there() {
    for store in stores().1 {
        let (mut a, mut a_view) = lead(&store, 1);
        // B and C take over, C goes on and deletes all that it may.
        lead(&store, 2);
        let (mut c, mut c_view) = lead(&store, 3);
        tick_and_cut(&mut c, &mut c_view, 3);
        assert!(!free(&store).contains(&a.next()), "the place of A's next record is not free");

        let verdicts = append_and_count(&mut a, &mut a_view, &[tick(1, 1)]).unwrap();
        assert_eq!(verdicts, [], "A's tick is not taken for durable");
        assert_eq!(a_view.generation(), Some(Generation(2)), "A knows that it does not lead");
        assert_eq!(records(&store).len(), 1, "and the log is as it was");
    }
}

#[test]
fn a_late_open_in_the_place_of_a_deleted_tick_ends_its_maker() {
    for store in stores().1 {
        let (mut a, mut a_view) = lead(&store, 1);
        append_and_count(&mut a, &mut a_view, &[tick(1, 1)]).unwrap();
        let mut late = hold(&store);
        read_and_count(&mut late, &mut Counter::new()).unwrap();
        tick_and_cut(&mut a, &mut a_view, 4);
        assert!(free(&store).contains(&late.next()), "else this shows nothing");

        let error = late.append(&[open(2)]).unwrap_err();
        assert_eq!(error.kind(), Kind::Fenced, "{error}");
        assert_eq!(late.append(&[tick(2, 1)]).unwrap_err().kind(), Kind::Undecided);
        // Who leads does not notice, nor does who reads.
        let verdicts = append_and_count(&mut a, &mut a_view, &[tick(1, 5)]).unwrap();
        assert_eq!(verdicts, [Verdict::Counts]);
        let (state, last) = (Record::State(state_of(&store)), tick(1, 5));
        assert_eq!(records(&store), [state, last]);
    }
}

fn state_of(store: &Store) -> crate::ticks::record::StateRecord {
    match records(store).swap_remove(0) {
        Record::State(state) => state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_open_with_anything_above_it_ends_even_if_only_another_candidate_is_there() {
    let store = Store::in_memory().unwrap();
    let (mut x, mut y) = (hold(&store), hold(&store));
    all(&mut x).unwrap();
    all(&mut y).unwrap();
    // X's create has landed and it has not looked yet.
    let head = Head { log_id: x.log_id(), number: x.next(), nonce: Nonce(5) };
    store.put_if_absent(&name(head.number), object::encode(head, &[open(1).to_json()])).unwrap();
    assert_eq!(own(&y.append(&[open(2)]).unwrap()), [(false, open(1)), (true, open(2))]);
    x.pass(Some(&open(1)));
    assert_eq!(x.look_above(head.number).unwrap_err().kind(), Kind::Fenced);
}

#[test]
fn of_two_candidates_the_newer_leads_and_the_older_is_not_appended_behind_it() {
    for (first, second, counts) in [(2, 3, true), (3, 2, false)] {
        let store = Store::in_memory().unwrap();
        let (mut x, mut y) = (hold(&store), hold(&store));
        let (mut x_view, mut y_view) = (Counter::new(), Counter::new());
        read_and_count(&mut x, &mut x_view).unwrap();
        read_and_count(&mut y, &mut y_view).unwrap();
        append_and_count(&mut x, &mut x_view, &[open(first)]).unwrap();
        let verdicts = append_and_count(&mut y, &mut y_view, &[open(second)]).unwrap();
        let expected: &[Verdict] = if counts { &[Verdict::Counts] } else { &[] };
        assert_eq!(verdicts, expected, "{first} then {second}");
        assert_eq!(y_view.generation(), Some(Generation(first.max(second))));
    }
}

#[test]
fn a_conflict_with_oneself_is_success() {
    for store in stores().1 {
        let mut log = hold(&store);
        all(&mut log).unwrap();
        let head = Head { log_id: log.log_id(), number: 1, nonce: Nonce(5) };
        let bytes = Bytes::from(object::encode(head, &[tick(1, 1).to_json()]));
        // The first try landed, its answer was lost.
        store.put_if_absent(&name(1), bytes.clone()).unwrap();
        assert!(matches!(log.create(1, Nonce(5), bytes.clone()).unwrap(), Made::Own));
        let another = log.create(1, Nonce(6), bytes).unwrap();
        assert!(matches!(another, Made::Another(records) if records == [tick(1, 1)]));
    }
}

#[test]
fn a_reader_that_was_left_behind_by_a_cut_begins_again() {
    let store = Store::in_memory().unwrap();
    let (mut a, mut a_view) = lead(&store, 1);
    append_and_count(&mut a, &mut a_view, &[tick(1, 1)]).unwrap();
    let mut reader = hold(&store);
    assert_eq!(all(&mut reader).unwrap().len(), 2);
    tick_and_cut(&mut a, &mut a_view, 4);
    let error = all(&mut reader).unwrap_err();
    assert_eq!(error.kind(), Kind::Fenced, "{error}");
    assert!(error.message().contains("start again"), "{error}");
    assert_eq!(records(&store).len(), 1);
}
