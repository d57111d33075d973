#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn decl(keyed: bool) -> ViewDecl {
    ViewDecl {
        name: "visits".into(),
        keyed,
        key: "user: u64".into(),
        value: "visits: u64".into(),
        history_ticks: 64,
    }
}

fn part<K: ViewRow, V: ViewRow>(rows: &[(K, V, Diff)], more: bool) -> Part {
    Box::new(RowsPart { rows: rows.to_vec(), more })
}

#[test]
fn keys_are_json_or_plain_text_and_a_wrong_one_names_what_is_expected() {
    assert_eq!(parse::<u64>("42").unwrap(), 42);
    assert_eq!(parse::<u64>("18446744073709551615").unwrap(), u64::MAX);
    assert_eq!(parse::<String>("42").unwrap(), "42");
    assert_eq!(parse::<String>("a b").unwrap(), "a b");
    assert_eq!(parse::<String>("\"a b\"").unwrap(), "a b");
    assert_eq!(parse::<(u64, String)>("[1,\"x\"]").unwrap(), (1, "x".into()));
    let kind = Kind::<u64, u64>::new(decl(true));
    let ask = Ask { key: Some("x1".into()), limit: 1, ..Ask::default() };
    let Err(QueryError::Bad(text)) = kind.plan(&ask) else { panic!("x1 is no number") };
    assert!(
        text.starts_with("key=x1 is no key of view visits: expected user: u64 as JSON"),
        "{text}"
    );
}

#[test]
fn bounds_become_a_span() {
    let kind = Kind::<u64, u64>::new(decl(true));
    let ask = Ask {
        from: Some("3".into()),
        to: Some("9".into()),
        after: Some("[4,7]".into()),
        limit: 5,
        ..Ask::default()
    };
    let plan = kind.plan(&ask).unwrap();
    let span = plan.downcast_ref::<Span<u64, u64>>().unwrap();
    assert_eq!(span.from, Bound::Included(3));
    assert_eq!(span.to, Bound::Excluded(9));
    assert_eq!((span.after, span.limit), (Some((4, 7)), 5));
}

#[test]
fn pages_are_in_order_over_workers_and_end_where_all_are_known() {
    let kind = Kind::<u64, u64>::new(decl(true));
    let parts = || {
        vec![
            part::<u64, u64>(&[(1, 10, 1), (5, 50, 1)], true),
            part::<u64, u64>(&[(2, 20, 1), (9, 90, 2)], false),
        ]
    };
    let page = kind.page(parts(), 2).unwrap();
    assert_eq!(page.rows, ["{\"key\":1,\"value\":10}", "{\"key\":2,\"value\":20}"]);
    assert_eq!(page.after.as_deref(), Some("[2,20]"));
    // Beyond 5 the first worker may have rows that it did not give: 9 must wait.
    let page = kind.page(parts(), 10).unwrap();
    assert_eq!(page.rows.len(), 3);
    assert_eq!(page.after.as_deref(), Some("[5,50]"));
    let page = kind.page(vec![part(&[(9u64, 90u64, 2)], false)], 10).unwrap();
    assert_eq!(page.rows, ["{\"key\":9,\"value\":90,\"count\":2}"]);
    assert_eq!(page.after, None);
}

#[test]
fn the_same_row_on_two_workers_is_one() {
    let kind = Kind::<u64, ()>::new(decl(false));
    let page = kind.page(
        vec![
            part::<u64, ()>(&[(1, (), 1), (2, (), 1)], false),
            part::<u64, ()>(&[(1, (), 1), (2, (), -1)], false),
        ],
        9,
    );
    assert_eq!(page.unwrap().rows, ["{\"row\":1,\"count\":2}"]);
}

#[test]
fn a_page_ends_when_it_is_large() {
    let kind = Kind::<u64, String>::new(decl(true));
    let rows: Vec<_> = (0..5u64).map(|n| (n, "x".repeat(PAGE_BYTES_MAX / 2), 1)).collect();
    let page = kind.page(vec![part(&rows, false)], 100).unwrap();
    assert_eq!(page.rows.len(), 2);
    assert!(page.after.unwrap().starts_with("[1,"));
}

#[test]
fn changes_name_tick_and_diff_and_retract_first() {
    let kind = Kind::<u64, u64>::new(decl(true));
    let parts: Vec<Part> = vec![
        Box::new(vec![((2u64, 1u64), 1isize), ((1, 1), 1), ((1, 9), -1)]),
        Box::new(vec![((7u64, 7u64), 1isize), ((7, 7), -1)]),
    ];
    assert_eq!(
        kind.changes(4, parts).unwrap(),
        [
            "{\"tick\":4,\"diff\":-1,\"key\":1,\"value\":9}",
            "{\"tick\":4,\"diff\":1,\"key\":1,\"value\":1}",
            "{\"tick\":4,\"diff\":1,\"key\":2,\"value\":1}",
        ]
    );
}
