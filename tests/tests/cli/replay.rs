//! `tidemark replay` beside a job that has failed, and beside one that is fine.

use crate::troubled::{failed, order, over_orders, taken, troubled};
use crate::{LONG, ask};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tidemark_tests::broker::Broker;
use tidemark_tests::client::Client;
use tidemark_tests::engine::{Engine, Launch};
use tidemark_tests::lines::Lines;
use tidemark_tests::process::Signal;

/// All files below `root` with their bytes.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(path) = ahead.pop() {
        if path.is_dir() {
            ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// Exit code, standard output and standard error of `replay` for the job of `launch`.
fn replay(launch: &Launch, more: &[&str]) -> (Option<i32>, String, String) {
    let mut engine = Engine::beside(launch, "replay", more).unwrap();
    let status = engine.wait(LONG).unwrap();
    engine.stdout().wait_from(0, LONG, |_| false);
    let text = |lines: &Lines| lines.since(0).join("\n");
    (status.code(), text(engine.stdout()), text(engine.stderr()))
}

/// Runs the `tidemark skip` that a replay has printed: it lets the job go on without the record.
fn skip_as_printed(engine: &Engine, told: &str) {
    let printed = told.lines().find(|line| line.starts_with("  tidemark skip ")).unwrap();
    let http = format!("127.0.0.1:{}", engine.http());
    let words = printed.split_whitespace().skip(1).chain(["--http", &http]);
    let mut skip = Engine::command(&words.collect::<Vec<_>>()).unwrap();
    assert_eq!(skip.wait(LONG).unwrap().code(), Some(0), "{}", skip.stderr().tail(20));
}

/// The job dies three times of one record; a replay names it, and leaves no trace, whether the log is in a file or in the store.
#[test]
fn the_record_that_panics_is_named_and_nothing_is_changed() {
    for log in ["file", "store"] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        order(root, "a.jsonl", &[(1, ""), (2, "")]);
        let launch = troubled(root, 1).set("log.kind", log);
        let mut cluster = Engine::launch_cluster(&launch, 1).unwrap();
        taken(root, 2);
        order(root, "a.jsonl", &[(3, ""), (4, ""), (5, ",\"panic_later\":true"), (6, ""), (7, "")]);
        failed(&cluster, "tidemark replay DATAFLOW --tick ");
        let before = files(root);
        let (code, out, err) = replay(&launch, &[]);
        assert_eq!(code, Some(4), "{out}\n{err}");
        // Each of the orders before takes 13 bytes.
        for part in [
            "in aggregate (sum) \"sums\" (dataflows/examples/troubled.rs:",
            "order 5 can not be added",
            "source orders, partition a.jsonl, offset 52: {\"number\":5,\"panic_later\":true}",
            "tidemark skip orders a.jsonl 52",
        ] {
            assert!(out.contains(part), "{log}: no {part:?} in {out}\n{err}");
        }
        assert!(files(root) == before, "{log}: a replay changes nothing");
        skip_as_printed(&cluster, &out);
        taken(root, 6);
        cluster.signal(Signal::Int).unwrap();
        assert_eq!(cluster.wait(LONG).unwrap().code(), Some(0), "{}", cluster.stderr().tail(20));
    }
}

/// The same with orders and tick log on Kafka: a replay is one more reader of both. What it prints lets the job go on.
#[test]
fn the_record_of_a_topic_that_panics_is_named_and_left_out() {
    let broker = Broker::start().unwrap();
    let client = Client::new(broker.bootstrap());
    client.create_topic("orders", 2, &[]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let launch = over_orders(root, 1)
        .set("connection.kafka.bootstrap.servers", broker.bootstrap())
        .set("source.orders.connector", "kafka")
        .set("source.orders.topic", "orders")
        .set("log.kind", "kafka")
        .set("log.connection", "kafka")
        .set("log.topic", "ticks")
        .set("log.replication", 1);
    let mut cluster = Engine::launch_cluster(&launch, 1).unwrap();
    client.produce("orders", 0, [r#"{"number":1}"#, r#"{"number":2}"#]).unwrap();
    taken(root, 2);
    let bad = [r#"{"number":3}"#, r#"{"number":4,"panic_later":true}"#, r#"{"number":5}"#];
    client.produce("orders", 1, bad).unwrap();
    failed(&cluster, "tidemark replay DATAFLOW --tick ");
    let ends = || {
        let ends = ["orders", "ticks"].map(|topic| client.read_committed(topic).unwrap().len());
        (ends, client.topics().unwrap(), files(root))
    };
    let before = ends();
    let (code, out, err) = replay(&launch, &[]);
    assert_eq!(code, Some(4), "{out}\n{err}");
    let place = "source orders, partition 1, offset 1: {\"number\":4,\"panic_later\":true}";
    assert!(out.contains(place), "no {place:?} in {out}\n{err}");
    assert!(ends() == before, "a replay changes nothing");
    skip_as_printed(&cluster, &out);
    taken(root, 4);
    cluster.signal(Signal::Int).unwrap();
    assert_eq!(cluster.wait(LONG).unwrap().code(), Some(0), "{}", cluster.stderr().tail(20));
}

/// Beside a running job, whose log is held, a tick that is fine is told with what it read.
#[test]
fn a_tick_that_is_fine_gets_through_and_one_that_is_not_there_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    order(root, "a.jsonl", &[(1, ""), (2, "")]);
    let launch = troubled(root, 1);
    let mut engine = Engine::launch(&launch).unwrap();
    taken(root, 2);
    let newest = ask(&engine, "/api/v1/job")["tick"].as_u64().unwrap();
    let reads = |tick: &u64| {
        let ranges = &ask(&engine, &format!("/api/v1/job/ticks/{tick}"))["ranges"];
        ranges[0]["records"].as_u64().is_some_and(|records| records > 0)
    };
    let tick = (1..=newest).find(reads).expect("a tick has read the two orders");
    let (code, out, err) = replay(&launch, &["--tick", &tick.to_string()]);
    assert_eq!(code, Some(0), "{out}\n{err}");
    for part in [
        &*format!("tick {tick} gets through, in "),
        "source orders, partition a.jsonl: offsets 0..26, 2 records",
        "sink taken: 2 rows",
    ] {
        assert!(out.contains(part), "no {part:?} in {out}");
    }
    let (code, out, err) = replay(&launch, &["--tick", "1000000"]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("tick 1000000 is not in the tick log, which ends at tick "), "{err}");
    let none = Launch { state: root.join("none"), ..launch.clone() };
    let (code, _, err) = replay(&none, &["--tick", "1"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(!root.join("none").exists(), "nothing is made");
    let (code, _, err) = replay(&launch, &[]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("no generation of this job has ended by a panic"), "{err}");
    assert_eq!(engine.terminate(LONG).unwrap().code(), Some(0));
}
