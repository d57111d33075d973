//! Whole jobs: nothing of them on the machine but input and output; equal to what is expected over kills.

use crate::{LONG, Store, configured, rows, stored};
use std::path::Path;
use tidemark_tests::bids::{busy, halt, sorted, write, written};
use tidemark_tests::engine::{Engine, Launch};
use tidemark_tests::process::Signal;
use tidemark_tests::s3::Server;

#[test]
fn lines_come_out_once_over_kills() {
    let directory = tempfile::tempdir().unwrap();
    let (root, server) = (directory.path(), Server::shared());
    let config = configured(root, &server.endpoint(), "");
    let bucket = server.bucket().unwrap();
    let input = root.join("in.jsonl");
    let mut expected = write(&input, 0, 2_000).unwrap();
    for (round, name) in
        ["leading", "snapshot-begin", "recovery-replay", "snapshot-counted"].into_iter().enumerate()
    {
        let launch = stored(1 + round % 3, root, &config, &bucket);
        let mut engine = Engine::launch(&launch.set("source.events.follow", true)).unwrap();
        let mut from = 0;
        if name.starts_with("snapshot") {
            // Some rows are out by then, and some are not yet read.
            rows(&engine, root, expected.len());
            from = engine.stderr().next();
            expected.extend(write(&input, expected.len() as u64, 2_000).unwrap());
        }
        engine.wait_phase(from, LONG, |phase| phase.name == name).unwrap();
        engine.kill().unwrap();
    }
    expected.extend(write(&input, expected.len() as u64, 2_000).unwrap());
    let mut engine = Engine::launch(&stored(2, root, &config, &bucket)).unwrap();
    let status = engine.wait(LONG).unwrap();
    assert_eq!(status.code(), Some(0), "{}", engine.stderr().tail(20));
    let rows = written(&root.join("out"));
    assert_eq!(rows.len(), expected.len());
    assert!(sorted(&rows) == sorted(&expected), "rows are not what they should be");
    let store =
        Store::in_s3(&crate::store::settings(&server.endpoint(), &bucket, "jobs/q1")).unwrap();
    assert_eq!(store.list("cut").unwrap().len(), 1, "the log was cut");
    assert!(store.list("probe").unwrap().is_empty(), "each start has cleaned up");
    let beside: Vec<_> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(beside.len(), 4, "input, output, key and configuration only: {beside:?}");
}

/// Windows over a generator, with all their state in the bucket: the rows of closed windows are a function of the input alone.
#[test]
fn windows_are_restored_from_the_bucket() {
    let directory = tempfile::tempdir().unwrap();
    let (root, server) = (directory.path(), Server::shared());
    let config = configured(root, &server.endpoint(), "");
    let q5 = |workers, state: &Path, out: &Path| {
        busy(Launch::new("q5", workers, state))
            .set("source.events.events", 40_000)
            .set("source.events.rate", 20_000)
            .set("sink.q5.connector", "file")
            .set("sink.q5.path", out.display())
    };
    let finish = |launch: &Launch| {
        let mut engine = Engine::launch(launch).unwrap();
        let status = engine.wait(LONG).unwrap();
        assert_eq!(status.code(), Some(0), "{}", engine.stderr().tail(20));
    };
    finish(&q5(1, &root.join("state"), &root.join("whole")));
    let expected = sorted(&written(&root.join("whole")));
    assert!(expected.len() > 20, "{expected:?}");

    let bucket = format!("s3://{}/q5", server.bucket().unwrap());
    let out = root.join("out");
    let stored =
        |workers| Launch { config: Some(config.clone()), ..q5(workers, Path::new(&bucket), &out) };
    for workers in [2, 1] {
        let mut engine = Engine::launch(&stored(workers)).unwrap();
        let (line, _) = engine.wait_phase(0, LONG, |phase| phase.name == "leading").unwrap();
        engine.wait_phase(line, LONG, |phase| phase.name == "snapshot-counted").unwrap();
        engine.kill().unwrap();
    }
    finish(&stored(2));
    assert!(sorted(&written(&out)) == expected, "rows are not what they should be");
}

#[test]
fn a_halted_leader_comes_back_after_another_and_ends_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let (root, server) = (directory.path(), Server::shared());
    let config = configured(root, &server.endpoint(), "");
    let bucket = server.bucket().unwrap();
    let input = root.join("in.jsonl");
    let mut expected = write(&input, 0, 500).unwrap();
    let launch =
        |workers| stored(workers, root, &config, &bucket).set("source.events.follow", true);
    let mut old = Engine::launch(&launch(2)).unwrap();
    rows(&old, root, expected.len());
    halt(&old, &root.join("out")).unwrap();

    let mut new = Engine::launch(&launch(1)).unwrap();
    new.wait_phase(0, LONG, |phase| phase.name == "leading").unwrap();
    expected.extend(write(&input, 500, 500).unwrap());
    rows(&new, root, expected.len());
    old.signal(Signal::Cont).unwrap();
    let status = old.wait(LONG).unwrap();
    let said = old.stderr().since(0).join("\n");
    assert!(!status.success(), "{status}");
    // It learns it by the log or by the sink, whichever it asks first.
    let reasons = ["generation 2 leads now", "was fenced by generation 2"];
    assert!(reasons.iter().any(|reason| said.contains(reason)), "{said}");

    expected.extend(write(&input, 1_000, 200).unwrap());
    rows(&new, root, expected.len());
    assert!(new.terminate(LONG).unwrap().success(), "{}", new.stderr().tail(20));
    assert_eq!(sorted(&written(&root.join("out"))), sorted(&expected));
}
