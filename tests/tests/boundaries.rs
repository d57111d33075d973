//! What must not depend on what.
#![expect(clippy::unwrap_used, reason = "tests")]

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
