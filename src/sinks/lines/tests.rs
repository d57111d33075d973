#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn row(key: Option<&str>, value: Option<&str>) -> Row {
    let bytes = |text: Option<&str>| text.map(|text| text.to_owned().into());
    Row { shard: 0, key: bytes(key), diff: 1, value: bytes(value) }
}

#[test]
fn a_row_is_a_line() {
    for (key, value, expected) in [
        (Some("1"), Some("{\"a\":1}"), "{\"a\":1}\n"),
        (None, Some(""), "\n"),
        (Some("[1,\"x\"]"), None, "{\"key\":[1,\"x\"],\"value\":null}\n"),
        (Some("no json"), None, "{\"key\":\"no json\",\"value\":null}\n"),
        (None, None, "{\"key\":null,\"value\":null}\n"),
    ] {
        let mut out = Vec::new();
        Lines::Plain.put(&row(key, value), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn a_keyed_line_has_the_key_beside_the_value() {
    for (key, value, expected) in [
        (Some("1"), Some("{\"a\":1}"), "{\"key\":1,\"value\":{\"a\":1}}\n"),
        (Some("[1,\"x\"]"), None, "{\"key\":[1,\"x\"],\"value\":null}\n"),
    ] {
        let mut out = Vec::new();
        Lines::Keyed.put(&row(key, value), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn a_line_feed_within_is_refused() {
    let mut out = b"before\n".to_vec();
    assert!(Lines::Plain.put(&row(None, Some("a\nb")), &mut out).is_err());
    assert_eq!(out, b"before\n");
}
