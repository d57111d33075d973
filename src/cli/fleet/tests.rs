use super::*;

#[test]
fn a_reason_that_a_person_must_look_at_tells_more_than_a_failure() {
    for (codes, told) in [
        (vec![0, 0, 0], None),
        (vec![1, 0, 1], Some((0, 1))),
        (vec![0, 137], Some((1, 1))),
        (vec![1, 2, 1], Some((1, 2))),
        (vec![1, 1, 5], Some((2, 5))),
        (vec![6], Some((0, 1))),
    ] {
        assert_eq!(telling(&codes), told, "{codes:?}");
    }
}

#[test]
fn what_may_pass_is_started_again_and_what_may_not_is_told() {
    assert_eq!(next(&Ended::Cleanly, false), Next::Done);
    assert_eq!(next(&Ended::Otherwise(1, 1), false), Next::Again);
    assert_eq!(next(&Ended::Otherwise(1, 1), true), Next::GiveUp(1, 1));
    assert_eq!(next(&Ended::Otherwise(2, 3), false), Next::GiveUp(2, 3));
    assert_eq!(next(&Ended::Cut, true), Next::Done);
    assert_eq!(given_up(2, 3).kind(), Kind::Fenced);
}

#[test]
fn pauses_double_up_to_a_limit() {
    let pauses: Vec<_> = (1..=9).map(|count| pause(count).as_millis()).collect();
    assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
}

#[test]
fn addresses_differ() {
    let mut all = free_addresses(8).expect("there are free ports");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 8);
}
