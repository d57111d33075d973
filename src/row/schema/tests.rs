#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{Decimal, EventTime, F64, Kind};
use expect_test::expect;
use std::collections::BTreeSet;

#[derive(Row)]
#[row(was = "Hit", removed = "old: u8")]
struct Click {
    #[row(was = "who")]
    user: u64,
    #[row(default = "none".to_owned())]
    country: String,
    at: EventTime,
}

#[derive(Row)]
enum Change {
    Add(Click, F64),
    Drop { user: u64 },
    Nothing,
}

type Nested = (Vec<Change>, BTreeMap<i8, Option<Decimal>>, [BTreeSet<char>; 2], Box<()>, u128);

#[test]
fn shown_as_it_is_written() {
    expect!["(Vec<Change { Add(Click { user: u64, country: String, at: EventTime }, F64) | Drop { user: u64 } | Nothing }>, BTreeMap<i8, Option<Decimal>>, [BTreeSet<char>; 2], (), u128), window = 10 s"].assert_eq(&Nested::schema().with("window", "10 s").to_string());
    expect!["(Vec<Change>, BTreeMap<i8, Option<Decimal>>, [BTreeSet<char>; 2], (), u128)"]
        .assert_eq(&Nested::schema().name());
}

/// Stored: changes only with `ENCODING`.
#[test]
fn stored_form_and_fingerprint() {
    let schema = Nested::schema().with("window", "10 s");
    expect![[r#"{"encoding":1,"shape":{"tuple":[{"list":{"enum":{"name":"Change","variants":[{"name":"Add","fields":[{"name":"0","type":{"struct":{"name":"Click","fields":[{"name":"user","type":"u64"},{"name":"country","type":"string"},{"name":"at","type":"event-time"}]}}},{"name":"1","type":"f64"}]},{"name":"Drop","fields":[{"name":"user","type":"u64"}]},{"name":"Nothing","fields":[]}]}}},{"map":["i8",{"option":"decimal"}]},{"array":[{"set":"char"},2]},"unit","u128"]},"settings":{"window":"10 s"}}"#]].assert_eq(&schema.to_json());
    expect!["cc07a970fa1f113c"].assert_eq(&format!("{:016x}", schema.fingerprint()));
    assert_eq!(Schema::from_json(&schema.to_json()).unwrap(), schema);
    assert_ne!(Nested::schema().fingerprint(), schema.fingerprint());
}

#[test]
fn the_past_is_not_stored_and_not_compared() {
    let bare = structure(
        "Click",
        &[],
        Fields::new()
            .field::<u64>("user", &[])
            .field::<String>("country", &[])
            .field::<EventTime>("at", &[]),
    );
    assert_eq!(Click::schema(), bare);
    assert_eq!(Click::schema().fingerprint(), bare.fingerprint());
    assert_eq!(Click::schema().to_json(), bare.to_json());
}

#[test]
fn what_is_no_schema_is_corrupt() {
    for json in ["", "{}", r#"{"encoding":1,"shape":"u7"}"#, r#"{"encoding":-1,"shape":"u8"}"#] {
        let error = Schema::from_json(json).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
        assert!(error.message().contains("stored schema cannot be read"), "{error}");
    }
    // A later release may say more.
    assert_eq!(Schema::from_json(r#"{"encoding":1,"shape":"u8","note":3}"#).unwrap(), u8::schema());
}
