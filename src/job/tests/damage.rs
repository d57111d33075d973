//! Any damage to the newest snapshot leads to an older one, or to a refusal that names the object.

use crate::error::Kind;
use crate::flow::Flow;
use crate::flow::endpoint::kafka;
use crate::ids::Tick;
use crate::operators::aggregate::{count, sum};
use crate::state::restore::Snapshot;
use crate::state::segment::BLOCK_BYTES;
use crate::testing::Job;
use bytes::Bytes;
use std::collections::BTreeMap;

fn counts(flow: &Flow<'_>) {
    let numbers = flow.source("numbers", kafka::topic("numbers").json::<u64>());
    let counts = numbers.key_by(|n| n % 10).aggregate("counts", (count(), sum(|n: &u64| *n)));
    flow.serve("counts", &counts);
    let last = numbers.upsert("last", |n| n % 7);
    flow.serve("last", &last);
}

/// A job with this many snapshots, each after ten more numbers, and three more ticks.
fn job(snapshots: u64) -> Job {
    let mut job = Job::new(counts);
    for at in 0..snapshots {
        job.push("numbers", at * 10..at * 10 + 10);
        job.snapshot();
    }
    for at in 100..103_u64 {
        job.push("numbers", [at]).tick();
    }
    job
}

/// The manifests in the store, by tick, and what each names.
fn snapshots(job: &Job) -> BTreeMap<Tick, (String, Vec<String>)> {
    let manifests = job.store().list("manifest").unwrap().into_iter();
    let found = manifests.filter_map(|object| {
        let snapshot = match Snapshot::load(job.store(), &object.name) {
            Ok(snapshot) => snapshot,
            // Garbage, deleted since it was listed.
            Err(_) if job.store().get(&object.name).unwrap().is_none() => return None,
            Err(error) => panic!("{error}"),
        };
        let named = snapshot.manifest().segments().map(str::to_owned).collect();
        Some((snapshot.tick(), (object.name, named)))
    });
    found.collect()
}

/// What is verified before the start is what the workers are given: nothing is read a second time.
#[test]
fn a_start_reads_its_snapshot_once() {
    let mut job = Job::new(|flow| {
        let numbers = flow.source("numbers", kafka::topic("numbers").json::<u64>());
        flow.serve("all", &numbers.upsert("all", |n| *n));
    });
    job.push("numbers", 0..40_000_u64).snapshot();
    let before = job.table("all");
    let (_, (manifest, _)) = snapshots(&job).pop_last().unwrap();
    let once = Snapshot::load(job.store(), &manifest).unwrap();
    once.verify(0..1, 1).unwrap();
    assert!(once.bytes_read() > 10 * BLOCK_BYTES as u64, "{} bytes", once.bytes_read());
    for workers in 1..=3 {
        job.restart(workers);
        assert_eq!(job.table("all"), before);
        assert_eq!(job.restored_bytes(), once.bytes_read(), "{workers} worker(s)");
    }
}

#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip { byte: usize, bit: u8 },
    Cut { to: usize },
    Remove,
}

fn harm(job: &Job, name: &str, whole: &Bytes, harm: Harm) {
    let store = job.store();
    match harm {
        Harm::Flip { byte, bit } => {
            let mut bytes = whole.to_vec();
            bytes[byte] ^= 1 << bit;
            store.put(name, bytes).unwrap();
        }
        Harm::Cut { to } => store.put(name, whole.slice(..to)).unwrap(),
        Harm::Remove => store.delete(name).unwrap(),
    }
}

/// Numbers that look random, the same for the same seed.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Harms of an object: its removal, and of each kind `each` at places of the seed's choice.
fn harms(drawn: &mut Drawn, len: usize, each: usize) -> Vec<Harm> {
    let mut harms = vec![Harm::Remove, Harm::Cut { to: 0 }, Harm::Cut { to: len - 1 }];
    for _ in 0..each {
        let byte = drawn.below(len);
        harms.push(Harm::Flip { byte, bit: u8::try_from(drawn.below(8)).unwrap() });
        harms.push(Harm::Cut { to: byte });
    }
    harms
}

#[test]
fn any_damage_to_the_newest_snapshot_leads_to_the_newest_that_is_whole() {
    let mut drawn = Drawn(7);
    let mut job = job(3);
    let expected = (job.table("counts"), job.table("last"));
    job.crash();
    let known = snapshots(&job);
    let (newest, (manifest, segments)) = known.last_key_value().unwrap();
    let mut tried = 0;
    for name in std::iter::once(manifest).chain(segments) {
        let whole = job.store().get(name).unwrap().unwrap();
        // What does not name the object is whole.
        let unharmed = known.iter().rev().find(|(_, (m, s))| m != name && !s.contains(name));
        let expected_start = unharmed.map_or(0, |(tick, _)| *tick);
        assert!(expected_start < *newest);
        for case in harms(&mut drawn, whole.len(), 6) {
            harm(&job, name, &whole, case);
            assert_eq!(job.restored(), expected_start, "{name} {case:?}");
            assert_eq!((job.table("counts"), job.table("last")), expected, "{name} {case:?}");
            job.crash();
            tried += 1;
            harm_undone(&job, name, &whole);
        }
    }
    assert!(tried >= 30, "the manifest and a segment of each uid at least: {tried}");
    assert_eq!(job.restored(), *newest, "all is whole again");
}

fn harm_undone(job: &Job, name: &str, whole: &Bytes) {
    job.store().put(name, whole.clone()).unwrap();
}

#[test]
fn a_job_goes_on_from_an_older_snapshot_and_its_next_ones_are_whole() {
    let mut job = job(3);
    job.crash();
    let known = snapshots(&job);
    let (_, (manifest, _)) = known.last_key_value().unwrap();
    job.store().delete(manifest).unwrap();
    for at in 200..206_u64 {
        job.push("numbers", [at]);
        job.snapshot();
    }
    let expected = (job.table("counts"), job.table("last"));
    job.restart(2);
    assert_eq!((job.table("counts"), job.table("last")), expected);
    assert!(job.restored() > *known.last_key_value().unwrap().0);
}

#[test]
fn without_a_whole_snapshot_the_start_is_refused_by_name() {
    // Enough snapshots that the first are given up and the log is cut behind them.
    let mut job = job(3);
    while job.can_follow(1) {
        job.push("numbers", [1_u64]);
        job.snapshot();
    }
    job.crash();
    let known = snapshots(&job);
    for (manifest, _) in known.values() {
        let whole = job.store().get(manifest).unwrap().unwrap();
        harm(&job, manifest, &whole, Harm::Flip { byte: whole.len() / 2, bit: 0 });
    }
    let error = job.try_start().unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt, "{error}");
    let text = error.to_string();
    assert!(known.values().any(|(manifest, _)| text.contains(manifest.as_str())), "{text}");
}
