//! Records that come too late are counted.

use crate::{LONG, bid, busy, until};
use std::fs;
use tidemark_tests::engine::{Engine, Launch};

#[test]
fn late_records_are_counted_by_uid_and_reason() {
    let directory = tempfile::tempdir().unwrap();
    let (root, input) = (directory.path(), directory.path().join("in.jsonl"));
    // At one second, at a minute, and at one second again, twice: that is late for the five windows that hold it.
    let lines: Vec<_> = [1_000, 60_000, 1_000, 1_001].into_iter().map(|n| bid(n).0).collect();
    fs::write(&input, lines.join("\n") + "\n").unwrap();
    let launch = busy(Launch::new("hot-items", 2, &root.join("state")))
        .set("source.events.connector", "file")
        .set("source.events.path", input.display())
        .set("source.events.follow", true);
    let mut engine = Engine::launch(&launch).unwrap();
    let wanted = r#"late_records_total{reason="window-closed",uid="bids"} 10"#;
    until("late records", || {
        let metrics = engine.get("/metrics").map_err(|e| e.to_string())?.body;
        if metrics.lines().any(|line| line == wanted) { Ok(()) } else { Err(metrics) }
    });
    assert_eq!(engine.terminate(LONG).unwrap().code(), Some(0));
}
