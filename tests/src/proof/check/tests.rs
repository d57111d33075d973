#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use tidemark_oracle::{Generator, Random};

const PARTITIONS: usize = 4;

fn rules() -> Rules {
    Rules { size: 200_000, lag: 600_000, lateness: 100_000, top: 3 }
}

/// What a right engine would write: the oracle's own changes, tick by tick.
struct Run {
    facts: BTreeMap<u64, Facts>,
    outputs: BTreeMap<Output, Vec<Change>>,
}

fn output_of(row: &Row) -> Output {
    match row {
        Row::Live { .. } => Output::Live,
        Row::Closed { .. } => Output::Counts,
        Row::Late { .. } => Output::Late,
        Row::Joined { .. } => Output::Joined,
        Row::Top { .. } => Output::Top,
        Row::Component { .. } => Output::Components,
    }
}

fn run() -> Run {
    let (generator, mut random) = (Generator::new(5, 4), Random::new(9));
    let mut oracle = Oracle::new(rules(), PARTITIONS);
    let mut facts = BTreeMap::new();
    let mut outputs: BTreeMap<Output, Vec<Change>> = BTreeMap::new();
    let mut components = BTreeMap::new();
    let mut write = |tick, row: Row, diff: i64| {
        let change = Change { tick, row, diff: diff.signum() };
        let copies = usize::try_from(diff.abs()).unwrap();
        let changes = outputs.entry(output_of(&change.row)).or_default();
        changes.extend(std::iter::repeat_n(change, copies));
    };
    for tick in 1..=80 {
        let watermark = oracle.watermark_limit();
        for partition in 0..PARTITIONS {
            for _ in 0..random.below(40) {
                let event = generator.event(partition as u64, oracle.next(partition));
                oracle.take(partition, event);
            }
        }
        let mut changes: Vec<_> = oracle.settle(watermark).into_iter().collect();
        changes.sort_by_key(|(_, diff)| *diff);
        changes.into_iter().for_each(|(row, diff)| write(tick, row, diff));
        let before = std::mem::replace(&mut components, oracle.components());
        for (&node, &label) in before.iter().filter(|(n, l)| components.get(n) != Some(l)) {
            write(tick, Row::Component { node, label }, -1);
        }
        for (&node, &label) in components.iter().filter(|(n, l)| before.get(n) != Some(l)) {
            write(tick, Row::Component { node, label }, 1);
        }
        let offsets = (0..PARTITIONS).map(|partition| oracle.next(partition)).collect();
        facts.insert(tick, Facts { offsets, watermark, generation: 1 });
    }
    Run { facts, outputs }
}

fn compare_all(run: &Run) -> Result<Compared> {
    let generator = Generator::new(5, 4);
    let ticks = run.facts.keys().copied().collect();
    let event = |partition, offset| generator.event(partition, offset);
    compare(rules(), event, &run.facts, &run.outputs, &ticks)
}

#[test]
fn a_right_run_is_right_and_everything_occurs_in_it() {
    let run = run();
    let compared = compare_all(&run).unwrap();
    assert_eq!((compared.ticks, compared.component_ticks), (80, 80));
    assert!(
        compared.closed > 100 && compared.late > 0 && compared.retractions > 1_000,
        "{compared}"
    );
    assert_eq!(run.outputs.keys().copied().collect::<Vec<_>>().len(), Output::ALL.len());
}

#[test]
fn facts_of_some_ticks_are_enough() {
    let mut run = run();
    run.facts.retain(|tick, _| tick % 3 == 2);
    assert_eq!(compare_all(&run).unwrap().ticks, 27);
    run.facts.retain(|tick, _| *tick < 70);
    assert!(compare_all(&run).unwrap_err().0.contains("without any progress"));
}

#[test]
fn whatever_is_lost_twice_late_or_early_is_found_in_every_topic() {
    let right = run();
    for output in Output::ALL {
        let middle = right.outputs[&output].len() / 2;
        let broken = |breaking: &dyn Fn(&mut Vec<Change>)| {
            let mut outputs = right.outputs.clone();
            breaking(outputs.get_mut(&output).unwrap());
            outputs.values_mut().for_each(|changes| changes.sort_by_key(|change| change.tick));
            compare_all(&Run { facts: right.facts.clone(), outputs })
        };
        broken(&|_| ()).unwrap();
        broken(&|changes| drop(changes.remove(middle))).unwrap_err();
        broken(&|changes| changes[middle].tick += 1).unwrap_err();
        broken(&|changes| changes[middle].tick -= 1).unwrap_err();
        // A component that is written twice is found by `changes`, before.
        if output != Output::Components {
            broken(&|changes| changes.push(changes[middle].clone())).unwrap_err();
        }
    }
}

#[test]
fn wrong_progress_is_found() {
    let mut early = run();
    early.facts.get_mut(&40).unwrap().offsets[2] += 1;
    compare_all(&early).unwrap_err();
    let mut ahead = run();
    *ahead.facts.get_mut(&40).unwrap().watermark.as_mut().unwrap() += 10_000_000;
    assert!(compare_all(&ahead).unwrap_err().0.contains("beyond"));
    let mut behind = run();
    behind.facts.get_mut(&80).unwrap().watermark = behind.facts[&40].watermark;
    compare_all(&behind).unwrap_err();
}

fn record(partition: i32, offset: i64, tick: &str, value: &str) -> Record {
    let (topic, key, timestamp) = ("t".to_owned(), None, None);
    let headers = vec![(TICK_HEADER.to_owned(), tick.into())];
    Record { topic, partition, offset, key, value: Some(value.into()), headers, timestamp }
}

#[test]
fn the_order_within_a_partition_and_key_is_watched() {
    let row = |label: i32, diff: &str| format!(r#"{{"key":7,"value":{label},"diff":{diff}}}"#);
    let read = |records: &[(&str, i32, &str)]| {
        let records: Vec<_> = records
            .iter()
            .enumerate()
            .map(|(offset, (tick, label, diff))| record(0, offset as i64, tick, &row(*label, diff)))
            .collect();
        changes(Output::Components, &records)
    };
    assert_eq!(read(&[("1", 5, "1"), ("2", 5, "-1"), ("2", 3, "1")]).unwrap().len(), 3);
    for (wrong, what) in [
        (&[("1", 5, "1"), ("2", 5, "1")][..], "twice"),
        (&[("1", 5, "1"), ("2", 3, "1"), ("2", 5, "-1")], "insertion before retraction"),
        (&[("1", 5, "1"), ("2", 4, "-1")], "retraction of another row"),
        (&[("1", 5, "-1")], "retraction of nothing"),
        (&[("2", 5, "1"), ("1", 5, "-1")], "ticks go back"),
        (&[("x", 5, "1")], "no tick"),
    ] {
        assert!(read(wrong).is_err(), "{what}");
    }
    let two = [record(0, 0, "9", &row(1, "1")), record(1, 0, "2", &row(1, "-1"))];
    assert_eq!(changes(Output::Components, &two[..1]).unwrap()[0].tick, 9);
    assert!(changes(Output::Components, &two[1..]).is_err());
}
