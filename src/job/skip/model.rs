//! A model of when a record may be left out: three generations over one log and one sink, every interleaving of their steps tried, each of
//! which may also never take its next step (a crash) or take it late (a halt). One tick reads the record in question.
//!
//! The law: what the sink has of the tick is what every generation that gets through it computes. The mutants leave one thing of the step
//! out, and the search finds how the law breaks then.

use std::collections::{BTreeSet, VecDeque};

/// Which thing is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    /// Nothing: as it is built.
    None,
    /// The record is written before the lanes are fenced, so progress is not known.
    BeforeFence,
    /// Progress is not looked at.
    NoProgress,
    /// The skip stands in the open, and is withdrawn by ending when progress speaks against it.
    InOpen,
    /// An append is believed without looking whether it counts.
    Believed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Record {
    Open { generation: u8, skips: bool },
    Tick { generation: u8 },
    Skip { generation: u8 },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    #[default]
    Begin,
    Opened,
    /// All lanes are its own, and it knows whether the sink has the tick.
    Fenced {
        there: bool,
    },
    Ready,
    /// It has the tick's output.
    Through,
    Ended,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Generation {
    at: At,
    /// It leaves the record out.
    skips: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    log: Vec<Record>,
    /// Who may commit.
    fence: u8,
    /// What the sink has of the tick: whether the record is left out of it.
    sink: Option<bool>,
    generations: [Generation; 3],
    broken: bool,
}

/// What counts: the newest open, whether the tick is there, whether the record is left out.
fn counts(log: &[Record]) -> (u8, bool, bool) {
    log.iter().fold((0, false, false), |(newest, tick, skip), record| match *record {
        Record::Open { generation, skips } if generation > newest => {
            (generation, tick, skip || skips)
        }
        Record::Tick { generation } if generation == newest => (newest, true, skip),
        Record::Skip { generation } if generation == newest => (newest, tick, true),
        _ => (newest, tick, skip),
    })
}

/// The worlds after one step of generation `number`, counted from 1.
fn steps(world: &World, number: u8, mutant: Mutant) -> Vec<World> {
    let place = usize::from(number) - 1;
    let me = world.generations[place];
    let mut next = Vec::new();
    let mut go = |at: At, change: &dyn Fn(&mut World)| {
        let mut world = world.clone();
        world.generations[place].at = at;
        change(&mut world);
        next.push(world);
    };
    let skip = |world: &mut World| {
        world.log.push(Record::Skip { generation: number });
        if counts(&world.log).0 == number || mutant == Mutant::Believed {
            world.generations[place].skips = true;
        } else {
            world.generations[place].at = At::Ended;
        }
    };
    match me.at {
        At::Begin => {
            for skips in [false, true] {
                if skips && mutant != Mutant::InOpen {
                    continue;
                }
                go(At::Opened, &|world| {
                    world.log.push(Record::Open { generation: number, skips });
                    let (newest, _, skips) = counts(&world.log);
                    world.generations[place].skips = skips;
                    if newest != number {
                        world.generations[place].at = At::Ended;
                    }
                });
            }
        }
        At::Opened => {
            if mutant == Mutant::BeforeFence && !me.skips {
                go(At::Opened, &skip);
            }
            if world.fence < number {
                let there = world.sink.is_some();
                go(At::Fenced { there }, &|world| world.fence = number);
            } else {
                go(At::Ended, &|_| {});
            }
        }
        At::Fenced { there } => {
            let own = world.log.contains(&Record::Open { generation: number, skips: true });
            if own && there && mutant == Mutant::InOpen {
                go(At::Ended, &|_| {});
            } else {
                go(At::Ready, &|_| {});
            }
            let may = !there || mutant == Mutant::NoProgress;
            if may && !me.skips && !matches!(mutant, Mutant::BeforeFence | Mutant::InOpen) {
                go(At::Ready, &skip);
            }
        }
        At::Ready => go(At::Through, &|world| {
            let (newest, there, _) = counts(&world.log);
            if !there {
                world.log.push(Record::Tick { generation: number });
                if newest != number {
                    world.generations[place].at = At::Ended;
                }
            }
        }),
        At::Through => go(At::Ended, &|world| {
            // The sink takes nothing from whom it was taken away.
            if world.fence == number {
                world.broken = *world.sink.get_or_insert(me.skips) != me.skips;
            }
        }),
        At::Ended => {}
    }
    next
}

/// All worlds that can be, and one that breaks the law.
fn search(mutant: Mutant) -> (usize, Option<World>) {
    let mut seen = BTreeSet::from([World::default()]);
    let mut queue = VecDeque::from([World::default()]);
    while let Some(world) = queue.pop_front() {
        if world.broken {
            return (seen.len(), Some(world));
        }
        for next in (1..=3).flat_map(|number| steps(&world, number, mutant)) {
            if seen.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    (seen.len(), None)
}

#[test]
fn a_sink_has_what_every_generation_computes() {
    let (worlds, broken) = search(Mutant::None);
    assert_eq!(broken, None, "{broken:#?}");
    assert!(worlds > 2_000, "only {worlds} worlds were looked at");
}

#[test]
fn each_part_of_the_step_is_needed() {
    use Mutant::{BeforeFence, Believed, InOpen, NoProgress};
    for mutant in [BeforeFence, NoProgress, InOpen, Believed] {
        let (worlds, broken) = search(mutant);
        assert!(broken.is_some(), "{mutant:?} breaks nothing in {worlds} worlds");
    }
}
