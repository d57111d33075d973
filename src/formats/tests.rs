#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) fn raw(payload: &[u8]) -> Raw<'_> {
    Raw { offset: 7, next: 8, key: None, payload: Some(payload), timestamp: None }
}

#[derive(Debug, PartialEq, Deserialize)]
struct Row {
    id: u64,
    name: Option<String>,
    #[serde(default)]
    more: BTreeMap<String, Vec<Row>>,
}

#[test]
fn a_detail_is_cut_within_its_limit_and_between_characters() {
    let rejected = Rejected::new(Reason::Malformed, "ü".repeat(1000));
    assert!(rejected.detail.len() <= Rejected::DETAIL_BYTES_MAX);
    assert!(rejected.detail.ends_with("ü..."));
}

#[test]
fn an_error_names_place_reason_and_what_to_do() {
    let error = Rejected::new(Reason::TooLarge, "9 bytes, the limit is 8")
        .into_error("source clicks, partition 3, offset 7");
    assert_eq!(error.kind(), Kind::Input);
    assert_eq!(
        error.message(),
        "source clicks, partition 3, offset 7: too-large (9 bytes, the limit is 8); \
         correct the input, or set `on_error = \"skip\"` or `\"dead-letter\"` for the source"
    );
}

#[test]
fn limits_have_ceilings() {
    assert!(Limits::new(PAYLOAD_BYTES_MAX, Limits::DEPTH_CEILING).is_ok());
    for (bytes, depth) in
        [(0, 1), (PAYLOAD_BYTES_MAX + 1, 1), (1, 0), (1, Limits::DEPTH_CEILING + 1)]
    {
        assert_eq!(Limits::new(bytes, depth).unwrap_err().kind(), Kind::Config, "{bytes} {depth}");
    }
}

/// Bytes that look like the formats, broken at random.
fn almost() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&[u8]; 22] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b",",
        b":",
        b"\\",
        b"\\u",
        b"\\ud800",
        b"\"id\":",
        b"\"name\":",
        b"\"more\":{\"x\":[",
        b"18446744073709551616",
        b"1e999",
        b"-",
        b"null",
        b"tru",
        b"\xff",
        b"\xe6\x97",
        b"\0",
        b"\n",
    ];
    let piece = proptest::sample::select(&PIECES[..]);
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn decodes_without_panic(bytes: &[u8]) {
    let csv = Csv::new(["id", "name"]).unwrap();
    let _ = <Json as Decode<'_, Row>>::decode(&Json::default(), &raw(bytes));
    let _ = <Json as Decode<'_, serde_json::Value>>::decode(&Json::default(), &raw(bytes));
    let _ = <Json as Decode<'_, String>>::decode(&Json::default(), &raw(bytes));
    let _ = <Json as Decode<'_, &str>>::decode(&Json::default(), &raw(bytes));
    let _ = <Csv as Decode<'_, (u64, Option<String>)>>::decode(&csv, &raw(bytes));
    let _ = <Csv as Decode<'_, Row>>::decode(&csv, &raw(bytes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        decodes_without_panic(&bytes);
    }

    #[test]
    fn almost_valid_bytes_never_panic(bytes in almost()) {
        decodes_without_panic(&bytes);
    }
}
