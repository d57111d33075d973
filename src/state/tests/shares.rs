//! Processes that share a snapshot.

use super::world::{World, small};
use crate::error::Kind;
use crate::ids::Generation;
use crate::state::persister::Settings;
use crate::state::restore::Snapshot;
use crate::state::store::Store;
use std::collections::BTreeMap;

const KEYS: u16 = 4_000;
const BLOCK: usize = 1_000;

/// One uid of some hundred blocks in one segment.
fn store() -> (Store, String) {
    let store = Store::in_memory().unwrap();
    let settings = Settings { block_bytes: BLOCK, ..Settings::new(Generation(1)) };
    let mut world = World::start(&store, settings, &["a"], 1, None);
    for key in 0..KEYS {
        let key = key.to_be_bytes();
        world.buffers[0].put(0, 1, |k| k.extend(key), |v| v.extend([key[1]; 40]));
    }
    let manifest = world.snapshot(1).unwrap();
    (store, manifest)
}

/// What a process of `workers` workers does at a start, as number `process` of `processes`: bytes read and the rows.
fn start(
    store: &Store,
    manifest: &str,
    (process, processes, workers): (usize, usize, usize),
    rows: &mut BTreeMap<Vec<u8>, Vec<u8>>,
) -> u64 {
    let snapshot = Snapshot::load(store, manifest).unwrap();
    let (own, of) = (process * workers..(process + 1) * workers, processes * workers);
    snapshot.verify(own.clone(), of).unwrap();
    let verified = snapshot.bytes_read();
    for share in own {
        rows.extend(snapshot.rows("a", share, of).unwrap().map(Result::unwrap));
    }
    assert_eq!(snapshot.bytes_read(), verified, "what was verified is not read again");
    verified
}

/// Each block is read by one process only, but for those on a border between two.
#[test]
fn all_of_them_together_read_each_block_once() {
    let (store, manifest) = store();
    // Header, index and tombstones, which each process needs.
    let open = {
        let snapshot = Snapshot::load(&store, &manifest).unwrap();
        snapshot.verify(0..0, 1).unwrap();
        snapshot.bytes_read()
    };
    let mut expected = BTreeMap::new();
    let once = start(&store, &manifest, (0, 1, 1), &mut expected) - open;
    assert_eq!(expected.len(), usize::from(KEYS));
    assert!(once > 100 * BLOCK as u64, "{once} bytes of blocks");
    for processes in 2..=4 {
        for workers in 1..=2 {
            let mut rows = BTreeMap::new();
            let read =
                |process| start(&store, &manifest, (process, processes, workers), &mut rows) - open;
            let read: u64 = (0..processes).map(read).sum();
            let borders = (processes - 1) * 2 * BLOCK;
            assert!(rows == expected, "{processes} x {workers}: other rows");
            assert!(
                (once..=once + borders as u64).contains(&read),
                "{processes} x {workers}: {read} bytes of blocks instead of {once}"
            );
        }
    }
}

/// Whatever is damaged, one of the processes finds it.
#[test]
fn all_of_them_together_verify_every_block() {
    let (store, manifest) = {
        let store = Store::in_memory().unwrap();
        let mut world = World::start(&store, small(1), &["a", "b"], 1, None);
        for tick in 1..=3 {
            for key in 0..40_u8 {
                let uid = u16::from(key % 2);
                world.buffers[0].put(uid, tick, |k| k.extend([key, 1]), |v| v.extend([key; 20]));
            }
        }
        let manifest = world.snapshot(3).unwrap();
        (store, manifest)
    };
    let segments: Vec<String> = {
        let snapshot = Snapshot::load(&store, &manifest).unwrap();
        snapshot.manifest().segments().map(str::to_owned).collect()
    };
    assert!(segments.len() > 2, "{segments:?}");
    for name in &segments {
        let whole = store.get(name).unwrap().unwrap();
        for byte in (0..whole.len()).step_by(37) {
            let mut harmed = whole.to_vec();
            harmed[byte] ^= 1;
            store.put(name, harmed).unwrap();
            let verify = |process| {
                Snapshot::load(&store, &manifest).unwrap().verify(process..process + 1, 3)
            };
            let found = (0..3).filter_map(|process| verify(process).err());
            let found: Vec<_> = found.filter(|error| error.kind() == Kind::Corrupt).collect();
            assert!(!found.is_empty(), "{name} at byte {byte}");
            assert!(found.iter().all(|error| error.message().contains(name.as_str())), "{found:?}");
        }
        store.put(name, whole).unwrap();
    }
}
