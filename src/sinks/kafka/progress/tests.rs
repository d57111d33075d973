#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use std::collections::BTreeMap;

fn progress() -> Progress {
    Progress {
        job: "shop".into(),
        sink: "visits".into(),
        lane: Lane(0),
        program: "4f2a".into(),
        generation: Generation(7),
        nonce: Nonce(0x1f),
        tick: 42,
        rows: 2,
        digest: u64::MAX - 1,
        last: true,
        next_offsets: BTreeMap::from([("clicks".into(), BTreeMap::from([("0".into(), 1_234)]))]),
        watermarks: BTreeMap::from([("clicks".into(), -5)]),
    }
}

/// The bytes of `doc/formats/progress.md`, which other programs rely on.
#[test]
fn records_are_written_as_documented() {
    let doc = include_str!("../../../../doc/formats/progress.md");
    let identity = Identity {
        job: "shop".into(),
        program: "4f2a".into(),
        generation: Generation(7),
        nonce: Nonce(0x1f),
    };
    let mark = Mark::new(&identity, "visits", Lane(0), Nonce(0xab));
    assert_eq!(mark.key(), "mark/7");
    let mark_text = String::from_utf8(mark_bytes(&mark)).unwrap();
    let progress_text = String::from_utf8(progress_bytes(&progress())).unwrap();
    assert!(doc.contains(&mark_text), "{mark_text}");
    assert!(doc.contains(&progress_text), "{progress_text}");
    assert_eq!(parse(mark_text.as_bytes()), Ok(Entry::Mark(mark)));
    assert_eq!(parse(progress_text.as_bytes()), Ok(Entry::Progress(progress())));
}

#[test]
fn unknown_fields_and_kinds_are_passed_over_and_nonsense_is_not() {
    let text = String::from_utf8(progress_bytes(&progress())).unwrap();
    let more = text.replacen('{', r#"{"later":{"a":[1]},"#, 1);
    assert_eq!(parse(more.as_bytes()), Ok(Entry::Progress(progress())));
    assert_eq!(parse(br#"{"kind":"farewell","x":1}"#), Ok(Entry::Unknown));
    assert!(parse(b"{}").is_err());
    assert!(parse(b"\xff").is_err());
    assert!(parse(br#"{"kind":"mark"}"#).unwrap_err().contains("job"));
}
