#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use expect_test::{Expect, expect};

fn inlet() -> InletDecl {
    let (source, partition) = ("clicks".into(), "3".into());
    InletDecl { inlet: Inlet(0), source, partition, start: 17, identity: None }
}

fn left_out() -> SkipRecord {
    SkipRecord {
        generation: Generation(3),
        tick: Some(41),
        source: "clicks".into(),
        partition: "3".into(),
        offset: 18,
    }
}

fn given_up() -> DropRecord {
    DropRecord { generation: Generation(3), below: 40, savepoints: vec!["s".into()] }
}

/// One record of each type with every field in use: the examples of `doc/formats/tick-log.md`.
fn examples() -> Vec<(Record, Expect)> {
    let open = Open {
        generation: Generation(3),
        nonce: Nonce(0x1f),
        log_id: Nonce(u64::MAX),
        program: "visits-5a".into(),
        base: Some(40),
        dropped: BTreeMap::from([("hops".into(), 40)]),
        sinks: vec![
            SinkDecl {
                name: "visits".into(),
                lanes: 2,
                first_tick: 1,
                live: true,
                address: BTreeMap::from([("connector".into(), "kafka".into())]),
                image: Some(Image { tick: 41, less_written: true }),
            },
            SinkDecl {
                name: "old".into(),
                lanes: 1,
                first_tick: 7,
                live: false,
                address: BTreeMap::new(),
                image: None,
            },
        ],
    };
    let inlet = inlet();
    let snapshot = SnapshotRecord {
        generation: Generation(3),
        tick: 40,
        manifest: "manifest/3-40".into(),
        savepoint: Some("before-tuesday".into()),
    };
    let tick = TickRecord {
        generation: Generation(3),
        decision: Decision {
            tick: 41,
            wall: 1_700_000_000_000_000,
            watermarks: BTreeMap::from([("clicks".into(), -5)]),
            snapshot: true,
            inlets: vec![inlet.clone()],
            commands: vec![Command::Savepoint { name: "s".into(), id: "x1".into() }, Command::Stop],
        },
        ranges: vec![Range {
            inlet: Inlet(0),
            from: 17,
            to: 20,
            records: 3,
            checksum: u64::MAX - 1,
            event_time_max: Some(-7),
            rejected: 1,
            activity: Activity::Idle,
        }],
    };
    let state = StateRecord {
        generation: Generation(3),
        open: open.clone(),
        tick: 41,
        snapshots: vec![snapshot.clone()],
        inlets: vec![inlet],
        skips: vec![SkipRecord { tick: None, offset: 30, ..left_out() }],
    };
    vec![
        (
            Record::Open(open),
            expect![[
                r#"{"type":"open","generation":3,"nonce":"000000000000001f","log_id":"ffffffffffffffff","program":"visits-5a","base":40,"dropped":{"hops":40},"sinks":[{"name":"visits","lanes":2,"first_tick":1,"address":{"connector":"kafka"},"image":{"tick":41,"less_written":true}},{"name":"old","lanes":1,"first_tick":7,"live":false,"address":{}}]}"#
            ]],
        ),
        (
            Record::Tick(tick),
            expect![[
                r#"{"type":"tick","generation":3,"tick":41,"wall":1700000000000000,"watermarks":{"clicks":-5},"snapshot":true,"inlets":[{"inlet":0,"source":"clicks","partition":"3","start":17}],"commands":[{"command":"savepoint","name":"s","id":"x1"},{"command":"stop"}],"ranges":[{"inlet":0,"from":17,"to":20,"records":3,"checksum":18446744073709551614,"event_time_max":-7,"rejected":1,"activity":"idle"}]}"#
            ]],
        ),
        (
            Record::Snapshot(snapshot),
            expect![[
                r#"{"type":"snapshot","generation":3,"tick":40,"manifest":"manifest/3-40","savepoint":"before-tuesday"}"#
            ]],
        ),
        (
            Record::Drop(given_up()),
            expect![[r#"{"type":"drop","generation":3,"below":40,"savepoints":["s"]}"#]],
        ),
        (
            Record::Skip(left_out()),
            expect![[
                r#"{"type":"skip","generation":3,"tick":41,"source":"clicks","partition":"3","offset":18}"#
            ]],
        ),
        (
            Record::State(state),
            expect![[
                r#"{"type":"state","generation":3,"open":{"generation":3,"nonce":"000000000000001f","log_id":"ffffffffffffffff","program":"visits-5a","base":40,"dropped":{"hops":40},"sinks":[{"name":"visits","lanes":2,"first_tick":1,"address":{"connector":"kafka"},"image":{"tick":41,"less_written":true}},{"name":"old","lanes":1,"first_tick":7,"live":false,"address":{}}]},"tick":41,"snapshots":[{"generation":3,"tick":40,"manifest":"manifest/3-40","savepoint":"before-tuesday"}],"inlets":[{"inlet":0,"source":"clicks","partition":"3","start":17}],"skips":[{"generation":3,"source":"clicks","partition":"3","offset":30}]}"#
            ]],
        ),
    ]
}

#[test]
fn json_is_as_it_was_and_comes_back() {
    for (record, expected) in examples() {
        let json = record.to_json();
        expected.assert_eq(std::str::from_utf8(&json).unwrap());
        assert_eq!(Record::from_json(&json).unwrap(), record);
    }
}

#[test]
fn a_quiet_tick_is_small() {
    let decision = Decision {
        tick: 1,
        wall: 2,
        watermarks: BTreeMap::new(),
        snapshot: false,
        inlets: vec![],
        commands: vec![],
    };
    let record = Record::Tick(TickRecord { generation: Generation(1), decision, ranges: vec![] });
    let json = record.to_json();
    expect![[r#"{"type":"tick","generation":1,"tick":1,"wall":2}"#]]
        .assert_eq(std::str::from_utf8(&json).unwrap());
    assert_eq!(Record::from_json(&json).unwrap(), record);
}

#[test]
fn unknown_fields_are_ignored_and_absent_ones_have_defaults() {
    let json = br#"{"type":"tick","generation":1,"tick":5,"wall":9,"colour":"red",
        "ranges":[{"inlet":2,"from":1,"to":2,"records":1,"checksum":3}]}"#;
    let Record::Tick(tick) = Record::from_json(json).unwrap() else { panic!("a tick") };
    assert_eq!((tick.decision.tick, tick.ranges[0].activity), (5, Activity::Active));
}

#[test]
fn what_is_no_record_is_corrupt() {
    for json in [&b"{"[..], b"[]", b"{}", br#"{"type":"grow"}"#, br#"{"type":"drop"}"#, b"\xff"] {
        let error = Record::from_json(json).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Corrupt, "{error}");
    }
}

/// The description for other programs shows exactly what is written.
#[test]
fn the_document_has_these_examples() {
    let document = include_str!("../../../doc/formats/tick-log.md");
    for (record, _) in examples() {
        let json = String::from_utf8(record.to_json()).unwrap();
        assert!(document.contains(&format!("```json\n{json}\n```")), "{json}");
    }
    let first = crate::hash::chain_record(0, Some(b"k"), Some(b"v"));
    let both = crate::hash::chain_record(first, None, None);
    assert!(document.contains(&format!("have {both}.")), "{both}");
}
