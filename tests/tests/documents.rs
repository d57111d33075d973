//! The documents do not speak of what is not there: links lead to files, and paths of the code in them exist.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn documents(folder: &Path, into: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            documents(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            into.insert(path);
        }
    }
}

fn all() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for name in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        found.insert(root().join(name));
    }
    documents(&root().join("doc"), &mut found);
    documents(&root().join("deploy"), &mut found);
    found
}

/// What stands between `open` and `close`, everywhere in the text.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split_once(close).map(|(inner, _)| inner))
}

#[test]
fn links_lead_to_files() {
    let mut looked = 0;
    for document in all() {
        let text = fs::read_to_string(&document).unwrap();
        for target in between(&text, "](", ")").filter(|target| !target.contains("://")) {
            let path = target.split('#').next().unwrap();
            if path.is_empty() {
                continue;
            }
            let to = document.parent().unwrap().join(path);
            assert!(to.exists(), "{}: {target} leads nowhere", document.display());
            looked += 1;
        }
    }
    assert!(looked > 10, "only {looked} links were found: is the search broken?");
}

#[test]
fn paths_of_the_code_exist() {
    let folders =
        ["src/", "derive/", "dataflows/", "oracle/", "tests/", "benches/", "deploy/", "doc/"];
    let (mut looked, mut missing) = (0, Vec::new());
    for document in all() {
        let text = fs::read_to_string(&document).unwrap();
        for line in text.lines() {
            for path in line.split('`').skip(1).step_by(2) {
                let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
                // Capitals are placeholders: `src/sources/NAME/`.
                let placeholder = path.split('/').any(|part| part == "NAME" || part == "NAME.rs");
                if !plain || placeholder || !folders.iter().any(|folder| path.starts_with(folder)) {
                    continue;
                }
                looked += 1;
                if !root().join(path).exists() {
                    missing.push(format!("{}: `{path}` does not exist", document.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(looked > 20, "only {looked} paths were found: is the search broken?");
}
