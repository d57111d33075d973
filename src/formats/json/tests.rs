#![expect(clippy::unwrap_used, reason = "tests")]

use super::super::tests::raw;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Click {
    user: u64,
    page: String,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct ClickRef<'a> {
    #[serde(borrow)]
    page: &'a str,
}

fn decode(bytes: &[u8]) -> Result<Option<Click>, Rejected> {
    Json::default().decode(&raw(bytes))
}

fn reason(bytes: &[u8]) -> Reason {
    decode(bytes).unwrap_err().reason
}

#[test]
fn gives_rows_and_passes_over_unknown_fields() {
    let click = Click { user: 1, page: "ü\n".into(), note: None };
    assert_eq!(decode(br#" {"user":1,"x":[{"y":"]}"}],"page":"\u00fc\n"} "#), Ok(Some(click)));
}

#[test]
fn borrows_from_the_record() {
    let bytes = br#"{"user":1,"page":"home"}"#.to_vec();
    let row: ClickRef<'_> = Json::default().decode(&raw(&bytes)).unwrap().unwrap();
    assert!(bytes.as_ptr_range().contains(&row.page.as_ptr()));
}

#[test]
fn says_why_a_record_is_rejected() {
    for (bytes, expected) in [
        (&b""[..], Reason::Malformed),
        (b"{", Reason::Malformed),
        (br#"{"user":1,"page":"a"} x"#, Reason::Malformed),
        (br#"{"user":-1,"page":"a"}"#, Reason::Malformed),
        (br#"{"user":18446744073709551616,"page":"a"}"#, Reason::Malformed),
        (br#"{"user":1,"user":2,"page":"a"}"#, Reason::Malformed),
        (br#"{"user":1,"page":"\ud800"}"#, Reason::Malformed),
        (br#"{"user":1}"#, Reason::MissingField),
        (b"{\"user\":1,\"page\":\"\xff\"}", Reason::Utf8),
        (b"{\"user\":1,\"page\":\"a\",\"x\":\"\xc3\"}", Reason::Utf8),
    ] {
        assert_eq!(reason(bytes), expected, "{}", bytes.escape_ascii());
    }
    let tombstone = Raw { payload: None, ..raw(b"") };
    let rejected = <Json as Decode<'_, Click>>::decode(&Json::default(), &tombstone).unwrap_err();
    assert_eq!(rejected.reason, Reason::Tombstone);
}

#[test]
fn a_detail_is_one_line_with_the_place() {
    let rejected = decode(br#"{"user":"one","page":"a"}"#).unwrap_err();
    assert!(!rejected.detail.contains('\n'), "{}", rejected.detail);
    assert!(rejected.detail.contains("column"), "{}", rejected.detail);
}

#[test]
fn size_is_limited_exactly() {
    let json = Json::new(Limits::new(24, 8).unwrap());
    let fits = br#"{"user":1,"page":"home"}"#;
    assert_eq!(fits.len(), 24);
    assert!(<Json as Decode<'_, Click>>::decode(&json, &raw(fits)).is_ok());
    let rejected =
        <Json as Decode<'_, Click>>::decode(&json, &raw(br#"{"user":1,"page":"homes"}"#))
            .unwrap_err();
    assert_eq!(rejected, Rejected::new(Reason::TooLarge, "25 bytes, the limit is 24"));
}

#[test]
fn nesting_is_limited_exactly_whatever_stands_in_strings() {
    let value = |depth: usize| {
        format!(
            r#"{{"user":1,"page":"[[{{\"{{[","x":{}{}}}"#,
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    assert!(decode(value(64).as_bytes()).is_ok());
    assert_eq!(reason(value(65).as_bytes()), Reason::TooDeep);
    let wide = format!(r#"{{"user":1,"page":"a","x":[{}[]]}}"#, "[],".repeat(1000));
    assert!(decode(wide.as_bytes()).is_ok(), "many brackets are not deep");
}

#[test]
fn a_million_brackets_need_no_stack() {
    for open in ["[", "{\"a\":"] {
        let bytes = open.repeat(1_000_000 / open.len());
        std::thread::Builder::new()
            .stack_size(64 << 10)
            .spawn(move || {
                let got = <Json as Decode<'_, serde_json::Value>>::decode(
                    &Json::default(),
                    &raw(bytes.as_bytes()),
                );
                assert_eq!(got.unwrap_err().reason, Reason::TooDeep);
            })
            .unwrap()
            .join()
            .unwrap();
    }
}

#[test]
fn rows_are_written_in_the_order_of_their_fields() {
    let click = Click { user: u64::MAX, page: "a\"\n\u{1}ü".into(), note: None };
    let bytes = encode_json(&click).unwrap();
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        "{\"user\":18446744073709551615,\"page\":\"a\\\"\\n\\u0001ü\",\"note\":null}"
    );
}

#[test]
fn what_can_not_be_json_leaves_the_output_as_it_was() {
    let mut out = b"before".to_vec();
    let odd = BTreeMap::from([((1, 2), 3)]);
    assert_eq!(encode_json_into(&odd, &mut out).unwrap_err().kind(), Kind::Input);
    assert_eq!(out, b"before");
}

proptest! {
    #[test]
    fn what_is_written_is_read(user: u64, page in ".*", note in proptest::option::of(".*")) {
        let click = Click { user, page, note };
        let bytes = encode_json(&click).unwrap();
        prop_assert!(!bytes.contains(&b'\n'));
        prop_assert_eq!(decode(&bytes), Ok(Some(click)));
    }

    #[test]
    fn depth_is_what_recursion_counts(depths in proptest::collection::vec(0_usize..12, 0..12), max in 0_usize..12) {
        let text = format!("[{}0]", depths.iter().map(|d| "[".repeat(*d) + &"]".repeat(*d) + ",").collect::<String>());
        let deepest = 1 + depths.iter().max().copied().unwrap_or(0);
        prop_assert_eq!(deeper_than(text.as_bytes(), max), deepest > max);
    }
}

/// Whatever a row may hold is read as it was written, numbers without loss.
#[derive(crate::Row)]
struct Everything {
    small: i8,
    wide: i128,
    widest: u128,
    float: crate::F64,
    decimal: crate::Decimal,
    at: crate::EventTime,
    by_number: BTreeMap<u64, Vec<String>>,
    maybe: Option<Option<u8>>,
    pair: (char, bool),
    unit: (),
}

#[test]
fn every_type_of_row_is_read_as_it_was_written() {
    for float in [0.1, -0.0, f64::MIN_POSITIVE, f64::MAX, 1e21] {
        let row = Everything {
            small: -128,
            wide: i128::MIN,
            widest: u128::MAX,
            float: crate::F64::new(float),
            decimal: "-79228162514264337593543.950335".parse().unwrap(),
            at: crate::EventTime::from_micros(-1).unwrap(),
            by_number: BTreeMap::from([(u64::MAX, vec!["\u{0}\u{10ffff}\"\\".into()])]),
            maybe: Some(Some(3)),
            pair: ('ü', true),
            unit: (),
        };
        let bytes = encode_json(&row).unwrap();
        let read = Json::default().decode(&raw(&bytes));
        assert_eq!(read, Ok(Some(row)), "{}", String::from_utf8_lossy(&bytes));
    }
}
