use super::*;

fn of(id: &str, status: Status, started_ms: i64, updated_ms: i64) -> Step {
    Step { id: id.into(), status, updated_ms, started_ms }
}

#[test]
fn an_aborted_transaction_counts_only_for_a_moment_within_it() {
    let steps = [
        of("lane", Status::Ongoing, 100, 100),
        of("lane", Status::PrepareAbort, 100, 200),
        of("lane", Status::CompleteAbort, 100, 201),
        of("other", Status::CompleteCommit, 100, 200),
        of("late", Status::CompleteAbort, 160, 300),
        of("none", Status::CompleteAbort, -1, 300),
    ];
    assert_eq!(aborted_over(&steps, 150), ["lane"]);
    assert_eq!(aborted_over(&steps, 99), [""; 0]);
    assert_eq!(aborted_over(&steps, 202), ["late"]);
}

#[test]
fn both_versions_are_read_and_others_refused() {
    let key = [&[0, 0, 0, 3][..], b"a.b"].concat();
    let head = |version: u8| [&[0, version][..], &[0; 14], &[5]].concat();
    let times = [7_i64.to_be_bytes(), 6_i64.to_be_bytes()].concat();
    let old = [&head(0)[..], &[0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 9], &times].concat();
    let new = [&head(1)[..], &[2, 2, b't', 2, 0, 0, 0, 9, 0], &times, &[0]].concat();
    let none = [&head(1)[..], &[0], &times, &[0]].concat();
    for value in [old, new, none] {
        assert_eq!(step(&key, &value), Some(of("a.b", Status::CompleteAbort, 6, 7)));
        assert_eq!(step(&key, &value[..10]), None);
    }
    assert_eq!(step(&key, &head(2)), None);
}
