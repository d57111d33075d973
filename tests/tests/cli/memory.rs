//! `memory.budget`: a warning that names tables, then the clock stops and says why; a clean end works, and the job goes on elsewhere.

use crate::{LONG, ask, busy, until};
use serde_json::Value as Json;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use tidemark_tests::engine::{Engine, Launch};
use tidemark_tests::fleet::Fleet;

/// More than the budget has room for, as the last start shows.
const EDGES: u64 = 60_000;
const BUDGET: &str = "96MiB";
const HALF_BUDGET: &str = "56MiB";
const BUDGET_BYTES: f64 = 96.0 * 1024.0 * 1024.0;

fn launch(root: &Path) -> Launch {
    busy(Launch::new("components", 1, &root.join("state")))
        .set("source.edges.connector", "file")
        .set("source.edges.path", root.join("edges.csv").display())
        .set("source.edges.format", "csv")
        .set("sink.components.connector", "blackhole")
}

fn metric(engine: &Engine, name: &str) -> f64 {
    let text = engine.get("/metrics").unwrap().body;
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}

fn write_edges(root: &Path) {
    let mut edges = String::from("from,to,present\n");
    for edge in 0..EDGES {
        writeln!(edges, "{},{},true", edge * 2, edge * 2 + 1).unwrap();
    }
    fs::write(root.join("edges.csv"), edges).unwrap();
}

/// What holds the job up, once that is what `by` says.
fn held(engine: &Engine, by: &str) -> String {
    until("the clock is held", || {
        let status = ask(engine, "/api/v1/job");
        let holding = status["holding"].as_str().unwrap_or_default().to_owned();
        if holding.contains(by) { Ok(holding) } else { Err(holding) }
    })
}

#[test]
fn a_job_beyond_its_memory_says_so_and_stops_its_clock() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    write_edges(root);
    let mut engine = Engine::launch(&launch(root).set("memory.budget", BUDGET)).unwrap();
    let warned = engine.wait_for("of memory.budget; at 95 % the clock stops", LONG).unwrap();
    for name in ["edges ", "view component "] {
        assert!(warned.contains(name), "no {name:?} in {warned}");
    }
    let held = held(&engine, "clock held by memory (");
    assert!(held.contains("% of memory.budget)"), "{held}");
    let read = metric(&engine, "records_total");
    assert!(read < EDGES as f64, "the clock stopped before all was read");
    let status = engine.terminate(LONG).unwrap();
    assert_eq!(status.code(), Some(0), "{}", engine.stderr().tail(20));

    let engine = Engine::launch(&launch(root)).unwrap();
    until("the whole table", || {
        let views = ask(&engine, "/api/v1/views");
        let rows = |view: &Json| view["name"] == "component" && view["rows"] == EDGES * 2;
        let there = views["views"].as_array().is_some_and(|all| all.iter().any(rows));
        if there { Ok(()) } else { Err(views.to_string()) }
    });
    let resident = metric(&engine, "process_resident_memory_bytes");
    assert!(resident > BUDGET_BYTES, "all of it needs {resident} bytes, more than the budget");
}

#[test]
fn any_process_beyond_its_memory_stops_the_clock_of_all() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    write_edges(root);
    // Only process 1 has a budget, less than its half of the table needs.
    let of = |process| {
        let launch = launch(root).set("log.kind", "store");
        if process == 1 { launch.set("memory.budget", HALF_BUDGET) } else { launch }
    };
    let mut fleet = Fleet::launch_each(2, of).unwrap();
    fleet.processes()[1].wait_for("of memory.budget; at 95 % the clock stops", LONG).unwrap();
    let held = held(fleet.leader(), "clock held by memory of process 1 (");
    assert!(held.contains("% of memory.budget)"), "{held}");
    let read = metric(fleet.leader(), "records_total");
    assert!(read < EDGES as f64, "the clock stopped before all was read");
    let ends = fleet.terminate(LONG).unwrap();
    assert!(ends.iter().all(|end| end.code() == Some(0)), "{ends:?}");
}
