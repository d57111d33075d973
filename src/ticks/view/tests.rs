use super::{Times, Watermarks};
use std::collections::BTreeMap;

fn decided(watermarks: &[(&str, i64)]) -> Watermarks {
    let all = Watermarks::default();
    let map: BTreeMap<_, _> = watermarks.iter().map(|(s, at)| ((*s).to_owned(), *at)).collect();
    all.decided(7, &map);
    all
}

#[test]
fn the_least_watermark_holds_and_delays_count() {
    let (a, b) = (Times::of("a"), Times::of("b"));
    let marks = decided(&[("a", 100), ("b", 90)]);
    assert_eq!(marks.at(7, &a), Some(100));
    assert_eq!(marks.at(7, &a.union(&b)), Some(90));
    assert_eq!(marks.at(7, &a.delayed(5).delayed(20)), Some(75));
    assert_eq!(marks.at(7, &a.delayed(20).union(&a)), Some(80), "the greater delay of one source");
    assert_eq!(marks.at(8, &a), None, "not decided");
    assert_eq!(decided(&[("a", 1)]).at(7, &a.union(&b)), None, "b has no watermark");
}

#[test]
fn the_end_of_time_has_no_delay() {
    assert_eq!(decided(&[("a", i64::MAX)]).at(7, &Times::of("a").delayed(9)), Some(i64::MAX));
}

#[test]
fn records_without_event_time_take_it_from_the_whole() {
    assert!(Times::of("a").is_timed());
    assert!(!Times::of("a").union(&Times::default()).is_timed());
    assert!(!Times::default().union(&Times::of("a")).delayed(1).is_timed());
    assert_eq!(decided(&[("a", 1)]).at(7, &Times::default()), None);
}
