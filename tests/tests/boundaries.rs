//! What must not depend on what.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

/// The oracle is worth something only as long as it shares no code with the engine.
#[test]
fn the_oracle_has_nothing_of_the_engine_in_its_dependency_tree() {
    let tree = |package: &str| {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--all-features", "--prefix", "none"])
            .args(["--edges", "normal,build,dev", "--package", package])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8(output.stdout).unwrap();
        let names = tree.lines().filter_map(|line| line.split(' ').next().map(str::to_owned));
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let engine = ["tidemark", "tidemark-derive", "dataflows", "timely", "differential-dataflow"];
    let oracle = tree("tidemark-oracle");
    assert!(oracle.contains("tidemark-oracle") && oracle.contains("serde"), "{oracle:?}");
    for package in engine {
        assert!(!oracle.contains(package), "{package} is in {oracle:?}");
    }
    // The same look at a crate that has them finds them.
    let dataflows = tree("dataflows");
    for package in engine {
        assert!(dataflows.contains(package), "{package} is not in {dataflows:?}");
    }
}

/// The code of a module, without its tests: path and text of each file.
fn code(modules: &[&str]) -> Vec<(String, String)> {
    fn walk(path: &Path, into: &mut Vec<(String, String)>) {
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                walk(&entry.unwrap().path(), into);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.display().to_string();
            if !name.ends_with("/tests.rs") && !name.contains("/tests/") {
                let text = std::fs::read_to_string(path).unwrap();
                let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                into.push((name, lines.collect::<Vec<_>>().join("\n")));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for module in modules {
        walk(&root.join("src").join(module), &mut files);
    }
    assert!(!files.is_empty(), "{modules:?} are gone");
    files
}

/// The files of `modules` that have one of `words`.
fn that_have(modules: &[&str], words: &[&str]) -> Vec<String> {
    let files = code(modules).into_iter();
    let found = files.filter(|(_, text)| words.iter().any(|word| text.contains(word)));
    found.map(|(name, _)| name.rsplit_once("/src/").unwrap().1.to_owned()).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn sinks_know_no_source_and_sources_no_sink() {
    assert_eq!(that_have(&["sinks"], &["crate::sources", "crate::views"]), NONE);
    assert_eq!(that_have(&["sources"], &["crate::sinks", "crate::views"]), NONE);
    assert_eq!(that_have(&["formats"], &["crate::sinks", "kafka"]), NONE);
    assert_ne!(that_have(&["sinks"], &["crate::sinks"]), NONE, "the search finds what is there");
}

#[test]
fn operators_and_state_know_no_connector() {
    let outside = ["kafka", "crate::sources", "crate::sinks", "crate::http", "std::fs", "std::net"];
    assert_eq!(that_have(&["operators"], &outside), NONE);
    let outside = ["kafka", "crate::sources", "crate::sinks", "crate::operators", "crate::flow"];
    assert_eq!(that_have(&["state"], &outside), NONE);
    assert_eq!(that_have(&["row", "time"], &["crate::operators", "crate::flow", "timely"]), NONE);
}

#[test]
fn only_the_service_knows_configuration_connectors_and_engine_together() {
    let rest = ["job", "flow", "operators", "http", "sinks", "sources", "state", "ticks", "views"];
    assert_eq!(that_have(&rest, &["crate::config"]), NONE);
    for word in ["crate::config", "sinks::kafka", "sources::kafka", "job::engine"] {
        assert_ne!(that_have(&["service"], &[word]), NONE, "{word}");
    }
}

#[test]
fn the_cluster_knows_nothing_of_what_its_processes_say() {
    let inside = ["ticks", "flow", "job", "state", "sources", "sinks", "views", "config", "http"];
    let inside: Vec<_> = inside.iter().map(|module| format!("crate::{module}")).collect();
    let mut words: Vec<_> = inside.iter().map(String::as_str).collect();
    words.push("timely::");
    assert_eq!(that_have(&["cluster"], &words), NONE);
    assert_ne!(that_have(&["cluster"], &["crate::ids"]), NONE, "the search finds what is there");
}

#[test]
fn one_module_reads_the_clock() {
    let clocks = ["SystemTime::now", "Instant::now"];
    assert_eq!(that_have(&["."], &clocks).len(), 1);
    assert_eq!(that_have(&["time"], &clocks), ["time/clock.rs"]);
}

#[test]
fn threads_of_timely_never_await() {
    assert_eq!(that_have(&["job", "operators", "flow", "ticks"], &[".await", "async "]), NONE);
}
