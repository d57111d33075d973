use super::*;

#[test]
fn phases_are_read_and_other_lines_are_none() {
    let line = r#"2026-11-24T17:42:05.000001Z  INFO tidemark::phase: phase="snapshot-written" tick=17 manifest="m/2 17" lane=0"#;
    let phase = Phase::parse(line).expect("is a phase line");
    assert_eq!(phase.name, "snapshot-written");
    assert_eq!(phase.number("tick"), Some(17));
    assert_eq!(phase.number("lane"), Some(0));
    assert_eq!(phase.number("manifest"), None);
    assert_eq!(phase.fields["manifest"], "m/2 17");

    let bare = Phase::parse("DEBUG tidemark::phase: leads now phase=leading tick=4").expect("is");
    assert_eq!((bare.name.as_str(), bare.number("tick")), ("leading", Some(4)));
    assert_eq!(Phase::parse("INFO tidemark::clock: phase=leading"), None);
    assert_eq!(Phase::parse("INFO tidemark::phase: nothing to tell"), None);
}
