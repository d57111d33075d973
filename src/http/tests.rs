//! Real HTTP over loopback, against workers without a dataflow.
#![expect(clippy::unwrap_used, reason = "tests")]

mod client;

use super::{HttpSettings, Serving, serve};
use crate::error::Error;
use crate::ids::Tick;
use crate::job::shared::Done;
use crate::telemetry::status::{Replay, State};
use crate::ticks::record::Command;
use crate::views::fixture::FakeJob;
use crate::views::follow::FollowLimits;
use client::{Answer, Events, get, post, send};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn settings() -> HttpSettings {
    HttpSettings { address: ([127, 0, 0, 1], 0).into(), ..HttpSettings::default() }
}

/// A job of two workers at tick 20 with its server.
fn start(settings: HttpSettings) -> (FakeJob, Serving) {
    let mut job = FakeJob::start(2, 16);
    for tick in 1..=20 {
        job.tick(tick, &[(tick % 7, Some(tick)), (100 + tick, Some(0)), (95 + tick, None)]);
    }
    let serving = serve(job.shared.clone(), settings).unwrap();
    (job, serving)
}

fn rows(answer: &Answer) -> Vec<String> {
    answer.json()["rows"].as_array().unwrap().iter().map(Value::to_string).collect()
}

#[test]
fn status_health_metrics_and_records_are_there() {
    let (job, serving) = start(settings());
    let at = serving.address();
    assert_eq!(get(at, "/healthz").body, "ok\n");
    assert_eq!(get(at, "/readyz").status, 200);
    let answer = get(at, "/api/v1/job");
    assert_eq!(answer.header("tidemark-generation"), Some("3"));
    assert_eq!(answer.header("tidemark-tick"), Some("20"));
    let status = answer.json();
    assert_eq!((&status["name"], &status["state"]), (&json!("visits-job"), &json!("running")));
    assert_eq!((&status["tick"], &status["generation"]), (&json!(20), &json!(3)));
    let views = get(at, "/api/v1/views").json();
    assert_eq!(views["views"][1]["name"], "visits");
    assert_eq!(views["views"][1]["rows"], job.oracle[&20].len());
    assert_eq!(views["views"][1]["oldest_tick"], 5);
    let record = get(at, "/api/v1/job/ticks/7").json();
    assert_eq!((&record["tick"], &record["watermarks"]["clicks"]), (&json!(7), &json!(35)));
    assert_eq!(get(at, "/api/v1/job/ticks/21").status, 409);
    let metrics = get(at, "/metrics").body;
    for wanted in [
        "tick_released 20\n",
        "process_open_fds ",
        "http_requests_total{route=\"/healthz\",status=\"200\"} 1\n",
        "http_requests_total{route=\"/api/v1/job/ticks/T\",status=\"409\"} 1\n",
        "http_connections ",
    ] {
        assert!(metrics.contains(wanted), "{wanted} in {metrics}");
    }
    let page = get(at, "/");
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.body.contains("api/v1/job"));
}

#[test]
fn views_are_read_by_key_range_and_in_pages_at_one_tick() {
    let (mut job, serving) = start(settings());
    let at = serving.address();
    let answer = get(at, "/api/v1/views/visits?key=6");
    assert_eq!(
        answer.body,
        "{\"view\":\"visits\",\"generation\":3,\"tick\":20,\"rows\":[{\"key\":6,\"value\":20}],\"next\":null}"
    );
    assert_eq!(rows(&get(at, "/api/v1/views/visits?key=999")), [""; 0]);
    assert_eq!(rows(&get(at, "/api/v1/views/users?key=6")), ["{\"row\":6}"]);
    for tick in 5..=20 {
        let answer = get(at, &format!("/api/v1/views/visits?as_of={tick}"));
        assert_eq!(answer.json()["tick"], tick);
        assert_eq!(rows(&answer), job.rows_at(tick));
    }
    let range = get(at, "/api/v1/views/visits?from=2&to=5");
    assert_eq!(rows(&range).len(), 3);
    let (mut all, mut path) = (Vec::new(), "/api/v1/views/visits?from=1&limit=4".to_owned());
    for tick in 21.. {
        let answer = get(at, &path);
        assert_eq!(answer.json()["tick"], 20, "a scan stays at its tick");
        all.extend(rows(&answer));
        let next = answer.json()["next"].clone();
        let Some(next) = next.as_str() else { break };
        path = format!("/api/v1/views/visits?next={next}&limit=4");
        job.tick(tick, &[(1, Some(tick)), (2, None)]);
    }
    assert_eq!(all, job.rows_at(20)[1..]);
    assert!(all.len() > 8);
}

#[test]
fn after_waits_for_its_tick_and_no_longer_than_told() {
    let (mut job, serving) =
        start(HttpSettings { query_time_max: Duration::from_secs(30), ..settings() });
    let at = serving.address();
    let waits = std::thread::spawn(move || get(at, "/api/v1/views/visits?after=25"));
    for tick in 21..=26 {
        job.tick(tick, &[(1, Some(tick))]);
    }
    let answer = waits.join().unwrap();
    let tick = answer.json()["tick"].as_u64().unwrap();
    assert!(tick >= 25);
    assert_eq!(rows(&answer), job.rows_at(tick));
    let short = HttpSettings { query_time_max: Duration::from_millis(10), ..settings() };
    let serving = serve(job.shared.clone(), short).unwrap();
    let answer = get(serving.address(), "/api/v1/views/visits?after=27");
    assert_eq!((answer.status, &answer.json()["code"]), (504, &json!("timed-out")));
}

#[test]
fn every_refusal_is_json_with_a_code() {
    let (job, serving) = start(HttpSettings { body_bytes_max: 100, ..settings() });
    // The workers have let go of what left the history.
    job.served();
    let at = serving.address();
    let table = [
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/api/v1/views/none", 404, "no-such-view"),
        ("DELETE", "/api/v1/job", 405, "method-not-allowed"),
        ("POST", "/api/v1/views/visits", 405, "method-not-allowed"),
        ("GET", "/api/v1/views/visits?pretty", 400, "bad-request"),
        ("GET", "/api/v1/views/visits?key=x", 400, "bad-request"),
        ("GET", "/api/v1/views/visits?limit=10001", 400, "bad-request"),
        ("GET", "/api/v1/views/visits?next=abc", 400, "bad-request"),
        ("GET", "/api/v1/views/visits?as_of=4", 410, "gone"),
        ("GET", "/api/v1/views/visits?as_of=21", 409, "not-released"),
        ("GET", "/api/v1/views/visits/changes?from_tick=5", 410, "gone"),
        ("GET", "/api/v1/views/none/changes", 404, "no-such-view"),
        ("POST", "/api/v1/job/stop", 503, "unavailable"),
        ("POST", "/api/v1/job/retry", 400, "bad-request"),
        ("POST", "/api/v1/job/skip", 400, "bad-request"),
    ];
    for (method, path, status, code) in table {
        let answer = send(at, method, path, &[], "");
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{path}");
        assert!(!answer.json()["message"].as_str().unwrap().is_empty());
        assert_eq!(answer.header("tidemark-generation"), Some("3"));
    }
    assert_eq!(get(at, "/api/v1/views/visits?as_of=4").json()["oldest_tick"], 5);
    assert_eq!(send(at, "DELETE", "/api/v1/job", &[], "").header("allow"), Some("GET, HEAD"));
    let large = post(at, "/api/v1/job/savepoint", &"x".repeat(101));
    assert_eq!((large.status, &large.json()["code"]), (413, &json!("body-too-large")));
    let chunked = [("transfer-encoding", "chunked")];
    let body = format!("65\r\n{}\r\n0\r\n\r\n", "x".repeat(101));
    assert_eq!(send(at, "POST", "/api/v1/job/savepoint", &chunked, &body).status, 413);
    for body in ["{\"nam\":\"x\"}", "{\"name\":\"../x\"}", "[]", "x"] {
        assert_eq!(post(at, "/api/v1/job/savepoint", body).status, 400, "{body}");
    }
    let foreign = send(at, "POST", "/api/v1/job/stop", &[("origin", "http://evil.example")], "");
    assert_eq!((foreign.status, &foreign.json()["code"]), (403, &json!("cross-origin")));
}

#[test]
fn a_token_guards_everything_but_health() {
    let (_job, serving) = start(HttpSettings { token: Some("t0p".into()), ..settings() });
    let at = serving.address();
    for path in ["/healthz", "/readyz", "/"] {
        assert_eq!(get(at, path).status, 200, "{path}");
    }
    for path in ["/metrics", "/api/v1/job", "/api/v1/views/visits", "/nothing"] {
        let answer = get(at, path);
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (401, &json!("unauthorized")),
            "{path}"
        );
        assert_eq!(send(at, "GET", path, &[("authorization", "Bearer t0")], "").status, 401);
        let known = send(at, "GET", path, &[("authorization", "Bearer t0p")], "").status;
        assert_eq!(known, if path == "/nothing" { 404 } else { 200 });
    }
}

#[test]
fn a_job_that_rises_or_fell_says_so() {
    let (job, serving) = start(settings());
    let at = serving.address();
    job.shared.update(|status| {
        status.state = State::Replaying;
        status.replay = Some(Replay { replayed: 7, of: 90 });
    });
    for path in ["/readyz", "/api/v1/views/visits", "/api/v1/views/visits/changes"] {
        let answer = get(at, path);
        let body = answer.json();
        assert_eq!((answer.status, &body["code"]), (503, &json!("replaying")));
        assert_eq!(
            (&body["state"], &body["replayed"], &body["of"]),
            (&json!("replaying"), &json!(7), &json!(90))
        );
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(get(at, "/healthz").status, 200);
    job.shared.update(|status| {
        status.state = State::Failed;
        status.error = Some("clicks/3 has changed".into());
    });
    let answer = get(at, "/api/v1/views/visits");
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("failed")));
    assert!(answer.body.contains("clicks/3 has changed"));
    assert_eq!(get(at, "/api/v1/job").json()["state"], "failed");
}

#[test]
fn commands_answer_when_they_have_counted() {
    let (job, serving) =
        start(HttpSettings { command_time_max: Duration::from_millis(300), ..settings() });
    let at = serving.address();
    let commands = job.shared.take_commands(Arc::new(|| {}));
    let worker = std::thread::spawn(move || {
        let savepoint = commands.recv().unwrap();
        assert_eq!(
            savepoint.command,
            Command::Savepoint { name: "before-v2".into(), id: "n1".into() }
        );
        savepoint.reply.send(Ok(Done { tick: 33, manifest: Some("m-33".into()) })).unwrap();
        let named = commands.recv().unwrap();
        assert!(
            matches!(named.command, Command::Savepoint { name, .. } if name.starts_with("savepoint-"))
        );
        named.reply.send(Err(Error::config("a savepoint of this name exists"))).unwrap();
        // Not answered in time, then never.
        let slow = commands.recv().unwrap();
        drop(commands.recv().unwrap());
        let stop = commands.recv().unwrap();
        assert_eq!(stop.command, Command::Stop);
        stop.reply.send(Ok(Done { tick: 40, manifest: None })).unwrap();
        drop(slow);
    });
    let answer = post(at, "/api/v1/job/savepoint", "{\"name\":\"before-v2\",\"id\":\"n1\"}");
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(
        (&body["tick"], &body["manifest"], &body["name"]),
        (&json!(33), &json!("m-33"), &json!("before-v2"))
    );
    let refused = post(at, "/api/v1/job/savepoint", "");
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("config")));
    for _ in 0..2 {
        let undecided = post(at, "/api/v1/job/savepoint", "{\"id\":\"n2\"}");
        assert_eq!((undecided.status, &undecided.json()["code"]), (504, &json!("undecided")));
        assert_eq!(undecided.json()["id"], "n2");
    }
    assert_eq!(post(at, "/api/v1/job/stop", "").json()["tick"], 40);
    worker.join().unwrap();
}

#[test]
fn changes_are_followed_and_resumed_where_they_broke_off() {
    let (mut job, serving) = start(settings());
    let at = serving.address();
    let mut events = Events::open(at, "/api/v1/views/visits/changes?from_tick=15", &[]);
    for tick in 21..=30 {
        job.tick(tick, &[(1, Some(tick))]);
    }
    let mut table = job.oracle[&14].clone();
    let id = events.apply_through(22, &mut table);
    assert_eq!((id.as_str(), &table), ("3-22", &job.oracle[&22]));
    drop(events);
    let mut events =
        Events::open(at, "/api/v1/views/visits/changes?from_tick=15", &[("last-event-id", &id)]);
    events.apply_through(30, &mut table);
    assert_eq!(table, job.oracle[&30]);
    let bad = send(at, "GET", "/api/v1/views/visits/changes", &[("last-event-id", "x")], "");
    assert_eq!(bad.status, 400);
    // The server's end ends the stream.
    drop(serving);
    assert_eq!(events.next(), None);
}

#[test]
fn a_client_that_reads_nothing_harms_neither_job_nor_others() {
    let follow = FollowLimits { ring_bytes_max: 100_000, ..FollowLimits::default() };
    let (mut job, serving) = start(HttpSettings { follow, ..settings() });
    let at = serving.address();
    let path = "/api/v1/views/visits/changes?from_tick=21";
    let mut slow = Events::open(at, path, &[]);
    let mut others: Vec<_> = (0..99).map(|_| Events::open(at, path, &[])).collect();
    // More than the socket buffers of a connection hold, and far more than the ring.
    let mut first = job.oracle[&20].clone();
    let last = 60;
    for tick in 21..=last {
        let rows: Vec<_> = (1000..6000).map(|key| (key, Some(tick))).collect();
        job.tick(tick, &rows);
        others[0].apply_through(tick, &mut first);
        assert_eq!(get(at, "/api/v1/views/visits?key=1000").json()["tick"], tick);
    }
    assert_eq!(first, job.oracle[&last]);
    let mut told = None;
    while let Some((event, _, data)) = slow.next() {
        assert_eq!(told, None, "nothing comes after the last event");
        told = (event == "lagged").then_some(data);
    }
    let from = told.unwrap()["from_tick"].as_u64().unwrap();
    assert!((21..last).contains(&from), "{from}");
}

#[test]
fn connections_are_bounded_and_a_taken_port_is_named() {
    let (job, serving) = start(HttpSettings { connections_max: 2, ..settings() });
    let at = serving.address();
    let held: Vec<_> =
        (0..2).map(|_| Events::open(at, "/api/v1/views/visits/changes", &[])).collect();
    let answer = get(at, "/healthz");
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("too-many-connections")));
    drop(held);
    let taken = serve(job.shared.clone(), HttpSettings { address: at, ..settings() });
    let error = taken.err().unwrap();
    assert!(error.message().starts_with(&format!("http.addr = {at}: can't listen")), "{error}");
}

#[test]
fn no_client_sees_its_tick_go_back() {
    let (mut job, serving) = start(settings());
    let at = serving.address();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let (mut seen, mut last) = (Vec::new(), 0);
                while last < 120 {
                    let answer = get(at, "/api/v1/views/visits?limit=1000");
                    let tick: Tick = answer.json()["tick"].as_u64().unwrap();
                    assert!(tick >= last);
                    last = tick;
                    seen.push((tick, rows(&answer)));
                }
                seen
            })
        })
        .collect();
    for tick in 21..=120 {
        job.tick(tick, &[(tick % 5, Some(tick)), (tick % 3, None), (200 + tick, Some(1))]);
        std::thread::yield_now();
    }
    for reader in readers {
        for (tick, rows) in reader.join().unwrap() {
            assert_eq!(rows, job.rows_at(tick), "at tick {tick}");
        }
    }
}

/// Files below `folder` that name one of `words`.
fn naming(folder: &std::path::Path, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(naming(&path, words));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            if words.iter().any(|word| text.contains(word)) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn no_other_module_knows_warp_and_views_know_no_dataflow() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let knowing = naming(&source, &["warp::", "hyper_util::"]);
    assert!(knowing.len() >= 2, "the door itself knows it: {knowing:?}");
    let door = source.join("http").display().to_string();
    assert_eq!(knowing.iter().find(|path| !path.starts_with(&door)), None);
    let front = ["timely::", "differential_dataflow::"];
    for module in ["views", "telemetry"] {
        assert_eq!(naming(&source.join(module), &front), [""; 0], "{module}");
    }
}
