//! The first command of the README.

use crate::{LONG, ask};
use serde_json::Value as Json;
use std::path::Path;
use tidemark_tests::engine::{Engine, Launch};
use tidemark_tests::process::Signal;

fn demo(workers: usize, state: &Path) -> Engine {
    // A rate that an unoptimised binary on a busy machine keeps up with. Snapshots only when asked for, so that it is known which
    // ticks the next start reads again.
    let launch = Launch::new("hot-items", workers, state)
        .set("source.events.rate", 1000)
        .set("snapshots.interval", "1d")
        .set("view.hot-items.history", 100_000);
    Engine::launch(&launch).unwrap()
}

fn number(json: &Json, field: &str) -> u64 {
    json[field].as_u64().unwrap_or_else(|| panic!("no {field} in {json}"))
}

const VIEW: &str = "/api/v1/views/hot-items";

/// The tick that is shown never goes back, and what was shown at a tick is shown again at it: after a kill, after Ctrl-C, with
/// other numbers of workers.
#[test]
fn the_demo_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let mut seen: Option<(Json, bool)> = None;
    for (round, workers) in [1, 2, 1, 3].into_iter().enumerate() {
        let mut engine = demo(workers, directory.path());
        if let Some((before, killed)) = &seen {
            let tick = number(before, "tick");
            let after = ask(&engine, &format!("{VIEW}?after={tick}"));
            assert!(number(&after, "tick") >= tick, "{after} is before {before}");
            assert!(number(&after, "generation") > number(before, "generation"));
            // A clean end leaves a snapshot at the last tick, before which nothing is read again.
            if *killed {
                let again = ask(&engine, &format!("{VIEW}?as_of={tick}"));
                assert_eq!(again["rows"], before["rows"], "at tick {tick} in round {round}");
            }
        }
        engine.wait_phase(0, LONG, |phase| phase.name == "leading").unwrap();
        let job = ask(&engine, "/api/v1/job");
        assert_eq!(number(&job, "restored") > 0, round > 0, "{job}");
        let newest = Some(number(&job, "restored")).filter(|tick| *tick > 0);
        assert_eq!(job["snapshot"].as_u64(), newest, "the restored one is the newest: {job}");
        let body = format!("{{\"name\":\"round-{round}\"}}");
        let answer = engine.post("/api/v1/job/savepoint", &body).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let shown = ask(&engine, VIEW);
        let shown = ask(&engine, &format!("{VIEW}?after={}", number(&shown, "tick") + 3));
        assert!(!shown["rows"].as_array().unwrap().is_empty(), "{shown}");
        seen = Some((shown, round % 2 == 0));
        if round % 2 == 0 {
            engine.kill().unwrap();
        } else {
            engine.signal(Signal::Int).unwrap();
            let status = engine.wait(LONG).unwrap();
            assert_eq!(status.code(), Some(0), "{}", engine.stderr().tail(20));
        }
    }
}

/// What stands on the terminal by itself is for people: no line of the protocol's phases.
#[test]
fn the_demo_tells_people_what_they_need() {
    let directory = tempfile::tempdir().unwrap();
    let launch = Launch {
        arguments: vec!["--log".into(), "info".into()],
        ..Launch::new("hot-items", 1, directory.path())
    };
    let mut engine = Engine::launch(&launch).unwrap();
    let line = engine.wait_for("status page at", LONG).unwrap();
    assert!(line.contains(&format!("http://127.0.0.1:{}/", engine.http())), "{line}");
    // Made-up times are no lag.
    let line = engine.wait_for("| watermark 20", LONG).unwrap();
    assert!(line.starts_with("running | generation 1 | tick "), "{line}");
    engine.terminate(LONG).unwrap();
    let log = engine.stderr().since(0).join("\n");
    assert!(log.contains("running from tick 1"), "{log}");
    assert!(!log.contains("tidemark::phase"), "{log}");
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
}
