//! A job whose tick log is in the store, in a local directory here: exactly once over kills, one leader of two, damage refused by name.

use crate::{LONG, busy, q1, sorted, until, written};
use std::fs;
use std::path::Path;
use tidemark_tests::bids::halt;
use tidemark_tests::engine::{Engine, Launch};
use tidemark_tests::process::Signal;

/// The dataflow q1 with its log in the store.
fn stored(workers: usize, root: &Path, input: &Path) -> Launch {
    busy(q1(workers, root, input)).set("log.kind", "store")
}

fn write(input: &Path, from: u64, count: u64) -> Vec<String> {
    tidemark_tests::bids::write(input, from, count).unwrap()
}

/// Waits until the sink has this many rows.
fn rows(engine: &Engine, root: &Path, count: usize) {
    until("the rows", || {
        let found = written(&root.join("out")).len();
        let so_far = || format!("{found} of {count} rows\n{}", engine.stderr().tail(20));
        if found >= count { Ok(()) } else { Err(so_far()) }
    });
}

#[test]
fn lines_come_out_once_over_kills_and_the_log_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let (root, input) = (directory.path(), directory.path().join("in.jsonl"));
    let expected = write(&input, 0, 20_000);
    let mut within = 0;
    for (round, name) in
        ["leading", "snapshot-begin", "recovery-replay", "snapshot-counted"].into_iter().enumerate()
    {
        let mut engine = Engine::launch(&stored(1 + round % 3, root, &input)).unwrap();
        engine.wait_phase(0, LONG, |phase| phase.name == name).unwrap();
        engine.kill().unwrap();
        let so_far = written(&root.join("out")).len();
        within += usize::from(so_far > 0 && so_far < expected.len());
    }
    assert!(within > 0, "no kill fell between the first row and the last");
    let mut engine = Engine::launch(&stored(2, root, &input)).unwrap();
    let status = engine.wait(LONG).unwrap();
    assert_eq!(status.code(), Some(0), "{}", engine.stderr().tail(20));
    let rows = written(&root.join("out"));
    assert_eq!(rows.len(), expected.len());
    assert!(sorted(&rows) == sorted(&expected), "rows are not what they should be");
    assert!(!root.join("state/tick.log").exists(), "the log is in the store only");
    assert_eq!(fs::read_dir(root.join("state/cut")).unwrap().count(), 1, "the log was cut");
}

#[test]
fn a_halted_leader_comes_back_after_another_and_ends_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let (root, input) = (directory.path(), directory.path().join("in.jsonl"));
    let mut expected = write(&input, 0, 1_000);
    let launch = |workers| stored(workers, root, &input).set("source.events.follow", true);
    let mut old = Engine::launch(&launch(2)).unwrap();
    rows(&old, root, expected.len());
    halt(&old, &root.join("out")).unwrap();

    let mut new = Engine::launch(&launch(1)).unwrap();
    new.wait_phase(0, LONG, |phase| phase.name == "leading").unwrap();
    expected.extend(write(&input, 1_000, 1_000));
    rows(&new, root, expected.len());
    old.signal(Signal::Cont).unwrap();
    let status = old.wait(LONG).unwrap();
    let said = old.stderr().since(0).join("\n");
    assert!(!status.success(), "{status}");
    // It learns it by the log or by the sink, whichever it asks first.
    let reasons = ["generation 2 leads now", "was fenced by generation 2"];
    assert!(reasons.iter().any(|reason| said.contains(reason)), "{said}");

    expected.extend(write(&input, 2_000, 500));
    rows(&new, root, expected.len());
    assert!(new.terminate(LONG).unwrap().success(), "{}", new.stderr().tail(20));
    assert_eq!(sorted(&written(&root.join("out"))), sorted(&expected));
}

#[test]
fn a_missing_and_a_damaged_object_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let (root, input) = (directory.path(), directory.path().join("in.jsonl"));
    let mut expected = write(&input, 0, 2_000);
    // No snapshot: the whole log stays.
    let slow = |workers| stored(workers, root, &input).set("snapshots.interval", "1h");
    let mut engine = Engine::launch(&slow(2).set("source.events.follow", true)).unwrap();
    rows(&engine, root, expected.len());
    engine.kill().unwrap();
    expected.extend(write(&input, 2_000, 500));

    let object = root.join("state/log/00000000000000000003");
    let whole = fs::read(&object).unwrap();
    let mut damaged = whole.clone();
    let middle = whole.len() / 2 + 20;
    damaged[middle] ^= 1;
    for (bytes, part) in [(Some(damaged), "is damaged at byte"), (None, "is missing")] {
        match bytes {
            Some(bytes) => fs::write(&object, bytes).unwrap(),
            None => fs::remove_file(&object).unwrap(),
        }
        let mut engine = Engine::launch(&slow(1)).unwrap();
        let status = engine.wait(LONG).unwrap();
        let said = engine.stderr().since(0).join("\n");
        assert_eq!(status.code(), Some(5), "{said}");
        for part in ["error (corrupt)", "log/00000000000000000003", part] {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
        assert_eq!(written(&root.join("out")).len(), 2_000);
    }
    // With the object restored, as the message says, it goes on.
    fs::write(&object, whole).unwrap();
    let mut engine = Engine::launch(&slow(1)).unwrap();
    let status = engine.wait(LONG).unwrap();
    assert_eq!(status.code(), Some(0), "{}", engine.stderr().tail(20));
    assert_eq!(sorted(&written(&root.join("out"))), sorted(&expected));
}
