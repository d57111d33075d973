use super::*;

fn record(value: &str) -> Record {
    Record {
        topic: "job.out.progress".into(),
        partition: 0,
        offset: 5,
        key: None,
        value: Some(value.into()),
        headers: Vec::new(),
        timestamp: None,
    }
}

#[test]
fn progress_is_read_and_marks_are_passed_over() {
    let text = r#"{"kind":"progress","job":"job","sink":"out","lane":0,"program":"f00","generation":3,
        "nonce":"00000000000000ff","tick":17,"rows":2,"digest":18446744073709551615,"last":true,
        "next_offsets":{"events":{"0":4,"1":18446744073709551615}},"watermarks":{"events":-5}}"#;
    let progress = Progress::read(&record(text)).expect("is as documented").expect("is progress");
    assert_eq!((progress.generation, progress.tick, progress.watermarks["events"]), (3, 17, -5));
    assert_eq!(progress.offsets("events", 2), Ok(vec![4, u64::MAX]));
    assert!(progress.offsets("events", 3).is_err());
    assert!(progress.offsets("other", 1).is_err());

    let mark = r#"{"kind":"mark","job":"job","sink":"out","lane":0,"generation":3}"#;
    assert_eq!(Progress::read(&record(mark)), Ok(None));
    let failure =
        Progress::read(&record(r#"{"kind":"progress"}"#)).expect_err("fields are missing");
    assert!(failure.0.contains("missing field"), "{failure}");
}
