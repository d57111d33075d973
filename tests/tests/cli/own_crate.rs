//! A user's own crate, outside of the workspace: it depends on `tidemark` by path and on nothing else.

use crate::written;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const MAIN: &str = include_str!("own_crate_main.rs");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Profiles are those of the workspace, so that the crates below are not built again.
fn manifest() -> String {
    format!(
        r#"[package]
name = "turnstiles"
version = "0.1.0"
edition = "2024"

[dependencies]
tidemark = {{ path = {:?} }}

[profile.dev]
debug = "line-tables-only"

[profile.dev.package."*"]
opt-level = 1
debug = false

[profile.dev.package.tidemark]
opt-level = 0

[workspace]
"#,
        root()
    )
}

#[test]
fn a_crate_of_ones_own_builds_runs_and_is_right() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("turnstiles");
    fs::create_dir_all(home.join("src")).unwrap();
    fs::write(home.join("Cargo.toml"), manifest()).unwrap();
    fs::write(home.join("src/main.rs"), MAIN).unwrap();
    // The versions that the workspace was tested with.
    fs::copy(root().join("Cargo.lock"), home.join("Cargo.lock")).unwrap();
    let binary = tidemark_tests::engine::binary().unwrap();
    let target = binary.parent().and_then(Path::parent).unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--offline"])
        .current_dir(&home)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let input = directory.path().join("passes.jsonl");
    let mut lines = String::new();
    // Ten seconds of event time a line; the gate 3 leads back to 1, which leads to 2.
    for number in 0..60_u64 {
        let (gate, to) = [(1, 2), (2, 3), (3, 1), (7, 8)][(number % 4) as usize];
        let (minute, second) = (number * 10 / 60, number * 10 % 60);
        lines += &format!(
            "{{\"gate\":{gate},\"to\":{to},\"weight\":{number},\"at\":\"2026-03-01T08:{minute:02}:{second:02}Z\"}}\n"
        );
    }
    fs::write(&input, lines).unwrap();
    let program = target.join("debug/turnstiles");
    let run = || {
        let out =
            |sink: &str| format!("sink.{sink}.path={}", directory.path().join(sink).display());
        let mut command = Command::new(&program);
        command.args(["run", "turnstiles", "--workers", "2", "--http", "127.0.0.1:0", "--state"]);
        command.arg(directory.path().join("state"));
        command.args(["-D", &format!("source.passes.path={}", input.display())]);
        command.args(["-D", &out("heaviest"), "-D", &out("groups")]);
        let mut child = tidemark_tests::process::spawn(command).unwrap();
        assert!(child.wait().unwrap().success());
    };
    run();
    let check = || {
        let mut heaviest = written(&directory.path().join("heaviest"));
        heaviest.sort();
        let mut expected = Vec::new();
        for minute in 0..10_u64 {
            for gate in [1, 2, 3, 7] {
                let of_gate = (0..60_u64).filter(|number| {
                    number * 10 / 60 == minute && [1, 2, 3, 7][(number % 4) as usize] == gate
                });
                let (mut spread, mut passes) = (None::<(u64, u64)>, 0);
                for weight in of_gate {
                    let (least, most) = spread.unwrap_or((weight, weight));
                    (spread, passes) = (Some((least.min(weight), most.max(weight))), passes + 1);
                }
                if let Some((least, most)) = spread {
                    expected.push(format!(
                        "{{\"gate\":{gate},\"minute\":\"2026-03-01T08:{minute:02}:00Z\",\"spread\":{},\"passes\":{passes}}}",
                        most - least
                    ));
                }
            }
        }
        expected.sort();
        assert_eq!(heaviest, expected);

        let mut groups = std::collections::BTreeMap::new();
        for line in written(&directory.path().join("groups")) {
            let change: serde_json::Value = serde_json::from_str(&line).unwrap();
            groups.insert(change["key"].as_u64().unwrap(), change["value"]["group"].as_u64());
        }
        let expected =
            [(1, 1), (2, 1), (3, 1), (7, 7), (8, 7)].map(|(gate, group)| (gate, Some(group)));
        assert_eq!(groups.into_iter().collect::<Vec<_>>(), expected);
    };
    check();
    // A second start finds nothing to do, and does nothing twice.
    run();
    check();
}
