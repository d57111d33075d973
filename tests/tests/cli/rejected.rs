//! Records that can't be decoded: `fail`, `skip`, `dead-letter`.

use crate::{LONG, bid, busy, q1, sorted, until, written};
use serde_json::{Value as Json, json};
use std::fs;
use std::path::Path;
use tidemark_tests::engine::Engine;

const BAD: [(&[u8], &str); 3] = [
    (b"{\"kind\":\"bid\",\"auction\":oops}", "malformed"),
    (b"{\"kind\":\"bid\",\"auction\":\"\xff\"}", "utf8"),
    (b"[[[[[[[[[[1]]]]]]]]]]", "too-deep"),
];

/// Writes lines with one of [`BAD`] after every `every` good ones. Gives the good rows, and offset and number of each bad one.
fn mixed(path: &Path, count: u64, every: u64) -> (Vec<String>, Vec<(usize, usize)>) {
    let (mut bytes, mut rows, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count {
        let (line, row) = bid(number);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        rows.push(row);
        if number % every == every - 1 {
            let which = bad.len() % BAD.len();
            bad.push((bytes.len(), which));
            bytes.extend_from_slice(BAD[which].0);
            bytes.push(b'\n');
        }
    }
    fs::write(path, bytes).unwrap();
    (rows, bad)
}

#[test]
fn fail_stops_the_job_and_names_file_offset_and_reason() {
    let directory = tempfile::tempdir().unwrap();
    let (root, input) = (directory.path(), directory.path().join("in.jsonl"));
    let (_, bad) = mixed(&input, 10, 5);
    // The same again: nothing went past the record.
    for _ in 0..2 {
        let mut engine = Engine::launch(&q1(1, root, &input)).unwrap();
        let status = engine.wait(LONG).unwrap();
        let log = engine.stderr().since(0).join("\n");
        assert_eq!(status.code(), Some(4), "{log}");
        let place = format!("partition in.jsonl, offset {}", bad[0].0);
        for part in ["error (input)", "source events", &place, "malformed", "on_error"] {
            assert!(log.contains(part), "no {part:?} in {log}");
        }
        assert_eq!(log.matches("malformed").count(), 1, "said once: {log}");
    }
}

#[test]
fn skip_counts_them() {
    let directory = tempfile::tempdir().unwrap();
    let (root, input) = (directory.path(), directory.path().join("in.jsonl"));
    let (rows, bad) = mixed(&input, 40, 5);
    let launch = q1(1, root, &input)
        .set("source.events.on_error", "skip")
        .set("source.events.nesting_max", 8)
        .set("source.events.follow", true);
    let engine = Engine::launch(&launch).unwrap();
    until("all rows", || {
        let found = written(&root.join("out")).len();
        if found == rows.len() { Ok(()) } else { Err(format!("{found} rows")) }
    });
    assert_eq!(sorted(&written(&root.join("out"))), sorted(&rows));
    let metrics = engine.get("/metrics").unwrap().body;
    let counted: u64 = metrics
        .lines()
        .filter(|line| line.starts_with("source_rejected_total{"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum();
    assert_eq!(counted, bad.len() as u64, "{metrics}");
}

#[test]
fn dead_letters_come_once_over_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let (root, input) = (directory.path(), directory.path().join("in.jsonl"));
    let (rows, bad) = mixed(&input, 6000, 10);
    let letters = root.join("letters");
    let launch = |workers| {
        busy(q1(workers, root, &input))
            .set("source.events.on_error", "dead-letter")
            .set("source.events.dead_letter", "bad-events")
            .set("source.events.nesting_max", 8)
            .set("sink.bad-events.connector", "file")
            .set("sink.bad-events.path", letters.display())
    };
    // Before, while and after letters are written, as it happens: what is there in the end must be the same.
    for (workers, name) in [(1, "leading"), (2, "recovery-replay"), (3, "snapshot-begin")] {
        let mut engine = Engine::launch(&launch(workers)).unwrap();
        engine.wait_phase(0, LONG, |phase| phase.name == name).unwrap();
        engine.kill().unwrap();
    }
    let mut engine = Engine::launch(&launch(2)).unwrap();
    let status = engine.wait(LONG).unwrap();
    assert_eq!(status.code(), Some(0), "{}", engine.stderr().tail(20));
    assert_eq!(sorted(&written(&root.join("out"))), sorted(&rows));

    let found = written(&letters);
    let mut found: Vec<Json> =
        found.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    found.sort_by_key(|letter| letter["offset"].as_u64());
    assert_eq!(found.len(), bad.len());
    for (letter, (offset, which)) in found.iter().zip(&bad) {
        let (bytes, reason) = BAD[*which];
        let place = [&letter["source"], &letter["partition"], &letter["offset"], &letter["reason"]];
        assert_eq!(place, [&json!("events"), &json!("in.jsonl"), &json!(offset), &json!(reason)]);
        let excerpt = letter["excerpt"].as_str().unwrap();
        assert!(excerpt.starts_with(std::str::from_utf8(&bytes[..10]).unwrap()), "{letter}");
        assert!(!letter["detail"].as_str().unwrap().is_empty(), "{letter}");
    }
}

/// The sink that dead letters need is named before anything runs.
#[test]
fn a_dead_letter_sink_that_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (root, input) = (directory.path(), directory.path().join("in.jsonl"));
    mixed(&input, 10, 5);
    let launch = q1(1, root, &input).set("source.events.on_error", "dead-letter");
    let mut engine = Engine::launch(&launch).unwrap();
    assert_eq!(engine.wait(LONG).unwrap().code(), Some(2));
    let log = engine.stderr().since(0).join("\n");
    assert!(log.contains("add [sink.events-rejected] with a connector"), "{log}");
}
