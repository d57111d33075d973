#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::error::Kind;
use crate::state::tests::world::{World, facts, kept, small};

fn spawn(kept: Vec<Kept>) -> Result<Persister> {
    let store = Store::in_memory().unwrap();
    Persister::spawn(store, small(1), kept, 1, None, Box::new(|_| {}))
}

#[test]
fn a_uid_is_there_once() {
    assert_eq!(spawn(kept(&["a", "a"])).unwrap_err().kind(), Kind::Config);
    assert!(spawn(kept(&["a", "b"])).is_ok());
}

#[test]
fn a_snapshot_waits_for_every_worker_and_for_the_facts() {
    let store = Store::in_memory().unwrap();
    let mut world = World::start(&store, small(1), &["a"], 2, None);
    let handle = world.persister.handle();
    handle.expect(1);
    world.buffers[0].put(0, 1, |k| k.push(1), |v| v.push(1));
    world.hand_over(0);
    handle.finished(0, 1);
    handle.finished(0, 1);
    handle.facts(facts(1, 1));
    handle.expect(2);
    world.buffers[1].put(0, 1, |k| k.push(2), |v| v.push(1));
    world.hand_over(1);
    handle.finished(1, 2);
    handle.facts(facts(1, 2));
    handle.finished(1, 1);
    let first = world.written(1).unwrap();
    handle.finished(0, 2);
    world.written(2).unwrap();
    let rows = Snapshot::load(&store, &first).unwrap().rows("a", 0, 1).unwrap();
    assert_eq!(rows.count(), 2, "worker 1's row came after worker 0 and the facts were there");
}

#[test]
fn a_snapshot_announced_too_late_is_an_error_and_not_a_wrong_snapshot() {
    let store = Store::in_memory().unwrap();
    let mut world = World::start(&store, small(1), &["a"], 1, None);
    world.buffers[0].put(0, 6, |k| k.push(1), |v| v.push(1));
    world.hand_over(0);
    let error = world.snapshot(5).unwrap_err();
    assert!(error.kind() == Kind::Internal && error.message().contains("tick 5"), "{error}");
    assert!(store.list("manifest").unwrap().is_empty());
}

#[test]
fn a_uid_with_another_schema_begins_empty_and_a_removed_one_is_gone() {
    let store = Store::in_memory().unwrap();
    let mut world = World::start(&store, small(1), &["a", "b", "c"], 1, None);
    for uid in 0..3 {
        world.buffers[0].put(uid, 1, |k| k.push(1), |v| v.push(1));
    }
    let first = world.snapshot(1).unwrap();
    drop(world);
    let mut uids = kept(&["c", "b"]);
    uids[1].fingerprint += 1;
    let base = Snapshot::load(&store, &first).unwrap();
    let (sender, events) = std::sync::mpsc::channel();
    let tell = Box::new(move |event| {
        let _ = sender.send(event);
    });
    let persister = Persister::spawn(store.clone(), small(2), uids, 1, Some(base), tell).unwrap();
    let handle = persister.handle();
    handle.expect(2);
    handle.finished(0, 2);
    handle.facts(facts(2, 2));
    let Event::Written { manifest, .. } = events.recv().unwrap() else { panic!("not written") };
    let snapshot = Snapshot::load(&store, &manifest).unwrap();
    let count = |uid| snapshot.rows(uid, 0, 1).unwrap().count();
    assert_eq!((count("a"), count("b"), count("c")), (0, 0, 1));
}

#[test]
fn what_no_counted_snapshot_names_is_held() {
    let store = Store::in_memory().unwrap();
    let mut settings = small(1);
    settings.compaction = false;
    let mut world = World::start(&store, settings, &["a"], 1, None);
    world.buffers[0].put(0, 1, |k| k.push(1), |v| v.push(1));
    let first = world.snapshot(1).unwrap();
    let second = world.snapshot(2).unwrap();
    let handle = world.persister.handle();
    handle.counted(1);
    assert!(handle.held().contains(&first) && handle.held().contains(&second));
    handle.counted(2);
    let held = handle.held();
    assert!(!held.contains(&first) && held.contains(&second), "the log has the first");
    let snapshot = Snapshot::load(&store, &second).unwrap();
    assert!(snapshot.manifest().segments().all(|s| held.contains(s)), "the next one builds on it");
}

#[test]
fn a_snapshot_of_two_processes_waits_for_both_and_holds_the_rows_of_both() {
    let store = Store::in_memory().unwrap();
    let whole = Settings { role: Role::Whole { others: 1 }, ..small(1) };
    let part = Settings { role: Role::Part { process: 1 }, ..small(1) };
    let mut first = World::start(&store, whole, &["a", "b"], 1, None);
    let mut second = World::start(&store, part, &["a", "b"], 1, None);
    first.buffers[0].put(0, 1, |k| k.push(1), |v| v.push(1));
    second.buffers[0].put(0, 1, |k| k.push(2), |v| v.push(2));
    // So much that some of it is written before the snapshot is due.
    for row in 0..100_u8 {
        second.buffers[0].put(1, 1, |k| k.push(row), |v| v.extend([row; 40]));
        second.hand_over(0);
    }
    first.request(1);
    second.request(1);
    let part = loop {
        match second.events.recv().unwrap() {
            Event::Part(part) => break part,
            other => {
                assert!(!matches!(other, Event::Written { .. } | Event::Failed(_)), "{other:?}")
            }
        }
    };
    assert_eq!((part.tick, part.process, part.rows), (1, 1, 101));
    assert!(first.events.try_recv().is_err(), "it waits for the other process");
    let json = serde_json::to_string(&part).unwrap();
    first.persister.handle().part(serde_json::from_str(&json).unwrap());
    let manifest = first.written(1).unwrap();
    let snapshot = Snapshot::load(&store, &manifest).unwrap();
    snapshot.verify(0..0, 1).unwrap();
    let count = |uid| snapshot.rows(uid, 0, 1).unwrap().map(Result::unwrap).count();
    assert_eq!((count("a"), count("b")), (2, 100));
    let held = first.persister.handle().held();
    assert!(part.segments.iter().all(|(_, segment)| held.contains(&segment.name)));
}
