//! `tidemark cluster` and `tidemark run --process`: several processes as one job.

use crate::{LONG, ask, until};
use serde_json::Value as Json;
use std::path::Path;
use tidemark_tests::engine::{Engine, Launch};
use tidemark_tests::fleet::{Fleet, SECRET, SECRET_VARIABLE};
use tidemark_tests::process::{self, Signal};

const VIEW: &str = "/api/v1/views/hot-items";

fn demo(workers: usize, state: &Path) -> Launch {
    Launch::new("hot-items", workers, state)
        .set("source.events.rate", 1000)
        .set("snapshots.interval", "500ms")
        .set("view.hot-items.history", 100_000)
}

/// The process ids of start number `start`, from 0, of a cluster.
fn pids(engine: &Engine, start: usize) -> Vec<u32> {
    let text = until("the processes start", || {
        let lines = engine.stderr().since(0);
        let mut starts = lines.iter().filter(|line| line.contains("processes started (pids "));
        starts.nth(start).cloned().ok_or_else(|| engine.stderr().tail(30))
    });
    let inside = text.split_once("(pids ").unwrap().1.trim_end_matches(')');
    inside.split(", ").map(|pid| pid.parse().unwrap()).collect()
}

fn number(json: &Json, field: &str) -> u64 {
    json[field].as_u64().unwrap_or_else(|| panic!("no {field} in {json}"))
}

fn is_gone(pid: u32) -> Result<(), String> {
    // A child of another process that has ended is gone, or waits to be noticed.
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) if !stat.contains(") Z ") => Err(format!("process {pid} is there: {stat}")),
        _ => Ok(()),
    }
}

/// Any process is killed: all are started again as the next generation, and what was shown at a tick is shown again.
#[test]
fn processes_that_end_are_started_again_and_a_clean_stop_ends_all() {
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = Engine::launch_cluster(&demo(2, directory.path()), 2).unwrap();
    let mut seen: Option<Json> = None;
    for (start, victim) in [1, 0].into_iter().enumerate() {
        let pids = pids(&cluster, start);
        assert_eq!(pids.len(), 2);
        let shown = ask(&cluster, VIEW);
        if let Some(before) = &seen {
            assert!(number(&shown, "generation") >= number(before, "generation"));
        }
        let after = ask(&cluster, &format!("{VIEW}?after={}", number(&shown, "tick") + 3));
        assert!(!after["rows"].as_array().unwrap().is_empty(), "{after}");
        seen = Some(after);
        process::signal(pids[victim], Signal::Kill).unwrap();
        until("all processes of that start end", || pids.iter().try_for_each(|pid| is_gone(*pid)));
    }
    let before = seen.unwrap();
    let (tick, generation) = (number(&before, "tick"), number(&before, "generation"));
    // Every worker answers from what was restored and read again.
    let again = until("the next generation shows the tick", || {
        let path = format!("{VIEW}?as_of={tick}");
        let answer = cluster.get(&path).map_err(|e| e.to_string())?;
        let json = answer.json().map_err(|e| e.to_string())?;
        let later = answer.status == 200 && number(&json, "generation") > generation;
        // A snapshot after it may have been restored.
        let gone = answer.status == 410;
        if later || gone { Ok(json) } else { Err(answer.body) }
    });
    if again.get("rows").is_some() {
        assert_eq!(again["rows"], before["rows"], "at tick {tick}");
    }
    until("all four workers have read", || {
        let body = cluster.get("/metrics").map_err(|e| e.to_string())?.body;
        let of = |worker: usize| format!("worker_records_total{{worker=\"{worker}\"}} ");
        let read = |worker: usize| {
            let line = body.lines().find(|line| line.starts_with(&of(worker)));
            line.is_some_and(|line| !line.ends_with(" 0"))
        };
        if (0..4).all(read) { Ok(()) } else { Err(body) }
    });
    let last = pids(&cluster, 2);
    cluster.signal(Signal::Int).unwrap();
    let status = cluster.wait(LONG).unwrap();
    assert_eq!(status.code(), Some(0), "{}", cluster.stderr().tail(30));
    until("all processes have ended", || last.iter().try_for_each(|pid| is_gone(*pid)));
    // The clean end left a snapshot, from which one process goes on.
    let alone = demo(1, directory.path()).set("log.kind", "store");
    let engine = Engine::launch(&alone).unwrap();
    let line = engine.wait_for("restored the snapshot of tick", LONG).unwrap();
    let tick = |text: &str| text.split("tick ").nth(1).unwrap().to_owned();
    let (from, to) = line.split_once(", replays up to ").unwrap();
    let from = from.rsplit_once("tick ").unwrap().1;
    assert_eq!(from, tick(to), "{line}");
}

/// Each process verifies its share of a snapshot: what another than process 0 finds damaged is not used by any.
#[test]
fn a_snapshot_of_which_another_process_finds_its_share_damaged_is_not_used() {
    /// As many as give a table some blocks.
    const EVENTS: u64 = 400_000;
    let directory = tempfile::tempdir().unwrap();
    let launch = || {
        Launch::new("q3", 1, directory.path())
            .set("log.kind", "store")
            .set("source.events.events", EVENTS)
            .set("sink.q3.connector", "blackhole")
            .set("snapshots.interval", "1h")
    };
    let rows = |engine: &Engine| {
        let answer = until("all is read", || {
            let body = engine.get("/metrics").map_err(|e| e.to_string())?.body;
            let line = body.lines().find(|line| line.starts_with("records_total "));
            let read = line.is_some_and(|line| line.ends_with(&format!(" {EVENTS}")));
            let tick = number(&ask(engine, "/api/v1/job"), "tick_current");
            let path = format!("/api/v1/views/q3?limit=1000&after={tick}");
            if read { Ok(ask(engine, &path)) } else { Err(body) }
        });
        answer["rows"].clone()
    };
    let mut engine = Engine::launch(&launch()).unwrap();
    let before = rows(&engine);
    assert!(!before.as_array().unwrap().is_empty());
    engine.terminate(LONG).unwrap();

    // The one snapshot is that of the end. Its last blocks belong to the last share.
    let segments = std::fs::read_dir(directory.path().join("segment")).unwrap();
    let segments = segments.map(|entry| entry.unwrap().path());
    let segment = segments.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    assert!(bytes.len() > 3 * 64 * 1024, "a segment of some blocks: {}", bytes.len());
    let place = bytes.len() * 9 / 10;
    bytes[place] ^= 1;
    std::fs::write(&segment, bytes).unwrap();

    let mut fleet = Fleet::launch(&launch(), 2).unwrap();
    let told = fleet.leader().wait_for("a snapshot is damaged", LONG).unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert!(told.contains(&format!("process 1: segment/{name}")), "{told}");
    assert!(told.contains("is damaged at byte"), "{told}");
    assert_eq!(rows(fleet.leader()), before, "all was read again");
    let ends = fleet.terminate(LONG).unwrap();
    assert!(ends.iter().all(|status| status.code() == Some(0)), "{ends:?}");
}

#[test]
fn who_starts_them_dies_and_the_processes_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = Engine::launch_cluster(&demo(1, directory.path()), 3).unwrap();
    let pids = pids(&cluster, 0);
    ask(&cluster, VIEW);
    cluster.kill().unwrap();
    until("all processes have ended", || pids.iter().try_for_each(|pid| is_gone(*pid)));
}

/// What another start would not help is said and ends the whole.
#[test]
fn a_wrong_configuration_of_the_job_ends_the_cluster_with_its_code() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("no-directory");
    std::fs::write(&file, "").unwrap();
    let mut cluster = Engine::launch_cluster(&demo(1, &file.join("state")), 2).unwrap();
    let status = cluster.wait(LONG).unwrap();
    let told = cluster.stderr().tail(30);
    assert_eq!(status.code(), Some(2), "{told}");
    assert!(told.contains("has ended with exit code 2"), "{told}");
}

fn refused(launch: &Launch) -> String {
    let mut engine = Engine::launch(launch).unwrap();
    let status = engine.wait(LONG).unwrap();
    assert_eq!(status.code(), Some(2), "{}", engine.stderr().tail(30));
    engine.stderr().tail(10)
}

#[test]
fn a_place_in_a_cluster_that_can_not_be_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let place = |process: &str, hosts: &str| Launch {
        arguments: ["--process", process, "--hosts", hosts].map(str::to_owned).to_vec(),
        ..demo(1, directory.path())
    };
    let secret = |mut launch: Launch, secret: &str| {
        launch.environment.push((SECRET_VARIABLE.to_owned(), secret.to_owned()));
        launch
    };
    let two = "127.0.0.1:1,127.0.0.1:2";
    let store = |launch: Launch| launch.set("log.kind", "store");
    let told = refused(&store(place("0", two)));
    assert!(told.contains("needs cluster.secret"), "{told}");
    let told = refused(&secret(store(place("2", two)), SECRET));
    assert!(told.contains("cluster.process = 2 (--process) is none of"), "{told}");
    let told = refused(&secret(place("0", two), SECRET));
    assert!(told.contains("serves one process"), "{told}");
    let told = refused(&secret(store(place("0", two)), "short"));
    assert!(told.contains("at least 16 are needed"), "{told}");
}

/// Processes that name different stores would write a snapshot that nobody can read.
#[test]
fn a_process_with_another_store_is_refused_and_the_job_says_so() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let launch = demo(1, here.path()).set("log.kind", "store");
    let mut fleet = Fleet::launch_each(2, |process| Launch {
        state: if process == 0 { here.path().to_owned() } else { there.path().to_owned() },
        ..launch.clone()
    })
    .unwrap();
    for process in fleet.processes() {
        let status = process.wait(LONG).unwrap();
        let told = process.stderr().tail(20);
        assert_eq!(status.code(), Some(2), "{told}");
        assert!(told.contains("must name one store for all processes"), "{told}");
    }
}
