use super::*;

#[test]
fn rows_are_summed_over_workers_and_the_largest_are_named() {
    let (registry, mut sizes) = (Registry::default(), Sizes::default());
    let kept = |visits, users| vec![("visits".to_owned(), visits), ("users".to_owned(), users)];
    let top = |rows| vec![("top".to_owned(), Size { rows, changes: 5, bytes: rows * 10 })];
    for (worker, kept, served) in
        [(0, kept(1000, 7), top(19)), (1, kept(500, 8), top(1)), (0, kept(1200, 7), top(20))]
    {
        let facts = WorkerFacts { worker, kept, served, ..WorkerFacts::default() };
        sizes.worker(&registry, &facts);
    }
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
fn records_that_a_worker_tells_again_are_counted_once() {
    let (registry, mut sizes) = (Registry::default(), Sizes::default());
    for (worker, records) in [(0, 0), (1, 2), (0, 3), (0, 3), (1, 4)] {
        let late = vec![("visits".to_owned(), records)];
        let facts = WorkerFacts { worker, records, late, ..WorkerFacts::default() };
        sizes.worker(&registry, &facts);
    }
    let text = registry.render();
    for line in [
        r#"late_records_total{reason="window-closed",uid="visits"} 7"#,
        r#"worker_records_total{worker="0"} 3"#,
        r#"worker_records_total{worker="1"} 4"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}
