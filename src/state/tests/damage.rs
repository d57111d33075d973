//! Every byte of a small store is flipped, every length cut, every object removed: all is noticed and named.

use super::world::{World, small};
use crate::error::{Error, Kind, Result};
use crate::state::restore::Snapshot;
use crate::state::store::Store;

fn small_store() -> (Store, String) {
    let store = Store::in_memory().unwrap();
    let mut settings = small(1);
    settings.compaction = false;
    let mut world = World::start(&store, settings, &["a", "b"], 1, None);
    for tick in 1..=2 {
        for key in 0..6_u8 {
            world.buffers[0].put(0, tick, |k| k.extend([key, key]), |v| v.extend([key; 20]));
        }
        world.buffers[0].remove(1, tick, |k| k.push(1));
        world.buffers[0].remove_prefix(0, tick, |k| k.push(9));
        world.snapshot(tick).unwrap();
    }
    (store, "manifest/1-2".to_string())
}

fn read_all(store: &Store, manifest: &str) -> Result<usize> {
    let snapshot = Snapshot::load(store, manifest)?;
    snapshot.verify(0..1, 1)?;
    let mut rows = 0;
    for uid in ["a", "b"] {
        for row in snapshot.rows(uid, 0, 1)? {
            row?;
            rows += 1;
        }
    }
    Ok(rows)
}

fn assert_names(error: &Error, object: &str, what: &str) {
    assert_eq!(error.kind(), Kind::Corrupt, "{what}: {error}");
    assert!(error.message().contains(object), "{what}: {error}");
    assert!(error.message().contains("byte "), "{what}: {error}");
}

#[test]
fn every_flipped_byte_cut_and_missing_object_is_noticed_and_named() {
    let (store, manifest) = small_store();
    assert_eq!(read_all(&store, &manifest).unwrap(), 6);
    let objects: Vec<_> = store
        .list("")
        .unwrap()
        .into_iter()
        .filter(|object| object.name == manifest || object.name.starts_with("segment"))
        .collect();
    assert!(objects.len() > 4, "{objects:?}");
    let mut flipped = 0;
    for object in &objects {
        let name = &object.name;
        let whole = store.get(name).unwrap().unwrap();
        for at in 0..whole.len() {
            for bit in [0x01, 0x80] {
                let mut bytes = whole.to_vec();
                bytes[at] ^= bit;
                store.put(name, bytes).unwrap();
                let error = read_all(&store, &manifest).unwrap_err();
                assert_names(&error, name, &format!("byte {at} of {name} flipped"));
                flipped += 1;
            }
            store.put(name, whole.slice(..at)).unwrap();
            let error = read_all(&store, &manifest).unwrap_err();
            assert_names(&error, name, &format!("{name} cut at {at}"));
        }
        store.put(name, [&whole[..], b"x"].concat()).unwrap();
        assert_names(&read_all(&store, &manifest).unwrap_err(), name, "longer");
        store.delete(name).unwrap();
        let error = read_all(&store, &manifest).unwrap_err();
        assert_names(&error, name, "gone");
        assert!(error.message().contains("begin again at a newer snapshot"), "{error}");
        store.put(name, whole).unwrap();
    }
    assert!(flipped > 2_000, "{flipped}");
    assert_eq!(read_all(&store, &manifest).unwrap(), 6, "all is whole again");
}

#[test]
fn an_older_snapshot_is_whole_when_what_only_a_newer_one_needs_is_damaged() {
    let (store, manifest) = small_store();
    let older = Snapshot::load(&store, "manifest/1-1").unwrap();
    let newer = Snapshot::load(&store, &manifest).unwrap();
    let old: Vec<&str> = older.manifest().segments().collect();
    let only = newer.manifest().segments().find(|name| !old.contains(name)).unwrap();
    store.put(only, "not a segment").unwrap();
    assert_names(&newer.verify(0..1, 1).unwrap_err(), only, "damaged");
    older.verify(0..1, 1).unwrap();
}
