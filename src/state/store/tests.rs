#![expect(clippy::unwrap_used, reason = "tests")]

use super::local::local_path;
use super::*;

mod contract;

#[test]
fn only_local_directories_are_opened() {
    let cases = [
        ("state", Ok("state")),
        ("/var/lib/state", Ok("/var/lib/state")),
        ("file:///var/lib/state", Ok("/var/lib/state")),
        ("file://host/state", Err("host")),
        ("s3://bucket/state", Err("\"s3\"")),
        ("gs://bucket", Err("\"gs\"")),
        ("", Err("empty")),
    ];
    for (url, expected) in cases {
        match (local_path(url), expected) {
            (Ok(path), Ok(expected)) => assert_eq!(path, expected),
            (Err(e), Err(word)) => {
                assert_eq!(e.kind(), Kind::Config);
                assert!(e.message().contains(word) && e.message().contains("local"), "{e}");
            }
            (got, expected) => panic!("{url}: {got:?}, expected {expected:?}"),
        }
    }
    assert_eq!(Store::open("s3://bucket").unwrap_err().kind(), Kind::Config);
}

fn both() -> (tempfile::TempDir, Vec<Store>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/er");
    let local = Store::open(path.to_str().unwrap()).unwrap();
    (directory, vec![local, Store::in_memory().unwrap()])
}

#[test]
fn every_store_keeps_the_contract() {
    let (_directory, stores) = both();
    for store in stores {
        contract::keeps(&store);
    }
}

#[test]
fn calls_work_inside_another_runtime() {
    let store = Store::in_memory().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { store.put("a", "b").unwrap() });
    assert_eq!(store.get("a").unwrap().unwrap(), "b");
}

#[test]
fn did_not_happen_and_may_have_happened_are_told_apart() {
    let store = Store::in_memory().unwrap();
    let (mut before, mut after) = (0, 0);
    let faulty = store.with_faults(Arc::new(Faults::seeded(3, 40)));
    for i in 0..200 {
        let name = format!("a/{i}");
        match faulty.put_if_absent(&name, "x") {
            Ok(put) => assert_eq!(put, Put::Created),
            Err(e) if e.kind() == Kind::Retry => {
                before += 1;
                assert_eq!(store.get(&name).unwrap(), None, "it did not happen");
            }
            Err(e) => {
                after += 1;
                assert_eq!(e.kind(), Kind::Undecided);
                assert!(e.message().contains(&name), "{e}");
                assert_eq!(store.get(&name).unwrap().unwrap(), "x", "it did, in this fault");
            }
        }
    }
    assert!(before > 20 && after > 20, "{before} {after}");
    let lost = (0..200).filter_map(|_| faulty.get("a/1").err());
    assert!(lost.into_iter().all(|e| e.kind() == Kind::Retry), "a read changes nothing");
}

#[test]
fn half_written_files_are_no_objects_and_can_be_discarded() {
    let (directory, stores) = both();
    let store = &stores[0];
    store.put("segment/1-2-0-0", "whole").unwrap();
    let half = directory.path().join("deep/er/segment/1-3-0-0#1");
    std::fs::write(&half, "ha").unwrap();
    assert_eq!(store.list("segment").unwrap().len(), 1);
    let unfinished = store.unfinished("segment").unwrap();
    assert_eq!(
        unfinished.iter().map(|u| u.object.as_str()).collect::<Vec<_>>(),
        ["segment/1-3-0-0"]
    );
    store.discard(&unfinished[0]).unwrap();
    assert!(!half.exists());
    assert_eq!(store.unfinished("manifest").unwrap(), []);
    assert_eq!(stores[1].unfinished("segment").unwrap(), []);
}
