#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::sinks::file::disk::System;

fn mark(generation: u64, nonce: u64, sink: &str) -> Mark {
    let identity = Identity {
        job: "job".into(),
        program: "program".into(),
        generation: Generation(generation),
        nonce: Nonce(nonce),
    };
    Mark::new(&identity, sink)
}

#[test]
fn a_newer_generation_takes_over_and_no_other() {
    let found = mark(5, 50, "s");
    for (own, expected) in [
        (mark(6, 60, "s"), None),
        (mark(5, 50, "s"), None),
        (mark(5, 51, "s"), Some(Kind::Fenced)),
        (mark(4, 40, "s"), Some(Kind::Fenced)),
        (mark(6, 60, "t"), Some(Kind::Config)),
    ] {
        let result = own.may_take_over(Some(&found));
        assert_eq!(result.map_err(|error| error.kind()).err(), expected, "{own:?}");
        assert_eq!(own.may_take_over(None), Ok(()));
    }
}

#[test]
fn names_sort_by_lane_and_tick() {
    assert_eq!(name(Lane(1), 20, 300), "00001-00000000000000000020-00000000000000000300.jsonl");
    let names = [name(Lane(1), 9, 9), name(Lane(1), 10, u64::MAX), name(Lane(10), 1, 1)];
    assert!(names.is_sorted());
}

#[test]
fn a_lock_that_another_holds_is_waited_for_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let directory = |wait| Directory::new(System, dir.path().to_owned(), wait);
    let lock = directory(Duration::ZERO).lock().unwrap();
    let error = directory(Duration::from_millis(20)).lock().unwrap_err();
    assert_eq!(error.kind(), Kind::Retry);
    assert!(error.message().contains("lock: another process holds it for 20ms"), "{error}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| directory(Duration::from_secs(60)).lock().map(drop));
        drop(lock);
        waiting.join().unwrap().unwrap();
    });
}
