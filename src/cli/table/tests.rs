use super::*;
use expect_test::expect;
use serde_json::json;

#[test]
fn rows_are_aligned_and_numbers_stand_right() {
    let list = [
        json!({"key": 42, "value": {"page": "/a", "n": 7}}),
        json!({"key": 7, "value": {"page": "/longer", "n": 1000}}),
        json!({"key": 8, "value": {"page": null, "n": 1}, "extra": [1, 2]}),
    ];
    expect![[r#"
        key  value.n  value.page  extra
         42        7  /a
          7     1000  /longer
          8        1              [1,2]
    "#]]
    .assert_eq(&rows(&list));
    assert_eq!(rows(&[json!(3), json!(12)]), "row\n  3\n 12\n");
    assert_eq!(rows(&[]), "\n");
}

#[test]
fn control_characters_are_shown() {
    assert_eq!(rows(&[json!({"a": "x\u{1b}[2Jy\n"})]), "a\nx\\u{1b}[2Jy\\n\n");
}

#[test]
fn facts_are_lines_and_lists_are_tables() {
    let status = json!({
        "name": "visits",
        "tick": 17,
        "snapshot": {"tick": 12, "age": "3s"},
        "sinks": [{"name": "out", "committed": 16}],
    });
    expect![[r#"
        name           visits
        snapshot.age   3s
        snapshot.tick  12
        tick           17

        sinks
        committed  name
               16  out
    "#]]
    .assert_eq(&facts(&status));
}
