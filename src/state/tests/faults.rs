//! A store that fails, and a process that dies between two writes.

use super::world::{World, facts, small};
use crate::error::Kind;
use crate::state::faults::Faults;
use crate::state::persister::Event;
use crate::state::restore::Snapshot;
use crate::state::store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn rows(store: &Store, manifest: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let rows = Snapshot::load(store, manifest).unwrap().rows("a", 0, 1).unwrap();
    rows.map(Result::unwrap).collect()
}

fn fill(world: &mut World, tick: u64) {
    for key in 0..30_u8 {
        world.buffers[0].put(0, tick, |k| k.push(key), |v| v.extend([tick as u8; 30]));
    }
}

#[test]
fn snapshots_are_right_over_a_failing_store() {
    for seed in 0..5 {
        let store = Store::in_memory().unwrap();
        let faulty = store.with_faults(Arc::new(Faults::seeded(seed, 30)));
        let mut world = World::start(&faulty, small(1), &["a"], 1, None);
        for tick in 1..=4 {
            fill(&mut world, tick);
            let manifest = world.snapshot(tick).unwrap();
            let read = rows(&store, &manifest);
            assert_eq!(read.len(), 30);
            assert!(read.values().all(|v| *v == [tick as u8; 30]), "seed {seed}, tick {tick}");
        }
    }
}

/// Waits until the persister has met the dead store.
fn stuck(world: &World) {
    loop {
        if let Event::Retrying(error) = world.events.recv().unwrap() {
            assert_eq!(error.kind(), Kind::Retry);
            return;
        }
    }
}

#[test]
fn a_crash_at_any_write_leaves_the_older_snapshot_whole_and_no_newer_manifest() {
    let mut crashed_between = 0;
    for writes in 0..100 {
        let store = Store::in_memory().unwrap();
        let mut world = World::start(&store, small(1), &["a"], 1, None);
        fill(&mut world, 1);
        let first = world.snapshot(1).unwrap();
        drop(world);
        let before = store.list("").unwrap().len();

        let mut settings = small(2);
        settings.compaction = false;
        let dying = store.with_faults(Arc::new(Faults::crash_after(writes)));
        let base = Snapshot::load(&store, &first).unwrap();
        let mut world = World::start(&dying, settings, &["a"], 1, Some(base));
        fill(&mut world, 2);
        let handle = world.persister.handle();
        handle.expect(2);
        world.hand_over(0);
        handle.finished(0, 2);
        handle.facts(facts(2, 2));
        let written = loop {
            match world.events.recv().unwrap() {
                Event::Written { manifest, .. } => break Some(manifest),
                Event::Retrying(_) => break None,
                Event::Failed(error) => panic!("{error}"),
                Event::Merged { .. } | Event::Part(_) => {}
            }
        };
        drop(world);
        assert!(rows(&store, &first).values().all(|v| *v == [1; 30]));
        assert!(store.list("").unwrap().len() >= before, "nothing is deleted");
        if let Some(manifest) = written {
            assert!(rows(&store, &manifest).values().all(|v| *v == [2; 30]));
            assert!(crashed_between > 2, "segments without a manifest were seen");
            return;
        }
        assert_eq!(store.get("manifest/2-2").unwrap(), None, "the manifest is the last write");
        let orphans = store.list("segment").unwrap();
        crashed_between += u32::from(orphans.iter().any(|o| o.name.starts_with("segment/2-")));

        // The next generation goes on from the older snapshot as if nothing had been.
        let base = Snapshot::load(&store, &first).unwrap();
        let mut next = World::start(&store, small(3), &["a"], 1, Some(base));
        fill(&mut next, 2);
        let manifest = next.snapshot(2).unwrap();
        assert!(rows(&store, &manifest).values().all(|v| *v == [2; 30]));
    }
    panic!("100 writes were not enough for a snapshot");
}

#[test]
fn a_store_that_stands_still_holds_the_worker_up_and_bounds_memory() {
    let store = Store::in_memory().unwrap();
    let faults = Arc::new(Faults::crash_after(0));
    let dead = store.with_faults(Arc::clone(&faults));
    let settings = small(1);
    let bound = settings.queue_bytes_max as u64;
    let mut world = World::start(&dead, settings, &["a"], 1, None);
    let handle = world.persister.handle();
    let worker = {
        let handle = handle.clone();
        let mut buffer = std::mem::take(&mut world.buffers[0]);
        std::thread::spawn(move || {
            handle.expect(1);
            let mut memory = Vec::new();
            for i in 0..200_u16 {
                buffer.put(0, 1, |k| k.extend(i.to_be_bytes()), |v| v.extend([1; 200]));
                memory = handle.hand_over(buffer.take(memory));
            }
            handle.finished(0, 1);
            handle.facts(facts(1, 1));
        })
    };
    // Each retry is an event, so this looks again and again without waiting for a time.
    while handle.counters().waiting.load(Ordering::Relaxed) == 0 {
        stuck(&world);
    }
    assert!(handle.counters().queued_bytes.load(Ordering::Relaxed) <= bound);
    assert!(!worker.is_finished());
    faults.heal();
    let manifest = world.written(1).unwrap();
    worker.join().unwrap();
    assert!(handle.counters().waits.load(Ordering::Relaxed) > 0);
    assert_eq!(rows(&store, &manifest).len(), 200);
}

#[test]
fn a_persister_that_ends_lets_waiting_workers_go() {
    let dead = Store::in_memory().unwrap().with_faults(Arc::new(Faults::crash_after(0)));
    let mut world = World::start(&dead, small(1), &["a"], 1, None);
    let handle = world.persister.handle();
    let worker = {
        let handle = handle.clone();
        let mut buffer = std::mem::take(&mut world.buffers[0]);
        std::thread::spawn(move || {
            for i in 0..200_u16 {
                buffer.put(0, 1, |k| k.extend(i.to_be_bytes()), |v| v.extend([1; 200]));
                handle.hand_over(buffer.take(Vec::new()));
            }
        })
    };
    while handle.counters().waiting.load(Ordering::Relaxed) == 0 {
        stuck(&world);
    }
    handle.close();
    worker.join().unwrap();
    assert!(world.events.iter().all(|event| matches!(event, Event::Retrying(_))));
}
