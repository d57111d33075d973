use super::*;

#[test]
fn rows_are_summed_over_workers_and_the_largest_are_named() {
    let (registry, mut sizes) = (Registry::default(), Sizes::default());
    sizes.kept(&registry, 0, [("visits", 1000), ("users", 7)].into_iter());
    sizes.kept(&registry, 1, [("visits", 500), ("users", 8)].into_iter());
    sizes.kept(&registry, 0, [("visits", 1200), ("users", 7)].into_iter());
    let view = |rows| Size { rows, changes: 5, bytes: rows * 10 };
    sizes.served(&registry, 0, [("top", view(20))].into_iter());
    sizes.served(&registry, 1, [("top", view(1))].into_iter());
    let text = registry.render();
    for line in [
        r#"operator_rows{uid="visits"} 1700"#,
        r#"operator_rows{uid="users"} 15"#,
        r#"table_rows{view="top"} 21"#,
        r#"table_bytes{view="top"} 210"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert_eq!(sizes.largest(), "visits 1,700, view top 21, users 15");
}

#[test]
fn late_records_are_summed_over_workers_and_counted_once() {
    let (registry, mut sizes) = (Registry::default(), Sizes::default());
    for (worker, records) in [(0, 0), (1, 2), (0, 3), (0, 3), (1, 4)] {
        sizes.late(&registry, worker, [("visits", records)].into_iter());
    }
    let text = registry.render();
    let line = r#"late_records_total{reason="window-closed",uid="visits"} 7"#;
    assert!(text.lines().any(|found| found == line), "{text}");
}
