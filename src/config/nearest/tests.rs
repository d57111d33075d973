use super::*;

#[test]
fn edits_are_counted() {
    for (from, to, expected) in [
        ("", "", 0),
        ("a", "", 1),
        ("topci", "topic", 1),
        ("kept", "ketp", 1),
        ("kept", "keep", 2),
        ("abc", "xyz", 3),
    ] {
        assert_eq!(edits(from, to), expected, "{from} -> {to}");
        assert_eq!(edits(to, from), expected, "{to} -> {from}");
    }
}

#[test]
fn only_a_near_word_is_suggested() {
    let keys = ["topic", "connection", "start", "bounded"];
    assert_eq!(nearest("topci", keys), Some("topic"));
    assert_eq!(nearest("conection", keys), Some("connection"));
    assert_eq!(nearest("strat", keys), Some("start"));
    assert_eq!(nearest("parallelism", keys), None);
    assert_eq!(nearest("x", []), None);
}
