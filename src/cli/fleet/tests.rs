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
    use Why::{ToChange, ToStop, Untold};
    let failed = Ended::Otherwise(1, 1);
    let refused = Ended::Otherwise(2, 3);
    for (ended, why, trial, expected) in [
        (&Ended::Cleanly, Untold, None, Next::Done),
        (&Ended::Cleanly, ToStop, Some(1), Next::Done),
        (&Ended::Cleanly, ToChange, None, Next::Changed),
        (&failed, Untold, None, Next::Again),
        (&failed, Untold, Some(1), Next::Again),
        (&failed, Untold, Some(TRIALS - 1), Next::Again),
        (&failed, Untold, Some(TRIALS), Next::Back(1)),
        (&failed, ToChange, Some(1), Next::Again),
        (&failed, ToChange, None, Next::Again),
        (&failed, ToStop, None, Next::GiveUp(1, 1)),
        (&refused, Untold, None, Next::GiveUp(2, 3)),
        (&refused, Untold, Some(1), Next::Back(3)),
        (&refused, ToChange, None, Next::GiveUp(2, 3)),
        (&Ended::Cut, ToStop, None, Next::Done),
    ] {
        assert_eq!(next(ended, why, trial), expected, "{ended:?} {why:?} {trial:?}");
    }
    assert_eq!(given_up(2, 3).kind(), Kind::Fenced);
}

#[test]
fn a_change_keeps_what_it_does_not_name() {
    let shape = Shape { program: "a".into(), processes: 2, workers: None };
    let wanted = Wanted { workers: Some(3), ..Wanted::default() };
    assert_eq!(shape.with(&wanted), Shape { workers: Some("3".into()), ..shape.clone() });
    let wanted = Wanted { program: Some("b".into()), processes: Some(1), workers: None };
    assert_eq!(shape.with(&wanted), Shape { program: "b".into(), processes: 1, workers: None });
}

#[test]
fn what_is_given_up_is_no_matter_of_a_check() {
    let given = ["q", "--drop-state", "u", "-D", "a.b=c"].map(str::to_owned);
    assert_eq!(without_drops(&given), ["q", "-D", "a.b=c"]);
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
