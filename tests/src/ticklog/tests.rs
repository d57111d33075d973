#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;

fn log(records: &[&str]) -> Vec<u8> {
    let mut bytes = [MAGIC, &[0; HEADER_BYTES - 8]].concat();
    for record in records {
        bytes.extend(u32::try_from(record.len()).unwrap().to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(record.as_bytes());
    }
    bytes
}

#[test]
fn only_what_counts_counts() {
    let mut bytes = log(&[
        r#"{"type":"open","generation":1,"nonce":"0a"}"#,
        r#"{"type":"tick","generation":1,"tick":1,"ranges":[{"inlet":0,"to":7,"records":6},{"inlet":1,"to":2,"records":2}]}"#,
        r#"{"type":"snapshot","generation":1,"tick":1}"#,
        r#"{"type":"open","generation":2}"#,
        r#"{"type":"tick","generation":1,"tick":2,"ranges":[{"inlet":0,"to":99,"records":90}]}"#,
        r#"{"type":"snapshot","generation":1,"tick":2}"#,
        r#"{"type":"tick","generation":2,"tick":2,"ranges":[{"inlet":0,"to":9,"records":1}]}"#,
        r#"{"type":"tick","generation":2,"tick":4}"#,
    ]);
    // A torn tail, which a crash leaves.
    bytes.extend([200, 0, 0, 0, 1, 2, 3, 4, b'{']);
    let counted = Counted::read(&bytes).unwrap();
    assert_eq!((counted.generation, counted.tick), (2, 2));
    assert_eq!(counted.snapshots, BTreeSet::from([(1, 1)]));
    assert_eq!(counted.ticks.keys().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(counted.ticks[&2].next, BTreeMap::from([(0, 9), (1, 2)]));
    assert_eq!((counted.records_between(1, 2), counted.records_between(2, 2)), (Some(9), Some(1)));
    assert_eq!((counted.records_between(2, 3), counted.records_between(3, 2)), (None, Some(0)));
    assert_eq!(counted.records_until(1), 9);
    assert_eq!((counted.records_until(0), counted.records_until(5)), (0, 11));
    assert!(Counted::read(b"something else").is_err());
    assert!(Counted::read(&log(&["no json"])).is_err());
}

#[test]
fn a_cut_log_begins_with_its_state() {
    let counted = Counted::read(&log(&[
        r#"{"type":"state","generation":3,"tick":10,"open":{"generation":3},"snapshots":[{"generation":2,"tick":8}]}"#,
        r#"{"type":"tick","generation":3,"tick":11}"#,
    ]));
    let counted = counted.unwrap();
    assert_eq!((counted.generation, counted.tick), (3, 11));
    assert_eq!(counted.snapshots, BTreeSet::from([(2, 8)]));
    assert_eq!(counted.records_between(10, 11), None);
    let earlier = Counted::read(&log(&[
        r#"{"type":"open","generation":1}"#,
        r#"{"type":"tick","generation":1,"tick":10,"ranges":[{"inlet":0,"to":7,"records":6}]}"#,
    ]));
    assert_eq!(counted.after(&earlier.unwrap()).records_between(10, 11), Some(6));
}

#[test]
fn segments_without_a_counted_snapshot_are_found() {
    let state = tempfile::tempdir().unwrap();
    let counted =
        Counted { generation: 2, snapshots: BTreeSet::from([(2, 8)]), ..Counted::default() };
    assert_eq!(counted.uncounted_segments(state.path()).unwrap(), 0);
    let folder = state.path().join("segment");
    std::fs::create_dir(&folder).unwrap();
    for name in ["1-5-00aa-0", "2-8-00bb-0", "2-9-00cc-0", "2-9-00cc-1", "2-10-00dd-0#1"] {
        std::fs::write(folder.join(name), "").unwrap();
    }
    assert_eq!(counted.uncounted_segments(state.path()).unwrap(), 2);
    std::fs::write(folder.join("other"), "").unwrap();
    assert!(counted.uncounted_segments(state.path()).is_err());
}
