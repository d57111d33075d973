//! What is said when something is typed wrong, is taken, or is not there.

use crate::{LONG, ask, until};
use std::path::Path;
use tidemark_tests::engine::{Engine, Launch};

/// Exit code, standard output and standard error of a command.
fn tidemark(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut engine = Engine::command(arguments).unwrap();
    let status = engine.wait(LONG).unwrap();
    // That waited for the end of standard error only.
    engine.stdout().wait_from(0, LONG, |_| false);
    let text = |lines: &tidemark_tests::lines::Lines| lines.since(0).join("\n");
    (status.code(), text(engine.stdout()), text(engine.stderr()))
}

fn refused(arguments: &[&str], exit: i32, parts: &[&str]) {
    let (code, out, err) = tidemark(arguments);
    assert_eq!(code, Some(exit), "{arguments:?}: {err}");
    assert_eq!(out, "", "{arguments:?}");
    for part in parts {
        assert!(err.contains(part), "{arguments:?}: no {part:?} in: {err}");
    }
    assert_eq!(err.matches("error (").count(), 1, "said once: {err}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_is_wrong_is_named_and_exits_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let (file, missing) = (directory.path().join("t.toml"), directory.path().join("none.toml"));
    std::fs::write(&file, "[tick]\nhartbeat = \"1s\"\n").unwrap();
    let state = directory.path().join("state");
    let run = ["run", "hot-items", "--state", text(&state)];
    for (arguments, parts) in [
        (&["run", "hot-item"][..], &["did you mean hot-items?", "components"][..]),
        (&["run", "hot-items", "--workers", "0"], &["workers", "--workers", "from 1 to 256"]),
        (&["run", "hot-items", "--http", "nonsense"], &["http.addr", "127.0.0.1:8090"]),
        (&["run", "hot-items", "--config", text(&missing)], &["none.toml", "can't be read"]),
        (
            &["run", "hot-items", "--config", text(&file)],
            &["hartbeat", "t.toml:2", "did you mean heartbeat?", "allowed: interval_min"],
        ),
        (&["run", "hot-items", "-D", "source.evnts.rate=5"], &["evnts", "did you mean events?"]),
        (
            &["run", "q1"],
            &[
                "no [connection.kafka]",
                "-D connection.kafka.bootstrap.servers=HOST:PORT",
                "sink.q1.connector",
            ],
        ),
    ] {
        refused(arguments, 2, parts);
    }
    let nowhere = "/proc/nothing/here";
    refused(&["run", "hot-items", "--state", nowhere, "--http", "127.0.0.1:0"], 2, &[nowhere]);
    let gone = directory.path().join("gone.jsonl");
    let from = format!("source.events.path={}", gone.display());
    let from = ["-D", "source.events.connector=file", "-D", &from, "--http", "127.0.0.1:0"];
    refused(&[&run[..], &from].concat(), 2, &["source events", "gone.jsonl", "No such file"]);
}

#[test]
fn a_taken_port_and_a_held_state_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let launch = Launch::new("hot-items", 1, &state).set("source.events.rate", 100);
    let engine = Engine::launch(&launch).unwrap();
    ask(&engine, "/api/v1/views/hot-items?after=2");

    let taken = format!("127.0.0.1:{}", engine.http());
    let other = directory.path().join("other");
    let arguments = ["run", "hot-items", "--state", text(&other), "--http", &taken];
    refused(&arguments, 2, &[&taken, "in use", "another port"]);

    let arguments = ["run", "hot-items", "--state", text(&state), "--http", "127.0.0.1:0"];
    refused(&arguments, 2, &["tick.log", "holds it", "state directory of its own"]);
}

#[test]
fn commands_of_a_running_job_answer_people_and_scripts() {
    let directory = tempfile::tempdir().unwrap();
    let launch = Launch::new("hot-items", 2, directory.path()).set("source.events.rate", 1000);
    let mut engine = Engine::launch(&launch).unwrap();
    until("rows", || match ask(&engine, "/api/v1/views/hot-items")["rows"].as_array() {
        Some(rows) if rows.len() > 2 => Ok(()),
        _ => Err("too few".to_owned()),
    });
    let at = format!("127.0.0.1:{}", engine.http());
    let to = |arguments: &[&str]| tidemark(&[arguments, &["--http", &at]].concat());

    let (code, out, err) = to(&["status"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("hot-items: running, generation 1\n"), "{out}");
    assert!(out.contains(" released, ") && out.contains("\nevents  "), "{out}");
    let (_, out, _) = to(&["status", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["state"], "running");

    let (code, out, err) = to(&["query", "hot-items", "--limit", "2"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("key ") && out.lines().count() >= 2, "{out}");
    assert!(err.contains("rows at tick"), "{err}");
    let (code, out, _) = to(&["query", "hot-items", "--key", "\"2026-01-01T00:00:00Z\"", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["rows"][0]["key"]), (Some(0), &"2026-01-01T00:00:00Z".into()));

    let at_arguments = ["--http", &at];
    let refused_at = |arguments: &[&str], exit, parts: &[&str]| {
        refused(&[arguments, &at_arguments].concat(), exit, parts);
    };
    refused_at(&["query", "hot-itmes"], 2, &["hot-itmes", "hot-items"]);
    refused_at(&["query", "hot-items", "--key", "nonsense"], 2, &["key", "EventTime"]);
    refused_at(&["query", "hot-items", "--limit", "99999999"], 2, &["limit", "10000"]);
    refused_at(
        &["query", "hot-items", "--as-of", "99999999"],
        1,
        &["not released", "the newest is"],
    );
    refused_at(&["savepoint", "a name"], 2, &["name"]);

    let (code, out, err) = to(&["savepoint", "one"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("tick"), "{out}");
    let (code, _, err) = to(&["stop", "--savepoint", "two"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(engine.wait(LONG).unwrap().code(), Some(0));
    refused_at(&["status"], 6, &["no answer from a job at", "tidemark run"]);
}

#[test]
fn list_explain_and_check_need_no_broker() {
    assert_eq!(tidemark(&["list"]).1.lines().next(), Some("hot-items"));
    let (code, out, err) = tidemark(&["explain", "q3"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for part in [
        "events: Nexmark generator",
        "2 => upsert \"sellers\"; 1 copy (dataflows/src/nexmark.rs:",
        "3, 5 => join_on; 2 copies",
        "sellers: upsert",
        "bounded by one row for each key",
        "q3: GET /api/v1/views/q3",
        "q3: Kafka topic q3 ([connection.kafka]); changelog, 1 lane",
    ] {
        assert!(out.contains(part), "no {part:?} in:\n{out}");
    }
    let (code, out, _) = tidemark(&["config", "check", "hot-items", "-D", "tick.heartbeat=2s"]);
    assert_eq!(code, Some(0));
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<_> = out.lines().map(words).collect();
    assert!(lines.contains(&"heartbeat = \"2s\" # -D".to_owned()), "{out}");
    assert!(lines.contains(&"rate = 10000 # code".to_owned()), "{out}");
}
