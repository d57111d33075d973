//! Bytes that were written once are read for ever: golden bytes of the writers, and a store of format version 1 that was
//! written by them and is committed beside this file.

use super::world::facts;
use crate::ids::{Generation, Inlet};
use crate::state::manifest::{InletState, KeptState, Manifest, name};
use crate::state::restore::Snapshot;
use crate::state::segment::{Header, SegmentRef, SegmentWriter, Tombstones};
use crate::state::store::Store;
use crate::ticks::record::{Activity, InletDecl};
use std::path::Path;

/// Everything that a store of version 1 can hold: two segments over each other, several blocks, removals of both kinds.
fn objects() -> Vec<(String, Vec<u8>)> {
    let header = |first_tick, last_tick| Header {
        uid: "visits".to_string(),
        schema: serde_json::json!({"key": "u64", "value": "String"}),
        fingerprint: 0x0123_4567_89ab_cdef,
        generation: Generation(2),
        first_tick,
        last_tick,
    };
    let mut old = SegmentWriter::new(header(3, 5), 64).unwrap();
    for key in 0..12_u64 {
        let value = format!("old value of {key}");
        old.push(&key.to_be_bytes(), 3 + key % 3, Some(value.as_bytes())).unwrap();
    }
    let mut new = SegmentWriter::new(header(6, 300), 64).unwrap();
    new.push(&1_u64.to_be_bytes(), 300, Some(b"new value of 1")).unwrap();
    new.push(&2_u64.to_be_bytes(), 7, None).unwrap();
    let removed: Tombstones = [([0, 0, 0, 0, 0, 0, 0, 5].to_vec(), 6)].into();
    let finished = [old.finish(&Tombstones::new()).unwrap(), new.finish(&removed).unwrap()];

    let mut objects = Vec::new();
    let mut segments = Vec::new();
    for (run, (finished, ticks)) in (1..).zip(finished.into_iter().zip([(3, 5), (6, 300)])) {
        let named = SegmentRef {
            name: crate::state::segment::name(Generation(2), ticks.1, run, 0),
            bytes: finished.bytes.len() as u64,
            index_crc: finished.index_crc,
            puts: finished.puts,
            removes: finished.removes,
            tombstones: finished.tombstones,
            first_tick: ticks.0,
            last_tick: ticks.1,
            run,
        };
        objects.push((named.name.clone(), finished.bytes));
        segments.push(named);
    }
    let mut facts = facts(2, 300);
    facts.savepoint = Some("before-upgrade".to_string());
    facts.watermarks.insert("clicks".to_string(), -5);
    let inlet = InletDecl {
        inlet: Inlet(0),
        source: "clicks".to_string(),
        partition: "3".to_string(),
        start: 10,
        identity: None,
    };
    facts.inlets.push(InletState {
        decl: inlet,
        next: 1 << 40,
        event_time_max: Some(i64::MIN),
        activity: Activity::Idle,
    });
    let visits = KeptState {
        uid: "visits".to_string(),
        schema: serde_json::json!({"key": "u64", "value": "String"}),
        fingerprint: 0x0123_4567_89ab_cdef,
        segments,
    };
    let manifest = Manifest { facts, kept: vec![visits] };
    objects.push((name(Generation(2), 300), manifest.encode().unwrap()));
    objects
}

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/state/tests/fixture-v1")
}

#[test]
fn writers_write_the_golden_bytes() {
    for (name, bytes) in objects() {
        let path = directory().join(&name);
        if std::env::var_os("TIDEMARK_WRITE_FIXTURE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        let golden = std::fs::read(&path).unwrap();
        assert!(golden == bytes, "{name} differs: a new format needs a new version and fixture");
    }
}

#[test]
fn a_store_of_version_1_is_read() {
    let store = Store::open(directory().to_str().unwrap()).unwrap();
    let snapshot = Snapshot::load(&store, "manifest/2-300").unwrap();
    let facts = &snapshot.manifest().facts;
    assert_eq!(facts.savepoint.as_deref(), Some("before-upgrade"));
    assert_eq!(facts.watermarks["clicks"], -5);
    assert_eq!((facts.inlets[0].next, facts.inlets[0].event_time_max), (1 << 40, Some(i64::MIN)));
    assert_eq!(snapshot.manifest().kept("visits").unwrap().schema["value"], "String");
    let mut rows = Vec::new();
    for share in 0..3 {
        for row in snapshot.rows("visits", share, 3).unwrap() {
            let (key, value) = row.unwrap();
            let key = u64::from_be_bytes(key.try_into().unwrap());
            rows.push((key, String::from_utf8(value).unwrap()));
        }
    }
    let old = |key| (key, format!("old value of {key}"));
    let mut expected: Vec<(u64, String)> = [0, 1, 3, 4, 6, 7, 8, 9, 10, 11].map(old).into();
    expected[1].1 = "new value of 1".to_string();
    assert_eq!(rows, expected);
}
