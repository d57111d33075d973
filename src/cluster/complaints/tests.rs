use super::*;

#[test]
fn a_kind_is_told_at_once_and_then_once_in_a_while_with_its_number() {
    let begun = clock::instant();
    let mut seen = Seen::default();
    let at = |seconds| begun + Duration::from_secs(seconds);
    let told = [0, 0, 1, 9, 10, 11, 30].map(|seconds| seen.due(at(seconds)));
    assert_eq!(told, [Some(1), None, None, None, Some(4), None, Some(2)]);
}
