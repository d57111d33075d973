//! Another program goes on through the real binary: what it is told on the command line, what it says, what stands in the files.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tidemark_tests::clock::Deadline;
use tidemark_tests::engine::{Engine, Launch};

const LONG: Duration = Duration::from_secs(60);
const EVENTS: u64 = 20_000;

/// All lines of a file sink, in the order of ticks.
fn lines(folder: &Path) -> Vec<String> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let text = |file| std::fs::read_to_string(file).unwrap();
    files.iter().flat_map(|f| text(f).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// What a reader of the changelog has.
fn rows(lines: &[String]) -> usize {
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for line in lines {
        let (row, diff) = line.rsplit_once(",\"diff\":").unwrap();
        *sums.entry(row).or_default() += diff.trim_end_matches('}').parse::<i64>().unwrap();
    }
    sums.values().filter(|sum| **sum != 0).count()
}

fn records(engine: &Engine) -> u64 {
    let metrics = engine.get("/metrics").unwrap().body;
    let line = metrics.lines().find(|line| line.starts_with("records_total "));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

/// Runs until it leads, and has read all if it begins; then stops it cleanly.
fn run(launch: &Launch, reads: u64) -> String {
    let mut engine = Engine::launch(launch).unwrap();
    engine.wait_phase(0, LONG, |phase| phase.name == "leading").unwrap();
    let deadline = Deadline::after(LONG);
    while records(&engine) < reads {
        assert!(deadline.left().is_some(), "{} of {reads} records were read", records(&engine));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(engine.terminate(LONG).unwrap().success(), "{}", engine.stderr().tail(20));
    engine.stderr().tail(10_000)
}

#[test]
fn a_program_goes_on_as_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let launch = |program: &str| {
        Launch::new("q3", 1, &folder.path().join("state"))
            .set("job.program", program)
            .set("source.events.events", EVENTS)
            .set("sink.q3.connector", "file")
            .set("sink.q3.path", out.display())
            .set("sink.q3.reconcile", true)
    };
    run(&launch("one"), EVENTS);
    let written = lines(&out);
    let table = rows(&written);
    assert!(table > 10, "{table} rows");

    let mut refused = Engine::launch(&launch("two")).unwrap();
    assert_eq!(refused.wait(LONG).unwrap().code(), Some(2));
    let said = refused.stderr().tail(20);
    for part in ["this program differs from one", "stand in sink q3;", "sink.q3.on_change"] {
        assert!(said.contains(part), "{part}: {said}");
    }

    // The same table: nothing differs from what was written.
    let said = run(&launch("two").set("sink.q3.on_change", "reconcile"), 0);
    assert!(said.contains("kept state \"sellers\" goes on from tick"), "{said}");
    assert_eq!(lines(&out).len(), written.len());

    run(&launch("three").set("sink.q3.on_change", "rewrite"), 0);
    let rewritten = lines(&out);
    assert_eq!(rewritten.len(), written.len() + table);

    let mut dropping = launch("three").set("sink.q3.on_change", "rewrite");
    dropping.arguments =
        ["--drop-state", "sellers", "--drop-state", "auctions"].map(str::to_owned).to_vec();
    let said = run(&dropping, 0);
    for uid in ["sellers", "auctions"] {
        assert!(said.contains(&format!("kept state \"{uid}\" of tick")), "{said}");
    }
    assert_eq!(lines(&out).len(), rewritten.len(), "the whole table is empty");
}
