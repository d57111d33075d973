#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::sync::Arc;

fn names(files: &Files) -> Vec<String> {
    files.discover().unwrap().into_iter().map(|partition| partition.name).collect()
}

#[test]
fn a_file_is_one_partition() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jsonl");
    fs::write(&path, "1\n").unwrap();
    assert_eq!(
        Files::new(&path).discover().unwrap(),
        [Partition { name: "a.jsonl".into(), start: 0 }]
    );
}

#[test]
fn a_directory_is_its_files_in_order_at_any_depth() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("sub/deep")).unwrap();
    fs::create_dir(dir.path().join(".hidden")).unwrap();
    for name in ["b", "a", "sub/deep/c", "sub.x", ".writing", ".hidden/d"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    std::os::unix::fs::symlink(dir.path(), dir.path().join("sub/loop")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("a"), dir.path().join("z")).unwrap();
    assert_eq!(names(&Files::new(dir.path())), ["a", "b", "sub.x", "sub/deep/c", "z"]);
}

#[test]
fn new_files_are_found_when_followed_and_only_then() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("b"), "").unwrap();
    let (bounded, followed) = (Files::new(dir.path()), Files::new(dir.path()).follow(true));
    assert_eq!((names(&bounded), names(&followed)), (vec!["b".into()], vec!["b".into()]));
    fs::write(dir.path().join("a"), "").unwrap();
    assert_eq!(names(&bounded), ["b"]);
    assert_eq!(names(&followed), ["a", "b"]);
}

#[test]
fn what_is_not_there_is_named() {
    let error = Files::new("/no/such/place").discover().unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains("/no/such/place"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "").unwrap();
    let mut reader = Files::new(dir.path()).open(Arc::new(|| {})).unwrap();
    let error = reader.assign(crate::ids::Inlet(1), "b", 5).unwrap_err();
    assert_eq!(error.kind(), Kind::SourceChanged);
    assert!(error.message().contains("removed, wanted offset 5"), "{error}");
}
