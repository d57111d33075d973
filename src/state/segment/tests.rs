#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::error::Kind;
use crate::state::store::Store;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

fn header() -> Header {
    Header {
        uid: "visits".to_string(),
        schema: serde_json::json!({"key": "u64", "value": {"count": "i64"}}),
        fingerprint: 0x0123_4567_89ab_cdef,
        generation: Generation(3),
        first_tick: 10,
        last_tick: 20,
    }
}

fn stored(store: &Store, finished: Finished) -> SegmentRef {
    let named = crate::state::compaction::named(&header(), &finished, 20, 1, 0);
    store.put(&named.name, finished.bytes).unwrap();
    named
}

fn open(store: &Store, named: &SegmentRef) -> Result<Segment> {
    Segment::open(store, named, Arc::new(AtomicU64::new(0)))
}

#[test]
fn entries_and_tombstones_are_read_as_they_were_written() {
    let store = Store::in_memory().unwrap();
    // Blocks of one entry and long keys, so that the index is larger than what is read of the end at first.
    let mut writer = SegmentWriter::new(header(), 1).unwrap();
    let key = |i: u32| [&i.to_be_bytes()[..], &[7; 100]].concat();
    for i in 0..1_000 {
        let value = i.to_string();
        writer
            .push(&key(i), 10 + u64::from(i % 11), (i % 3 > 0).then_some(value.as_bytes()))
            .unwrap();
    }
    let tombstones: Tombstones = [(b"p".to_vec(), 10), (b"pq".to_vec(), 20)].into();
    let named = stored(&store, writer.finish(&tombstones).unwrap());
    assert_eq!((named.puts, named.removes, named.tombstones), (666, 334, 2));

    let segment = open(&store, &named).unwrap();
    assert_eq!(segment.header(), &header());
    assert_eq!(segment.tombstones(), &tombstones);
    assert_eq!(segment.block_count(), 1_000);
    assert_eq!(segment.last_key(), key(999));
    let entries = segment.read(0..1_000).unwrap();
    for (i, entry) in (0..).zip(&entries) {
        let value = (i % 3 > 0).then(|| i.to_string().into());
        assert_eq!(entry, &Entry { key: key(i).into(), tick: 10 + u64::from(i % 11), value });
    }
    assert_eq!(segment.read(5..7).unwrap(), entries[5..7]);
    assert_eq!(segment.read(7..7).unwrap(), []);
}

#[test]
fn a_writer_refuses_what_could_not_be_read() {
    let mut writer = SegmentWriter::new(header(), BLOCK_BYTES).unwrap();
    writer.push(b"b", 10, None).unwrap();
    for (key, tick) in [(&b"b"[..], 10), (b"a", 10), (b"c", 9), (b"c", 21)] {
        assert_eq!(writer.push(key, tick, None).unwrap_err().kind(), Kind::Internal);
    }
    assert!(writer.finish(&[(vec![], 21)].into()).is_err());
}

#[test]
fn another_whole_segment_under_the_name_is_noticed() {
    let store = Store::in_memory().unwrap();
    let one = |value: &[u8]| {
        let mut writer = SegmentWriter::new(header(), BLOCK_BYTES).unwrap();
        writer.push(b"key", 10, Some(value)).unwrap();
        writer.finish(&Tombstones::new()).unwrap()
    };
    let named = stored(&store, one(b"a"));
    assert!(open(&store, &named).is_ok());
    store.put(&named.name, one(b"b").bytes).unwrap();
    let error = open(&store, &named).unwrap_err();
    assert!(error.kind() == Kind::Corrupt && error.message().contains(&named.name), "{error}");
}

#[test]
fn another_format_version_is_refused_by_number() {
    let store = Store::in_memory().unwrap();
    let writer = SegmentWriter::new(header(), BLOCK_BYTES).unwrap();
    let mut finished = writer.finish(&Tombstones::new()).unwrap();
    let at = finished.bytes.len() - 16;
    finished.bytes[at] = 2;
    let end = finished.bytes.len() - 4;
    let sum = crc(&finished.bytes[end + 4 - FOOTER..end]);
    finished.bytes[end..].copy_from_slice(&sum.to_le_bytes());
    let error = open(&store, &stored(&store, finished)).unwrap_err();
    assert!(error.message().contains("format version 2"), "{error}");
}

#[test]
fn names_say_generation_and_tick() {
    let cases = [
        (name(Generation(3), 77, 0xab, 2), Some((Generation(3), 77))),
        (crate::state::manifest::name(Generation(4), 8), Some((Generation(4), 8))),
        ("segment/x-1".to_string(), None),
        ("segment/3".to_string(), None),
        ("generation/3".to_string(), None),
    ];
    for (name, expected) in cases {
        assert_eq!(parse_name(&name), expected, "{name}");
    }
}
