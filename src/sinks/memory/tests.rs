#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::sinks::contract;

impl contract::Target for MemoryTarget {
    fn writer(&self) -> Box<dyn Writer> {
        Box::new(MemoryTarget::writer(self, "out"))
    }

    fn committed(&self) -> Vec<Vec<u8>> {
        self.values()
    }
}

struct Chunked(MemoryTarget, usize);

impl contract::Target for Chunked {
    fn writer(&self) -> Box<dyn Writer> {
        Box::new(self.0.writer("out").chunk_rows(self.1))
    }

    fn committed(&self) -> Vec<Vec<u8>> {
        self.0.values()
    }
}

#[test]
fn keeps_the_contract() {
    contract::check(|| Box::new(MemoryTarget::new()));
    for rows in [1, 2, 100] {
        contract::check(|| Box::new(Chunked(MemoryTarget::new(), rows)));
    }
}

fn identity(generation: u64) -> Identity {
    Identity {
        job: "job".into(),
        program: "program".into(),
        generation: Generation(generation),
        nonce: Nonce(generation),
    }
}

fn tick(tick: Tick, rows: u64) -> LaneTick {
    let rows = (0..rows).map(|number| {
        let value = Some(format!("{tick}.{number}").into());
        Row { shard: 0, key: None, diff: 1, value }
    });
    LaneTick {
        lane: Lane(0),
        tick,
        rows: rows.collect(),
        next_offsets: BTreeMap::new(),
        watermarks: BTreeMap::new(),
    }
}

fn fenced(target: &MemoryTarget) -> MemoryWriter {
    let mut writer = target.writer("out");
    writer.fence(&identity(1), 1).unwrap();
    writer
}

#[test]
fn faults_do_what_they_say() {
    let held = |target: &MemoryTarget| target.progress(Lane(0)).map(|progress| progress.tick);
    for (fault, kind, before, after) in [
        (Fault::Refused, Kind::Retry, None, None),
        (Fault::Lost, Kind::Undecided, None, None),
        (Fault::AnswerLost, Kind::Undecided, Some(1), Some(1)),
        (Fault::Delayed, Kind::Undecided, None, Some(1)),
    ] {
        let target = MemoryTarget::new();
        let mut writer = fenced(&target);
        target.fail_next([fault]);
        assert_eq!(writer.write(&[tick(1, 2)]).unwrap_err().kind(), kind, "{fault:?}");
        assert_eq!(held(&target), before, "{fault:?}");
        assert_eq!(writer.write(&[tick(1, 2)]).unwrap_err().kind(), Kind::Internal, "{fault:?}");
        let progress = writer.fence(&identity(1), 1).unwrap();
        assert_eq!(progress[0].as_ref().map(|progress| progress.tick), after, "{fault:?}");
        writer.write(&[tick(1, 2), tick(2, 1)]).unwrap();
        assert_eq!(target.values(), [b"1.0", b"1.1", b"2.0"], "{fault:?}");
    }
}

/// A caller that does as the contract says gets every row there once, whatever is lost, in whatever chunks.
#[test]
fn random_faults_and_chunks_lose_and_repeat_nothing() {
    let all: Vec<_> = (1..=60).map(|number| tick(number, number % 4)).collect();
    let expected: Vec<_> =
        all.iter().flat_map(|tick| &tick.rows).map(|row| row.value.clone().unwrap()).collect();
    for seed in 0..50 {
        let target = MemoryTarget::new();
        target.fail_randomly(seed, 400);
        let (mut next, mut turn) = (0, 0);
        while next < all.len() {
            turn += 1;
            // Each new writer cuts elsewhere: what is counted are rows, not chunks.
            let mut writer = target.writer("out").chunk_rows(1 + (seed as usize + turn) % 3);
            let Ok(progress) = writer.fence(&identity(turn as u64), 1) else {
                continue;
            };
            next = progress[0].as_ref().map_or(0, |p| p.tick as usize - usize::from(!p.last));
            while next < all.len() {
                let to = all.len().min(next + 3);
                if writer.write(&all[next..to]).is_err() {
                    break;
                }
                next = to;
            }
        }
        assert_eq!(target.values(), expected, "seed {seed}");
        assert!(turn > 3, "seed {seed} met no fault");
        assert!(target.committed(Lane(0)).iter().all(|tick| tick.progress.last), "seed {seed}");
    }
}

#[test]
fn what_healed_fails_no_more() {
    let target = MemoryTarget::new();
    target.fail_randomly(1, 1000);
    assert!(target.writer("out").fence(&identity(1), 1).is_err());
    target.fail_next([Fault::Lost]);
    target.heal();
    fenced(&target).write(&[tick(1, 1)]).unwrap();
    assert_eq!(target.commits(), 1);
}
