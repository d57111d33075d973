//! The user's code is in trouble: slow, or panicking. `dataflows/examples/troubled.rs` does as its input says.

use crate::{LONG, ask, until, written};
use serde_json::Value as Json;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use tidemark_tests::engine::{Engine, Launch, example};
use tidemark_tests::process::Signal;

/// The dataflow over orders in files.
pub(crate) fn troubled(root: &Path, workers: usize) -> Launch {
    over_orders(root, workers)
        .set("source.orders.path", root.join("in").display())
        .set("source.orders.follow", true)
}

/// The dataflow, without a place of its orders.
pub(crate) fn over_orders(root: &Path, workers: usize) -> Launch {
    let launch = Launch::new("troubled", workers, &root.join("state"))
        .set("sink.taken.path", root.join("out").display());
    Launch { program: Some(example("troubled").unwrap()), ..launch }
}

/// Appends orders to a file of the input, each with what it has beside its number.
pub(crate) fn order(root: &Path, file: &str, orders: &[(u64, &str)]) {
    fs::create_dir_all(root.join("in")).unwrap();
    let path = root.join("in").join(file);
    let mut text = fs::read_to_string(&path).unwrap_or_default();
    for (number, more) in orders {
        writeln!(text, "{{\"number\":{number}{more}}}").unwrap();
    }
    fs::write(path, text).unwrap();
}

pub(crate) fn taken(root: &Path, count: usize) {
    until("the rows", || {
        let found = written(&root.join("out")).len();
        if found == count { Ok(()) } else { Err(format!("{found} of {count} rows")) }
    });
}

/// The status of a job that has failed, once its error has these words.
pub(crate) fn failed(engine: &Engine, words: &str) -> Json {
    until("the job is failed", || {
        let job = engine.get("/api/v1/job").map_err(|e| e.to_string())?;
        let job = job.json().map_err(|e| e.to_string())?;
        let told = job["error"].as_str().is_some_and(|error| error.contains(words));
        if job["state"] == "failed" && told {
            Ok(job)
        } else {
            Err(format!("{job}\n{}", engine.stderr().tail(30)))
        }
    })
}

/// Far beyond the limit of heartbeats a step sleeps: no generation ends, and the worker and its tick are named.
#[test]
fn a_slow_tick_is_named_and_ends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    order(root, "a.jsonl", &[(1, "")]);
    order(root, "b.jsonl", &[(2, "")]);
    let launch = troubled(root, 1).set("cluster.heartbeat_limit", "500ms");
    let mut cluster = Engine::launch_cluster(&launch, 2).unwrap();
    taken(root, 2);
    let seconds = std::env::var("TROUBLED_SECONDS").unwrap_or_else(|_| "12".to_owned());
    // A file of its own: its partition is read by the second process.
    let before = ask(&cluster, "/api/v1/job");
    order(root, "b.jsonl", &[(3, &format!(",\"sleep\":{seconds}")), (4, "")]);
    let slow = until("the status names the slow worker", || {
        let job = ask(&cluster, "/api/v1/job");
        let slow = job["slow"][0].clone();
        if slow["seconds"].as_u64() >= Some(5) { Ok(job) } else { Err(job.to_string()) }
    });
    assert_eq!(slow["slow"][0]["worker"], 1, "{slow}");
    assert_eq!(slow["slow"][0]["waits_for_store"], false, "{slow}");
    let tick = slow["slow"][0]["tick"].as_u64().unwrap();
    assert!(tick > before["tick"].as_u64().unwrap(), "{slow} after {before}");
    let holding = slow["holding"].as_str().unwrap();
    assert!(holding.contains(&format!("worker 1 has been in tick {tick} for ")), "{holding}");
    let step = "map (dataflows/examples/troubled.rs:";
    assert!(slow["slow"][0]["step"].as_str().unwrap().starts_with(step), "{slow}");
    let told = "process 1: ";
    let line = cluster.wait_for(" does not end; the job waits for it", LONG).unwrap();
    assert!(line.starts_with(told) && line.contains(&format!("in tick {tick} ")), "{line}");
    assert!(line.contains(&format!("the step {step}")), "{line}");
    taken(root, 4);
    cluster.wait_for("worker 1 has come round again", LONG).unwrap();
    until("nobody is slow", || {
        let job = ask(&cluster, "/api/v1/job");
        if job["slow"].as_array().unwrap().is_empty() { Ok(()) } else { Err(job.to_string()) }
    });
    let after = ask(&cluster, "/api/v1/job");
    assert_eq!(after["generation"], before["generation"]);
    cluster.signal(Signal::Int).unwrap();
    assert_eq!(cluster.wait(LONG).unwrap().code(), Some(0), "{}", cluster.stderr().tail(20));
}

/// A panic on a record is the record's matter: it is named, and no start is tried that would meet it again.
#[test]
fn a_panic_on_a_record_names_it_and_ends_the_cluster_with_its_code() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    order(root, "a.jsonl", &[(1, ""), (2, ",\"panic\":true"), (3, "")]);
    let mut cluster = Engine::launch_cluster(&troubled(root, 1), 2).unwrap();
    let status = cluster.wait(LONG).unwrap();
    let log = cluster.stderr().since(0).join("\n");
    assert_eq!(status.code(), Some(4), "{log}");
    for part in [
        "source orders, partition a.jsonl, offset 13",
        "panicked",
        "order 2 can not be taken (dataflows/examples/troubled.rs:",
    ] {
        assert!(log.contains(part), "no {part:?} in {log}");
    }
    assert!(!log.contains("stack backtrace"), "told once, not by the runtime too: {log}");
    // With `skip` the others go through.
    let launch = troubled(root, 2).set("source.orders.on_error", "skip").set("log.kind", "store");
    let mut engine = Engine::launch(&launch).unwrap();
    taken(root, 2);
    assert_eq!(engine.terminate(LONG).unwrap().code(), Some(0));
}

/// A panic that no record can be blamed for comes again at each start. After three the job is `failed` and answers; it is tried again
/// as it is when that is wanted, and a mended build goes on by itself.
#[test]
fn the_third_death_at_one_place_leaves_the_job_failed_with_its_status_up() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    order(root, "a.jsonl", &[(1, ""), (2, "")]);
    let launch = troubled(root, 1);
    let mut cluster = Engine::launch_cluster(&launch, 2).unwrap();
    taken(root, 2);
    order(root, "a.jsonl", &[(5, ",\"panic_later\":true"), (6, "")]);
    let job = failed(&cluster, "");
    let error = job["error"].as_str().unwrap();
    for part in [
        "3 generations, the last one 3, ended at tick ",
        "in aggregate (sum) \"sums\" (dataflows/examples/troubled.rs:",
        "order 5 can not be added",
        "troubled.rs:",
        "tidemark retry",
    ] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    assert_eq!(cluster.get("/healthz").unwrap().status, 200, "the process is well");
    assert_eq!(cluster.get("/readyz").unwrap().status, 503);
    // As it is it dies three times more.
    let answer = cluster.post("/api/v1/job/retry", "").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    cluster.wait_for("tried again, as wanted", LONG).unwrap();
    failed(&cluster, "the last one 6, ended at tick ");
    assert_eq!(written(&root.join("out")).len(), 2, "nothing of the tick is shown");
    cluster.signal(Signal::Int).unwrap();
    assert_eq!(cluster.wait(LONG).unwrap().code(), Some(0), "{}", cluster.stderr().tail(20));

    // Another build, told that it is the same program.
    let mended = root.join("mended");
    let mut binary = fs::read(example("troubled").unwrap()).unwrap();
    binary.extend_from_slice(b"mended");
    fs::write(&mended, binary).unwrap();
    let mode = fs::metadata(example("troubled").unwrap()).unwrap().permissions();
    fs::set_permissions(&mended, mode).unwrap();
    let program = job["program"].as_str().unwrap();
    let mut launch = Launch { program: Some(mended), ..launch.set("job.program", program) };
    launch.environment.push(("TROUBLED_MENDED".into(), "1".into()));
    let mut cluster = Engine::launch_cluster(&launch, 2).unwrap();
    taken(root, 4);
    cluster.signal(Signal::Int).unwrap();
    assert_eq!(cluster.wait(LONG).unwrap().code(), Some(0), "{}", cluster.stderr().tail(20));
}

/// A record that the code can't get through is left out of the tick that read it, by all processes, for ever, and by any number of
/// workers; what can't be left out is refused with the reason.
#[test]
fn a_job_that_has_failed_goes_on_without_a_record() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    order(root, "a.jsonl", &[(1, ""), (2, "")]);
    // Views, a sink and the tick that can't be got through: no snapshot in between hides what is read again.
    let launch = troubled(root, 1).set("snapshots.interval", "1h");
    let mut cluster = Engine::launch_cluster(&launch, 2).unwrap();
    taken(root, 2);
    let http = format!("127.0.0.1:{}", cluster.http());
    let skip = |source: &str, partition: &str, offset: u64| {
        let offset = offset.to_string();
        let words = ["skip", source, partition, &offset, "--http", &http];
        let mut command = Engine::command(&words).unwrap();
        let status = command.wait(LONG).unwrap();
        (status.code(), format!("{}{}", command.stdout().tail(10), command.stderr().tail(10)))
    };
    let (code, told) = skip("orders", "a.jsonl", 0);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("the job has not failed"), "{told}");

    let bad = fs::metadata(root.join("in/a.jsonl")).unwrap().len();
    order(root, "a.jsonl", &[(5, ",\"panic_later\":true"), (6, "")]);
    failed(&cluster, "tidemark skip");
    for (source, offset, reason) in [
        ("clicks", 0, "the dataflow has no source \"clicks\"; there are: orders"),
        ("orders", 0, "which the job has got through and shown"),
        ("orders", bad + 1, "no record begins there; the record before it is at"),
    ] {
        let (code, told) = skip(source, "a.jsonl", offset);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains(reason), "no {reason:?} in {told}");
    }
    let (code, told) = skip("orders", "a.jsonl", bad);
    assert_eq!(code, Some(0), "{told}\n{}", cluster.stderr().tail(30));
    assert!(told.contains("a.jsonl"), "{told}");
    taken(root, 3);
    order(root, "a.jsonl", &[(8, "")]);
    taken(root, 4);
    let sums = |engine: &Engine| {
        let shown = ask(engine, "/api/v1/views/sums");
        shown["rows"].to_string()
    };
    let shown = sums(&cluster);
    assert!(!shown.contains("5"), "order 5 is in no sum: {shown}");
    // All of it is read again by others, who leave it out too.
    cluster.kill().unwrap();
    let again = troubled(root, 3).set("log.kind", "store");
    let mut engine = until("the killed processes let go of the job", || {
        let mut engine = Engine::launch(&again).map_err(|e| e.to_string())?;
        match engine.wait_for("left out, as it was asked for: source orders", LONG) {
            Ok(_) => Ok(engine),
            Err(error) => {
                let _ = engine.kill();
                Err(error.to_string())
            }
        }
    });
    order(root, "a.jsonl", &[(9, "")]);
    taken(root, 5);
    until("the sums are as before, and the new one", || {
        let now = sums(&engine);
        if now.contains("11") && !now.contains('5') { Ok(()) } else { Err(now) }
    });
    let rows = written(&root.join("out")).join("\n");
    assert!(!rows.contains('5'), "{rows}");
    assert_eq!(engine.terminate(LONG).unwrap().code(), Some(0));
}
