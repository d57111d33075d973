//! The door for other programs, over a restart.

use crate::{LONG, ask};
use serde_json::Value as Json;
use std::path::Path;
use std::time::Duration;
use tidemark_tests::engine::{Engine, Launch};

fn launch(workers: usize, root: &Path) -> Launch {
    Launch::new("hot-items", workers, &root.join("state"))
        .set("source.events.rate", 1000)
        .set("snapshots.interval", "1d")
        .set("view.hot-items.history", 100_000)
}

#[test]
fn kept_ticks_say_what_they_read_before_and_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = Engine::launch(&launch(1, directory.path())).unwrap();
    engine.wait_phase(0, LONG, |phase| phase.name == "leading").unwrap();
    assert_eq!(engine.post("/api/v1/job/savepoint", "{}").unwrap().status, 200);
    let tick = ask(&engine, "/api/v1/job")["tick"].as_u64().unwrap() + 5;
    let shown = ask(&engine, &format!("/api/v1/views/hot-items?after={tick}"));
    assert!(shown["tick"].as_u64().unwrap() >= tick);
    let record = ask(&engine, &format!("/api/v1/job/ticks/{tick}"));
    let next = &record["next_offsets"]["events"];
    assert!(next.as_object().is_some_and(|all| all.len() == 4), "{record}");
    engine.kill().unwrap();

    let engine = Engine::launch(&launch(3, directory.path())).unwrap();
    ask(&engine, &format!("/api/v1/views/hot-items?after={tick}"));
    let mut again = ask(&engine, &format!("/api/v1/job/ticks/{tick}"));
    // The generation is that of who answers.
    assert_eq!((&record["generation"], &again["generation"]), (&1.into(), &2.into()));
    again["generation"] = record["generation"].clone();
    assert_eq!(again, record, "a kept tick is what it was");

    let refused = |path: &str| {
        let answer = engine.get(path).unwrap();
        let json = answer.json().unwrap();
        assert!(json["message"].is_string(), "{json}");
        (answer.status, json["code"].as_str().unwrap().to_owned())
    };
    let code = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(refused("/api/v1/job/ticks/0"), code(410, "gone"));
    assert_eq!(refused("/api/v1/job/ticks/99999999"), code(409, "not-released"));
    assert_eq!(refused("/api/v1/job/ticks/x"), code(400, "bad-request"));
    assert_eq!(refused("/api/v1/views/nothing"), code(404, "no-such-view"));
    assert_eq!(refused("/api/v1/views/hot-items?key=nonsense"), code(400, "bad-request"));
    assert_eq!(refused("/api/v1/views/hot-items?as_of=99999999"), code(409, "not-released"));
    assert_eq!(refused("/nothing"), code(404, "not-found"));
}

#[test]
fn a_token_is_asked_for_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let (token, secret) = (directory.path().join("token"), "correct-horse-battery");
    std::fs::write(&token, format!("{secret}\n")).unwrap();
    let launch = launch(1, directory.path());
    let config = directory.path().join("t.toml");
    std::fs::write(&config, format!("[http]\ntoken = {{ file = {:?} }}\n", token)).unwrap();
    let mut engine = Engine::launch(&Launch { config: Some(config), ..launch }).unwrap();
    engine.wait_phase(0, LONG, |phase| phase.name == "leading").unwrap();
    let get = |path: &str, token: Option<&str>| {
        let mut request = ureq::get(format!("http://127.0.0.1:{}{path}", engine.http()));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.config().http_status_as_error(false);
        let limit = Some(Duration::from_secs(30));
        let mut response = request.timeout_global(limit).build().call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    };
    for (path, token, status) in [
        ("/healthz", None, 200),
        ("/readyz", None, 200),
        ("/", None, 200),
        ("/api/v1/job", None, 401),
        ("/api/v1/job", Some("wrong"), 401),
        ("/metrics", None, 401),
        ("/api/v1/job", Some(secret), 200),
        ("/metrics", Some(secret), 200),
    ] {
        assert_eq!(get(path, token).0, status, "{path} with {token:?}");
    }
    let refusal: Json = serde_json::from_str(&get("/api/v1/views", None).1).unwrap();
    assert_eq!(refusal["code"], "unauthorized");
    assert!(!get("/api/v1/job", Some(secret)).1.contains(secret));
    engine.terminate(LONG).unwrap();
    assert!(!engine.stderr().since(0).join("\n").contains(secret));
}
