//! Random changes, snapshots, crashes and restores, in small segments, against maps.

use super::world::{World, facts, small};
use crate::state::changes::ChangeBuffer;
use crate::state::restore::Snapshot;
use crate::state::store::Store;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

const UIDS: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug)]
enum Op {
    Put(u16, Vec<u8>, Vec<u8>),
    Remove(u16, Vec<u8>),
    RemovePrefix(u16, Vec<u8>),
}

#[derive(Clone, Debug)]
enum Step {
    /// A tick with these changes.
    Tick(Vec<Op>),
    /// The same, with a snapshot at its end. Worker 0 runs ahead by one tick, whose changes are the second list.
    Snapshot(Vec<Op>, Vec<Op>),
    /// A new process goes on from the last snapshot, with so many workers.
    Crash(usize),
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0_u8..4, 1..4)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0_u16..2, key(), prop::collection::vec(any::<u8>(), 0..24)).prop_map(|(u, k, v)| Op::Put(u, k, v)),
        2 => (0_u16..2, key()).prop_map(|(u, k)| Op::Remove(u, k)),
        1 => (0_u16..2, prop::collection::vec(0_u8..4, 1..3)).prop_map(|(u, p)| Op::RemovePrefix(u, p)),
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 0..30)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => ops().prop_map(Step::Tick),
        4 => (ops(), ops()).prop_map(|(a, b)| Step::Snapshot(a, b)),
        1 => (1_usize..4).prop_map(Step::Crash),
    ]
}

/// Keys live on the worker of their first byte, as an exchange would have it.
fn apply(buffers: &mut [ChangeBuffer], oracle: &mut [Rows], tick: u64, op: &Op) {
    match op {
        Op::Put(uid, key, value) => {
            let worker = usize::from(key[0]) % buffers.len();
            buffers[worker].put(*uid, tick, |k| k.extend(key), |v| v.extend(value));
            oracle[usize::from(*uid)].insert(key.clone(), value.clone());
        }
        Op::Remove(uid, key) => {
            let worker = usize::from(key[0]) % buffers.len();
            buffers[worker].remove(*uid, tick, |k| k.extend(key));
            oracle[usize::from(*uid)].remove(key);
        }
        Op::RemovePrefix(uid, prefix) => {
            let worker = usize::from(prefix[0]) % buffers.len();
            buffers[worker].remove_prefix(*uid, tick, |k| k.extend(prefix));
            oracle[usize::from(*uid)].retain(|key, _| !key.starts_with(prefix));
        }
    }
}

fn read(snapshot: &Snapshot, uid: &str, of: usize) -> Rows {
    let mut rows = Rows::new();
    for share in 0..of {
        let mut last: Option<Vec<u8>> = None;
        for row in snapshot.rows(uid, share, of).unwrap() {
            let (key, value) = row.unwrap();
            assert!(last.as_ref().is_none_or(|last| *last < key), "shares ascend");
            last = Some(key.clone());
            assert!(rows.insert(key, value).is_none(), "no row is in two shares");
        }
    }
    rows
}

fn check(store: &Store, manifest: &str, oracle: &[Rows]) {
    for of in 1..5 {
        let snapshot = Snapshot::load(store, manifest).unwrap();
        for (uid, rows) in UIDS.iter().zip(oracle) {
            assert_eq!(&read(&snapshot, uid, of), rows, "{manifest} of {uid} in {of} shares");
        }
        let once = Snapshot::load(store, manifest).unwrap();
        once.verify(0..of, of).unwrap();
        assert_eq!(snapshot.bytes_read(), once.bytes_read(), "{of} shares read each block once");
        for (uid, rows) in UIDS.iter().zip(oracle) {
            assert_eq!(&read(&once, uid, of), rows, "{manifest} of {uid} from what is held");
        }
        assert!(!once.holds(), "what was given is not held any more");
        assert_eq!(snapshot.bytes_read(), once.bytes_read(), "what was verified is not read again");
        let gone = Snapshot::load(store, manifest).unwrap();
        gone.verify(0..of, of).unwrap();
        assert!(!gone.done(2));
        assert!(gone.holds() || oracle.iter().all(Rows::is_empty), "one of two is done");
        assert!(gone.done(2));
        assert!(!gone.holds(), "both are done");
    }
}

fn run(steps: &[Step]) {
    let store = Store::in_memory().unwrap();
    let mut generation = 1;
    let mut world = World::start(&store, small(1), &UIDS, 2, None);
    let mut oracle = vec![Rows::new(), Rows::new()];
    let mut saved: Option<(u64, String, Vec<Rows>)> = None;
    let mut tick = 0;
    for step in steps {
        tick += 1;
        match step {
            Step::Tick(ops) => {
                for (i, op) in ops.iter().enumerate() {
                    apply(&mut world.buffers, &mut oracle, tick, op);
                    if i % 7 == 6 {
                        world.hand_over(i % world.buffers.len());
                    }
                }
            }
            Step::Snapshot(ops, ahead) => {
                ops.iter().for_each(|op| apply(&mut world.buffers, &mut oracle, tick, op));
                let at = oracle.clone();
                let handle = world.persister.handle();
                handle.expect(tick);
                world.hand_over(0);
                // The next tick's changes come between those of this one, from a worker that is ahead.
                let mut next: Vec<ChangeBuffer> =
                    world.buffers.iter().map(|_| ChangeBuffer::new()).collect();
                ahead.iter().for_each(|op| apply(&mut next, &mut oracle, tick + 1, op));
                let early = next[0].take(Vec::new());
                handle.hand_over(early);
                for worker in 0..world.buffers.len() {
                    world.hand_over(worker);
                    handle.finished(worker, tick);
                }
                handle.facts(facts(generation, tick));
                for later in &mut next[1..] {
                    let changes = later.take(Vec::new());
                    handle.hand_over(changes);
                }
                let manifest = world.written(tick).unwrap();
                check(&store, &manifest, &at);
                saved = Some((tick, manifest, at));
                tick += 1;
            }
            Step::Crash(workers) => {
                drop(world);
                generation += 1;
                let base = saved.as_ref().map(|(_, name, _)| Snapshot::load(&store, name).unwrap());
                tick = saved.as_ref().map_or(0, |(tick, _, _)| *tick);
                oracle = saved.as_ref().map_or(vec![Rows::new(); 2], |(_, _, rows)| rows.clone());
                world = World::start(&store, small(generation), &UIDS, *workers, base);
            }
        }
    }
    let (_, manifest) = world.settle(tick + 1);
    check(&store, &manifest, &oracle);
    let snapshot = Snapshot::load(&store, &manifest).unwrap();
    for (kept, rows) in snapshot.manifest().kept.iter().zip(&oracle) {
        let entries: u64 = kept.segments.iter().map(|s| s.puts + s.removes).sum();
        assert!(kept.segments.iter().all(|s| s.tombstones == 0), "merged to the base: {kept:?}");
        assert!(
            entries as usize <= rows.len() * 11 / 10,
            "{entries} entries for {} rows",
            rows.len()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn every_snapshot_equals_the_oracle(steps in prop::collection::vec(step(), 1..14)) {
        run(&steps);
    }
}
