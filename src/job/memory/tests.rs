use super::*;
use crate::time::clock;

#[test]
fn a_warning_comes_once_until_the_memory_has_fallen() {
    let begun = clock::instant();
    let mut pressure = Pressure::new(Some(1000));
    let mut found = |step: u32, used: u64| {
        let found = pressure.at(begun + LOOK_EVERY * step, || Some(used));
        (found.percent, found.warn.is_some())
    };
    assert_eq!(found(1, 799), (79, false));
    assert_eq!(found(2, 800), (80, true));
    assert_eq!(found(3, 960), (96, false));
    assert_eq!(found(4, 760), (76, false));
    assert_eq!(found(5, 810), (81, false), "it only fell a little");
    assert_eq!(found(6, 700), (70, false));
    assert_eq!(found(7, 800), (80, true));
    assert_eq!(found(8, 5000), (500, false));
}

#[test]
fn the_process_is_not_looked_at_all_the_time_nor_without_a_budget() {
    let begun = clock::instant();
    let mut pressure = Pressure::new(Some(100));
    assert_eq!(pressure.at(begun, || Some(50)).percent, 50);
    let found = pressure.at(begun + LOOK_EVERY / 2, || panic!("too early"));
    assert_eq!(found, Found { percent: 50, warn: None });
    let found = Pressure::new(None).at(begun, || panic!("there is no budget"));
    assert_eq!(found, Found { percent: 0, warn: None });
}
