//! Files to files, exactly once.

use crate::{LONG, ask, bid, busy, q1, sorted, until, written};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use tidemark_tests::engine::{Engine, Launch};

/// The engine is killed at phases of different kinds, while rows are being written and replayed; then it runs to its end.
#[test]
fn bounded_lines_come_out_once_over_kills() {
    let directory = tempfile::tempdir().unwrap();
    let (root, input) = (directory.path(), directory.path().join("in"));
    fs::create_dir(&input).unwrap();
    let count = 20_000;
    let (mut files, mut expected) = ([String::new(), String::new()], Vec::new());
    for number in 0..count {
        let (line, row) = bid(number);
        files[(number % 2) as usize] += &(line + "\n");
        expected.push(row);
    }
    for (part, lines) in files.iter().enumerate() {
        fs::write(input.join(format!("{part}.jsonl")), lines).unwrap();
    }
    let mut within = 0;
    let phases =
        ["leading", "snapshot-begin", "snapshot-written", "recovery-replay", "snapshot-counted"];
    for (round, name) in phases.into_iter().enumerate() {
        let mut engine = Engine::launch(&busy(q1(1 + round % 3, root, &input))).unwrap();
        engine.wait_phase(0, LONG, |phase| phase.name == name).unwrap();
        engine.kill().unwrap();
        let so_far = written(&root.join("out")).len();
        within += usize::from(so_far > 0 && so_far < count as usize);
    }
    assert!(within > 0, "no kill fell between the first row and the last");
    let mut engine = Engine::launch(&busy(q1(2, root, &input))).unwrap();
    let status = engine.wait(LONG).unwrap();
    assert_eq!(status.code(), Some(0), "{}", engine.stderr().tail(20));

    let rows = written(&root.join("out"));
    assert_eq!(rows.len(), expected.len());
    assert!(sorted(&rows) == sorted(&expected), "rows are not what they should be");
}

#[test]
fn a_directory_of_csv_gives_the_table_over_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let (root, input) = (directory.path(), directory.path().join("in"));
    fs::create_dir_all(input.join("deep")).unwrap();
    // Chains of ten nodes: the least of each chain is its label. One edge goes again.
    let mut files = [String::from("from,to,present\n"), String::from("from,to,present\n")];
    for node in (0..2000_u64).filter(|node| node % 10 != 9) {
        files[(node % 2) as usize] += &format!("{node},{},true\n", node + 1);
    }
    files[0] += "4,5,true\n4,5,false\n";
    fs::write(input.join("a.csv"), &files[0]).unwrap();
    fs::write(input.join("deep/b.csv"), &files[1]).unwrap();
    let launch = |workers| {
        busy(
            Launch::new("components", workers, &root.join("state"))
                .set("source.edges.connector", "file")
                .set("source.edges.path", input.display())
                .set("source.edges.format", "csv")
                .set("sink.components.connector", "file")
                .set("sink.components.path", root.join("out").display()),
        )
    };
    let mut engine = Engine::launch(&launch(2)).unwrap();
    until(
        "a row",
        || if written(&root.join("out")).is_empty() { Err("none".into()) } else { Ok(()) },
    );
    engine.kill().unwrap();

    let engine = Engine::launch(&launch(1)).unwrap();
    let label = |node: u64| match node {
        0..=4 => 0,
        5..=9 => 5,
        _ => node / 10 * 10,
    };
    let expected: BTreeMap<u64, u64> = (0..2000).map(|node| (node, label(node))).collect();
    until("the right table in the sink", || {
        let mut table = BTreeMap::new();
        for line in written(&root.join("out")) {
            let change: Json = serde_json::from_str(&line).unwrap();
            let key = change["key"].as_u64().unwrap();
            match change["value"][1].as_u64() {
                Some(label) => table.insert(key, label),
                None => table.remove(&key),
            };
        }
        if table == expected { Ok(()) } else { Err(format!("{} rows", table.len())) }
    });
    let view = ask(&engine, "/api/v1/views/component?key=7");
    assert_eq!(view["rows"][0]["value"].as_array().unwrap()[1], 5, "{view}");
}

#[test]
fn a_file_is_followed_as_it_grows_over_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let (root, input) = (directory.path(), directory.path().join("in.jsonl"));
    let launch = |workers| busy(q1(workers, root, &input)).set("source.events.follow", true);
    let mut file = fs::File::create(&input).unwrap();
    let mut expected = Vec::new();
    for (round, workers) in [1, 2, 1].into_iter().enumerate() {
        let mut engine = Engine::launch(&launch(workers)).unwrap();
        for number in (0..50).map(|number| round as u64 * 100 + number) {
            let (line, row) = bid(number);
            // Half a line is no record yet.
            let (begin, end) = line.split_at(line.len() / 2);
            file.write_all(begin.as_bytes()).unwrap();
            file.write_all(end.as_bytes()).unwrap();
            file.write_all(b"\n").unwrap();
            expected.push(row);
        }
        until("what was appended", || {
            let rows = written(&root.join("out"));
            if rows.len() >= expected.len() { Ok(()) } else { Err(format!("{} rows", rows.len())) }
        });
        assert_eq!(sorted(&written(&root.join("out"))), sorted(&expected));
        if round == 0 {
            engine.kill().unwrap();
        } else {
            let status = engine.terminate(LONG).unwrap();
            assert_eq!(status.code(), Some(0), "{}", engine.stderr().tail(20));
        }
    }
}
