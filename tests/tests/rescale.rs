//! `tidemark rescale` and `tidemark upgrade` under load: every tick that was ever committed is right.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::Value as Json;
use std::io::Write as _;
use std::time::Duration;
use tidemark_oracle::Output;
use tidemark_tests::broker::Broker;
use tidemark_tests::clock::Deadline;
use tidemark_tests::engine::{Engine, binary};
use tidemark_tests::lines::Found;
use tidemark_tests::proof::run::say;
use tidemark_tests::proof::stage::Stage;

/// A deadline that only a hanging engine reaches.
const LONG: Duration = Duration::from_secs(180);

/// Runs a command that changes the job of `cluster`, and gives what it found.
fn change(cluster: &Engine, arguments: &[&str]) -> Json {
    let http = format!("127.0.0.1:{}", cluster.http());
    let all: Vec<_> =
        ["--json"].iter().chain(arguments).copied().chain(["--http", &http]).collect();
    let mut command = Engine::command(&all).unwrap();
    let status = command.wait(LONG).unwrap();
    let log = || format!("{}\n{}", command.stderr().tail(20), cluster.stderr().tail(40));
    assert_eq!(status.code(), Some(0), "{}", log());
    // Its end may be read a little later than that of the log.
    assert_eq!(command.stdout().wait_from(0, LONG, |_| false), Found::Ended);
    let found: Json = serde_json::from_str(&command.stdout().tail(1)).unwrap();
    assert_eq!(found["nothing_shown_is_lost"], true, "{found}\n{}", log());
    // A clean end leaves a snapshot at the last tick, which every sink has.
    assert_eq!(found["ticks_read_again"], 0, "{found}\n{}", log());
    assert_eq!(found["sinks_behind_restored_tick"], serde_json::json!([]), "{found}\n{}", log());
    found
}

#[test]
fn resized_ten_times_under_load_every_committed_tick_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start().unwrap();
    let (events, per_second) = (44_000, 2_000);
    let stage = Stage::new(&broker, folder.path(), 17, (events, per_second), true).unwrap();
    let mut cluster = Engine::launch_cluster(&stage.launch(1), 1).unwrap();
    let sizes = [(2, 1), (3, 1), (1, 1), (2, 2), (3, 2), (1, 2), (2, 1), (3, 1), (1, 3), (2, 2)];
    let mut still = Vec::new();
    for (round, (processes, workers)) in (1..).zip(sizes) {
        // What is let in here comes while the job changes.
        stage.pacer.allow(events * (round + 1) / 11);
        stage.committed(events * round / 11 - 2_000, LONG).unwrap();
        let (processes, workers) = (processes.to_string(), workers.to_string());
        let found =
            change(&cluster, &["rescale", "--processes", &processes, "--workers", &workers]);
        assert_eq!(found["processes"].to_string(), processes);
        assert_eq!(found["workers"].to_string(), workers);
        assert_eq!(found["generation"], round + 1, "one generation a size: {found}");
        still.push(found["output_stood_still_ms"].as_u64().unwrap());
    }
    say(&format!("output stood still, by change, in ms: {still:?}"));
    stage.finish_input(LONG).unwrap();
    let status = cluster.terminate(LONG).unwrap();
    assert_eq!(status.code(), Some(0), "{}", cluster.stderr().tail(40));
    let compared = stage.compare(20, LONG).unwrap();
    say(&compared.to_string());
}

/// Another build is another program, and goes on; one that can't is not let near the job, or not for long.
#[test]
fn another_program_goes_on_and_one_that_can_not_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start().unwrap();
    let (events, per_second) = (8_000, 2_000);
    let stage = Stage::new(&broker, folder.path(), 18, (events, per_second), true).unwrap();
    // What differs between the builds is not what they compute, so that the tables' sinks may go on with changes.
    let launch = Output::ALL.into_iter().fold(stage.launch(1), |launch, output| {
        launch.set(&format!("sink.{}.on_change", output.sink()), "from-now")
    });
    let mut cluster = Engine::launch_cluster(&launch, 2).unwrap();
    stage.pacer.allow(events / 2);
    stage.committed(events / 4, LONG).unwrap();
    let next = folder.path().join("tidemark-next");
    std::fs::copy(binary().unwrap(), &next).unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(&next).unwrap();
    file.write_all(b"another build").unwrap();
    drop(file);
    let next = next.display().to_string();
    let before = cluster.get("/api/v1/job").unwrap().json().unwrap();
    let found = change(&cluster, &["upgrade", "--to", &next, "--savepoint", "before"]);
    assert_eq!((&found["generation"], &found["processes"]), (&2.into(), &2.into()), "{found}");
    assert_ne!(found["program"], before["program"]);
    assert!(found["savepoint"]["tick"].as_u64() <= found["restored_tick"].as_u64(), "{found}");

    let http = format!("127.0.0.1:{}", cluster.http());
    let refused = |to: &str| {
        let mut command = Engine::command(&["upgrade", "--to", to, "--http", &http]).unwrap();
        let status = command.wait(LONG).unwrap();
        (status.code(), command.stderr().tail(10))
    };
    let (code, told) = refused("/bin/false");
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("refuses the dataflow or its configuration"), "{told}");
    let (code, told) = refused("/no/such/program");
    assert_eq!(code, Some(2), "{told}");
    // They take the configuration, but not the job: each start ends, with a code that another would not help or with one that it might.
    let runs = || {
        let deadline = Deadline::after(LONG);
        let state = || cluster.get("/api/v1/job").and_then(|answer| answer.json());
        while !state().is_ok_and(|job| job["state"] == "running") {
            assert!(deadline.left().is_some(), "{}", cluster.stderr().tail(40));
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    for (code, after) in [(5, "the start after the change"), (1, "start 5 after the change")] {
        let sly = folder.path().join("sly");
        let script = format!("#!/bin/sh\n[ \"$1\" = config ] && exit 0\nexit {code}\n");
        std::fs::write(&sly, script).unwrap();
        let mut mode = std::fs::metadata(&sly).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
        std::fs::set_permissions(&sly, mode).unwrap();
        let (exit, told) = refused(&sly.display().to_string());
        assert_eq!(exit, Some(1), "{told}");
        let says = told.contains(after) && told.contains(&format!("exit code {code}"));
        assert!(says && told.contains("as it was before"), "{told}");
        runs();
    }

    stage.finish_input(LONG).unwrap();
    let status = cluster.terminate(LONG).unwrap();
    assert_eq!(status.code(), Some(0), "{}", cluster.stderr().tail(40));
    say(&stage.compare(10, LONG).unwrap().to_string());
}
