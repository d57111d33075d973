#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::ids::{Generation, Lane, Nonce};
use std::collections::{BTreeMap, BTreeSet};

fn row(value: &str) -> Row {
    Row { shard: 0, key: None, diff: 1, value: Some(value.to_owned().into()) }
}

fn tick(tick: u64, values: &[&str]) -> LaneTick {
    LaneTick {
        lane: Lane(2),
        tick,
        rows: values.iter().map(|value| row(value)).collect(),
        next_offsets: BTreeMap::new(),
        watermarks: BTreeMap::new(),
    }
}

fn held(number: u64, values: &[&str], rows: usize) -> Progress {
    let identity = Identity {
        job: "j".into(),
        program: "p".into(),
        generation: Generation(1),
        nonce: Nonce(1),
    };
    progress(&identity, "s", &tick(number, values), rows)
}

#[test]
fn what_is_held_is_not_written_again() {
    let whole = held(5, &["a", "b"], 2);
    let part = held(5, &["a", "b", "c"], 2);
    assert!(whole.last && !part.last);
    for (progress, next, expected) in [
        (None, tick(1, &["a"]), Resume::From(0)),
        (None, tick(1, &[]), Resume::From(0)),
        (Some(&whole), tick(4, &["other"]), Resume::Held),
        (Some(&whole), tick(5, &["a", "b"]), Resume::Held),
        (Some(&whole), tick(6, &["c"]), Resume::From(0)),
        (Some(&whole), tick(9, &[]), Resume::From(0)),
        (Some(&part), tick(4, &[]), Resume::Held),
        (Some(&part), tick(5, &["a", "b", "c"]), Resume::From(2)),
        (Some(&held(5, &[], 0)), tick(5, &[]), Resume::Held),
        (Some(&held(5, &["a"], 0)), tick(5, &["b"]), Resume::From(0)),
    ] {
        assert_eq!(resume("s", progress, &next), Ok(expected), "{progress:?} {next:?}");
    }
}

#[test]
fn other_rows_than_those_committed_are_named() {
    let (whole, part) = (held(5, &["a", "b"], 2), held(5, &["a", "b", "c"], 2));
    for (progress, values) in [
        (&whole, &["a", "x"][..]),
        (&whole, &["b", "a"]),
        (&whole, &["a"]),
        (&whole, &["a", "b", "c"]),
        (&part, &["a", "x", "c"]),
        (&part, &["a"]),
        (&part, &["a", "b"]),
        (&held(5, &[], 0), &["a"]),
    ] {
        let error = resume("out", Some(progress), &tick(5, values)).unwrap_err();
        assert_eq!(error.kind(), Kind::Nondeterministic, "{values:?}");
        assert!(error.message().starts_with("sink out, lane 2, tick 5: "), "{error}");
    }
}

#[test]
fn a_tick_held_in_part_is_not_passed_over() {
    let part = held(5, &["a", "b"], 1);
    assert_eq!(resume("s", Some(&part), &tick(6, &[])).unwrap_err().kind(), Kind::Internal);
}

#[test]
fn digests_chain_and_tell_rows_apart() {
    let rows = [row("a"), row("b"), row("c")];
    assert_eq!(digest(digest(0, &rows[..1]), &rows[1..]), digest(0, &rows));
    let bytes = |text: &str| Some(text.to_owned().into());
    let shapes = [
        Row { key: None, ..row("ab") },
        Row { key: bytes(""), ..row("ab") },
        Row { key: bytes("a"), ..row("b") },
        Row { key: bytes("ab"), ..row("") },
        Row { key: bytes("ab"), value: None, ..row("") },
    ];
    let digests: BTreeSet<_> =
        shapes.iter().map(|row| digest(0, std::slice::from_ref(row))).collect();
    assert_eq!(digests.len(), shapes.len());
    let documented = [
        Row { key: bytes("k"), ..row("v") },
        Row { key: bytes("k"), value: None, ..row("") },
        row("v"),
    ];
    assert_eq!(digest(0, &documented), 18_095_223_472_871_053_939, "stored: never changes");
}
