//! What every exactly-once [`Writer`] must do, as a test that writers of every connector run. Knows none of them.

use super::resume::digest;
use super::{Identity, LaneTick, Progress, Row, Writer};
use crate::error::Kind;
use crate::hash::{SHARDS, chain};
use crate::ids::{Generation, Lane, Nonce, Tick};
use std::collections::BTreeMap;

/// The other side of a sink under test: empty when it is made, and there for as long as it lives.
pub trait Target {
    /// A new writer of it, as a starting process makes one. Dropping a writer stands for the death of its process.
    fn writer(&self) -> Box<dyn Writer>;

    /// What a careful reader sees now: the values of all committed rows, those of a lane in their order.
    fn committed(&self) -> Vec<Vec<u8>>;
}

/// Runs every case, each on a new target with 3 lanes.
///
/// # Panics
/// If the writer breaks the contract; the message names the case.
pub fn check(mut new_target: impl FnMut() -> Box<dyn Target>) {
    for (name, case) in CASES {
        let target = new_target();
        case(&Case { name, target: &*target });
    }
    for seed in 0..4 {
        let target = new_target();
        random_crashes(&Case { name: "random crashes", target: &*target }, seed);
    }
}

type Run = fn(&Case<'_>);

const CASES: &[(&str, Run)] = &[
    ("progress is what was written", progress_is_what_was_written),
    ("lanes are apart", lanes_are_apart),
    ("a repeated tick is not written again", repeats_are_held),
    ("a tick without rows moves progress", empty_ticks_move_progress),
    ("a zombie writes nothing", zombies_write_nothing),
    ("a zombie does not get its lanes back", zombies_stay_out),
    ("other rows are nondeterministic", other_rows_are_refused),
    ("a fence may be repeated", fences_repeat),
];

const LANES: u16 = 3;

struct Case<'a> {
    name: &'static str,
    target: &'a dyn Target,
}

/// The identity of a generation.
fn identity(generation: u64) -> Identity {
    Identity {
        job: "contract".into(),
        program: "program-1".into(),
        generation: Generation(generation),
        nonce: Nonce(generation * 1_000_003),
    }
}

/// A tick whose rows are told apart from all others by lane, tick and number.
fn tick(lane: u16, tick: Tick, rows: usize) -> LaneTick {
    let rows = (0..rows).map(|number| {
        let value = format!("{{\"lane\":{lane},\"tick\":{tick},\"row\":{number}}}");
        let shard = u16::try_from(number).unwrap_or(0) % SHARDS;
        Row { shard, key: Some(format!("{lane}").into()), diff: 1, value: Some(value.into()) }
    });
    LaneTick {
        lane: Lane(lane),
        tick,
        rows: rows.collect(),
        next_offsets: BTreeMap::from([("in".into(), BTreeMap::from([("0".into(), tick * 10)]))]),
        watermarks: BTreeMap::from([("in".into(), 1_000 * tick.cast_signed())]),
    }
}

impl Case<'_> {
    fn fenced(&self, generation: u64) -> (Box<dyn Writer>, Vec<Option<Progress>>) {
        let mut writer = self.target.writer();
        let progress = writer.fence(&identity(generation), LANES);
        let progress = progress.unwrap_or_else(|error| panic!("{}: fence: {error}", self.name));
        assert_eq!(progress.len(), usize::from(LANES), "{}: one progress a lane", self.name);
        (writer, progress)
    }

    fn write(&self, writer: &mut dyn Writer, ticks: &[LaneTick]) {
        writer.write(ticks).unwrap_or_else(|error| panic!("{}: write: {error}", self.name));
    }

    /// Exactly the rows of these ticks are there, those of a lane in this order.
    fn expect(&self, ticks: &[LaneTick]) {
        let committed = self.target.committed();
        for lane in 0..LANES {
            let begin = format!("{{\"lane\":{lane},");
            let found = committed.iter().filter(|value| value.starts_with(begin.as_bytes()));
            let found: Vec<_> = found.map(|value| String::from_utf8_lossy(value)).collect();
            let rows = ticks.iter().filter(|tick| tick.lane.0 == lane).flat_map(|tick| &tick.rows);
            let rows = rows.filter_map(|row| row.value.as_deref());
            let expected: Vec<_> = rows.map(String::from_utf8_lossy).collect();
            assert_eq!(found, expected, "{}: lane {lane}", self.name);
        }
        let expected: usize = ticks.iter().map(|tick| tick.rows.len()).sum();
        assert_eq!(committed.len(), expected, "{}: rows in all", self.name);
    }

    fn refused(&self, result: crate::Result<()>, kind: Kind) {
        let error = result.expect_err(self.name);
        assert_eq!(error.kind(), kind, "{}: {error}", self.name);
    }
}

fn progress_is_what_was_written(case: &Case<'_>) {
    let (mut writer, progress) = case.fenced(1);
    assert_eq!(progress, [None, None, None], "{}: of a new sink", case.name);
    let ticks = [tick(0, 3, 2), tick(0, 4, 0), tick(0, 7, 5)];
    case.write(&mut *writer, &ticks);
    case.expect(&ticks);
    drop(writer);
    let (_, progress) = case.fenced(2);
    let found = progress[0].as_ref().unwrap_or_else(|| panic!("{}: no progress", case.name));
    assert_eq!((found.tick, found.rows, found.last), (7, 5, true), "{}", case.name);
    assert_eq!(found.digest, digest(0, &ticks[2].rows), "{}", case.name);
    assert_eq!(found.next_offsets, ticks[2].next_offsets, "{}", case.name);
    assert_eq!(found.watermarks, ticks[2].watermarks, "{}", case.name);
    let own = identity(1);
    assert_eq!((found.generation, found.nonce), (own.generation, own.nonce), "{}", case.name);
    assert_eq!((&found.job, &found.program), (&own.job, &own.program), "{}", case.name);
}

fn lanes_are_apart(case: &Case<'_>) {
    let (mut writer, _) = case.fenced(1);
    let first = [tick(0, 1, 2), tick(2, 1, 3), tick(0, 2, 1)];
    case.write(&mut *writer, &first);
    drop(writer);
    let (mut writer, progress) = case.fenced(2);
    let ticks: Vec<_> = progress.iter().map(|p| p.as_ref().map(|p| (p.lane.0, p.tick))).collect();
    assert_eq!(ticks, [Some((0, 2)), None, Some((2, 1))], "{}", case.name);
    let second = [tick(1, 1, 1), tick(1, 2, 1), tick(2, 2, 2)];
    case.write(&mut *writer, &second);
    case.expect(&[&first[..], &second].concat());
}

fn repeats_are_held(case: &Case<'_>) {
    let (mut writer, _) = case.fenced(1);
    let first = [tick(0, 1, 2), tick(0, 2, 3)];
    case.write(&mut *writer, &first);
    drop(writer);
    let (mut writer, _) = case.fenced(2);
    let all = [tick(0, 1, 2), tick(0, 2, 3), tick(0, 3, 1)];
    case.write(&mut *writer, &all);
    case.expect(&all);
    case.write(&mut *writer, &all[1..]);
    case.expect(&all);
}

fn empty_ticks_move_progress(case: &Case<'_>) {
    let (mut writer, _) = case.fenced(1);
    case.write(&mut *writer, &[tick(0, 1, 0), tick(0, 2, 0)]);
    drop(writer);
    let (mut writer, progress) = case.fenced(2);
    let found: Vec<_> = progress.iter().flatten().map(|p| (p.tick, p.rows, p.last)).collect();
    assert_eq!(found, [(2, 0, true)], "{}", case.name);
    case.write(&mut *writer, &[tick(0, 3, 1)]);
    case.write(&mut *writer, &[tick(0, 4, 0)]);
    drop(writer);
    let (_, progress) = case.fenced(3);
    assert_eq!(progress[0].as_ref().map(|p| p.tick), Some(4), "{}", case.name);
    case.expect(&[tick(0, 3, 1)]);
}

fn zombies_write_nothing(case: &Case<'_>) {
    let (mut old, _) = case.fenced(1);
    case.write(&mut *old, &[tick(0, 1, 2)]);
    let (mut new, progress) = case.fenced(2);
    assert_eq!(progress[0].as_ref().map(|p| p.tick), Some(1), "{}", case.name);
    case.refused(old.write(&[tick(0, 2, 2)]), Kind::Fenced);
    case.expect(&[tick(0, 1, 2)]);
    case.write(&mut *new, &[tick(0, 2, 3)]);
    case.expect(&[tick(0, 1, 2), tick(0, 2, 3)]);
}

fn zombies_stay_out(case: &Case<'_>) {
    let (mut old, _) = case.fenced(1);
    let (mut new, _) = case.fenced(2);
    case.refused(old.fence(&identity(1), LANES).map(drop), Kind::Fenced);
    case.refused(case.target.writer().fence(&identity(1), LANES).map(drop), Kind::Fenced);
    case.write(&mut *new, &[tick(1, 1, 1)]);
    case.expect(&[tick(1, 1, 1)]);
}

fn other_rows_are_refused(case: &Case<'_>) {
    let (mut writer, _) = case.fenced(1);
    case.write(&mut *writer, &[tick(0, 1, 2)]);
    drop(writer);
    let mut other = tick(0, 1, 2);
    other.rows[1].value = Some(b"{\"lane\":0,\"other\":true}"[..].into());
    for wrong in [other, tick(0, 1, 1), tick(0, 1, 3)] {
        let (mut writer, _) = case.fenced(2);
        case.refused(writer.write(&[wrong, tick(0, 2, 1)]), Kind::Nondeterministic);
        case.expect(&[tick(0, 1, 2)]);
    }
}

fn fences_repeat(case: &Case<'_>) {
    let (mut writer, _) = case.fenced(1);
    case.write(&mut *writer, &[tick(0, 1, 1)]);
    let progress = writer.fence(&identity(1), LANES);
    let progress = progress.unwrap_or_else(|error| panic!("{}: fence: {error}", case.name));
    assert_eq!(progress[0].as_ref().map(|p| p.tick), Some(1), "{}", case.name);
    case.write(&mut *writer, &[tick(0, 2, 1)]);
    case.expect(&[tick(0, 1, 1), tick(0, 2, 1)]);
}

/// Ticks in groups of any size, and writers that die between writes: each group of a new generation begins at any tick that is held.
fn random_crashes(case: &Case<'_>, seed: u64) {
    let mut drawn = 0_u64;
    let mut draw = |below: u64| {
        drawn += 1;
        chain(seed, &drawn.to_le_bytes()) % below
    };
    let sizes: Vec<usize> = (0..40).map(|_| usize::try_from(draw(4)).unwrap_or(0)).collect();
    let all: Vec<_> = (1..).zip(&sizes).map(|(number, rows)| tick(0, number, *rows)).collect();
    let (mut generation, mut next) = (1, 0);
    let (mut writer, _) = case.fenced(generation);
    while next < all.len() {
        let to = all.len().min(next + 1 + usize::try_from(draw(5)).unwrap_or(0));
        case.write(&mut *writer, &all[next..to]);
        next = to;
        if draw(3) == 0 {
            drop(writer);
            generation += 1;
            let (again, progress) = case.fenced(generation);
            let held = progress[0].as_ref().map(|p| usize::try_from(p.tick).unwrap_or(0));
            assert_eq!(held, Some(next), "{}, seed {seed}", case.name);
            writer = again;
            next -= usize::try_from(draw(3)).unwrap_or(0).min(next);
        }
    }
    case.expect(&all);
}
