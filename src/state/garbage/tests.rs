#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::error::Kind;
use crate::state::restore::Snapshot;
use crate::state::tests::world::{World, small};

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_string()).collect()
}

fn objects(names: &[&str]) -> Vec<Object> {
    names.iter().map(|name| Object { name: (*name).to_string(), bytes: 1 }).collect()
}

#[test]
fn what_may_go() {
    let roots = Roots {
        generation: Generation(5),
        newest: 100,
        manifests: set(&["manifest/3-40", "manifest/5-100"]),
        held: set(&["segment/5-90-held-0", "segment/4-80-held-0"]),
    };
    let reachable = set(&["segment/2-10-root-0", "segment/5-95-root-0"]);
    let cases = [
        (
            "segment/4-300-x-0",
            true,
            "an older generation's, whatever its tick (S5: not a newer one's)",
        ),
        ("manifest/4-300", true, "a manifest that never counted"),
        ("segment/5-99-x-0", true, "one's own below its newest snapshot"),
        ("segment/5-100-x-0", false, "one's own upload, not yet named (S13)"),
        ("segment/5-101-x-0", false, "one's own upload, not yet named (S13)"),
        ("segment/6-1-x-0", false, "a newer generation's (S5, S13)"),
        ("manifest/6-1", false, "a newer generation's"),
        ("manifest/3-40", false, "a root"),
        ("manifest/5-99", true, "no root any more"),
        ("segment/2-10-root-0", false, "a root needs it"),
        ("segment/5-95-root-0", false, "a root needs it"),
        ("segment/5-90-held-0", false, "a merge wrote it for the next manifest (S12)"),
        ("segment/4-80-held-0", false, "the lineage (S12)"),
        ("segment/odd", false, "a name that is not ours"),
        ("generation/4", false, "claims are for ever (O4)"),
        ("log/00000001", false, "the log is another's affair"),
    ];
    for (name, goes, why) in cases {
        let listed = objects(&[name]);
        assert_eq!(!doomed(&listed, &roots, &reachable).is_empty(), goes, "{name}: {why}");
    }
    let all = objects(&["segment/1-1-x-0", "manifest/1-1", "segment/1-2-x-0", "manifest/1-2"]);
    let order: Vec<&str> =
        doomed(&all, &roots, &reachable).iter().map(|object| object.name.as_str()).collect();
    assert_eq!(order, ["manifest/1-1", "manifest/1-2", "segment/1-1-x-0", "segment/1-2-x-0"]);
}

fn put(world: &mut World, tick: Tick, key: u8) {
    world.buffers[0].put(0, tick, |k| k.push(key), |v| v.extend([key; 40]));
}

#[test]
fn a_collection_keeps_the_roots_and_a_reader_of_the_rest_is_told_to_begin_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().to_str().unwrap()).unwrap();
    let mut old = World::start(&store, small(1), &["a"], 1, None);
    let mut manifests = Vec::new();
    for tick in 1..=6 {
        for key in 0..20 {
            put(&mut old, tick, key);
        }
        manifests.push(old.snapshot(tick).unwrap());
    }
    // Merged into one run, so that the first snapshot's segments are nobody's any more.
    let (tick, settled) = old.settle(7);
    drop(old);
    std::fs::write(directory.path().join("segment/1-9-0-0#1"), "half").unwrap();
    std::fs::write(directory.path().join("segment/2-9-0-0#1"), "half, perhaps being written")
        .unwrap();
    let base = Snapshot::load(&store, &settled).unwrap();
    let stale = Snapshot::load(&store, &manifests[0]).unwrap();
    let mut new = World::start(&store, small(2), &["a"], 1, Some(base));
    put(&mut new, tick + 1, 99);
    let newest = new.snapshot(tick + 1).unwrap();

    let listed = listing(&store).unwrap();
    let roots = Roots {
        generation: Generation(2),
        newest: tick + 1,
        manifests: set(&[&newest, &settled]),
        held: new.persister.handle().held(),
    };
    let collected = collect(&store, &listed, &roots).unwrap();
    assert!(collected.manifests == tick - 1 && collected.segments > 0, "{collected:?}");
    for name in [&newest, &settled] {
        Snapshot::load(&store, name).unwrap().verify(0..1, 1).unwrap();
    }
    let unfinished: Vec<String> =
        store.unfinished("segment").unwrap().into_iter().map(|u| u.object).collect();
    assert_eq!(unfinished, ["segment/2-9-0-0"]);
    let gone = Snapshot::load(&store, &manifests[0]).unwrap_err();
    assert!(gone.kind() == Kind::Corrupt && gone.message().contains("begin again"), "{gone}");
    let gone = stale.rows("a", 0, 1).err().unwrap();
    assert!(
        gone.kind() == Kind::Corrupt && gone.message().contains("begin again at a newer snapshot")
    );
    assert_eq!(collect(&store, &listed, &roots).unwrap().manifests, tick - 1, "again is harmless");

    // The job goes on from what the collection left.
    put(&mut new, tick + 2, 100);
    let last = new.snapshot(tick + 2).unwrap();
    let rows = Snapshot::load(&store, &last).unwrap().rows("a", 0, 1).unwrap();
    assert_eq!(rows.map(Result::unwrap).count(), 22);
}

#[test]
fn nothing_is_deleted_while_a_root_cannot_be_read() {
    let store = Store::in_memory().unwrap();
    let mut world = World::start(&store, small(1), &["a"], 1, None);
    put(&mut world, 1, 1);
    let first = world.snapshot(1).unwrap();
    put(&mut world, 2, 1);
    let second = world.snapshot(2).unwrap();
    drop(world);
    store.put(&second, "{}").unwrap();
    let listed = listing(&store).unwrap();
    let roots = Roots {
        generation: Generation(2),
        newest: 9,
        manifests: set(&[&second]),
        ..Roots::default()
    };
    assert_eq!(collect(&store, &listed, &roots).unwrap_err().kind(), Kind::Corrupt);
    Snapshot::load(&store, &first).unwrap().verify(0..1, 1).unwrap();
}
