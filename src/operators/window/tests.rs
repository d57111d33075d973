use super::*;

#[test]
fn times_around_a_time_fall_into_the_same_windows_and_their_neighbours_do_not() {
    for (size, slide) in [(10, 10), (10, 2), (10, 3), (7, 5), (3, 7), (1, 1)] {
        let windows = Cut { size, slide };
        let of = |at: i64| windows.of(at).collect::<Vec<_>>();
        for at in -40..40 {
            let around = windows.around(at);
            assert!(around.contains(&at), "{size} {slide} {at}: {around:?}");
            assert!(around.clone().all(|other| of(other) == of(at)), "{size} {slide} {at}");
            let holding = (-60..60).filter(|s| s % slide == 0 && (*s..s + size).contains(&at));
            assert_eq!(of(at), holding.collect::<Vec<_>>(), "{size} {slide} {at}");
        }
    }
}
