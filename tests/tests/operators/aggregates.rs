//! Accumulators, each alone and as tuples.

use crate::machine::{Event, Read, Want, events, every_tick, view};
use std::collections::BTreeMap;
use tidemark::flow::{Flow, Rec};
use tidemark::operators::aggregate::{
    Aggregate, average, count, first, first_by, last, last_by, max, max_by, min, min_by, sum,
};
use tidemark::{EventTime, F64, Result};

/// The two greatest values: an accumulator of a user.
struct Best2;

impl Aggregate<Event> for Best2 {
    type State = Vec<i64>;
    type Out = Vec<i64>;

    fn zero(&self) -> Vec<i64> {
        Vec::new()
    }

    fn add(&self, state: &mut Vec<i64>, rec: &Rec<Event>) -> Result<()> {
        state.push(rec.row.value);
        state.sort_by(|a, b| b.cmp(a));
        state.truncate(2);
        Ok(())
    }

    fn finish(&self, state: &Vec<i64>) -> Vec<i64> {
        state.clone()
    }

    fn describe(&self) -> String {
        "best 2".to_owned()
    }
}

fn dataflow(flow: &Flow<'_>) {
    let by_key = events(flow).key_by(|e| e.key);
    let value = |e: &Event| e.value;
    let numbers = (count(), sum(value), min(value), max(value), average(value), Best2);
    flow.serve("numbers", &by_key.aggregate("numbers", numbers));
    // Records themselves, so that ties between them show.
    let whole = Event::clone;
    let ends = (
        first(whole),
        last(whole),
        first_by(|e: &Event| e.value / 10, whole),
        last_by(|e: &Event| e.value / 10, whole),
        min_by(|e: &Event| e.value / 10, whole),
        max_by(|e: &Event| e.value / 10, whole),
    );
    flow.serve("ends", &by_key.aggregate("ends", ends));
    flow.serve("alone", &by_key.aggregate("alone", count()));
    flow.serve("single", &by_key.aggregate("single", (max(value),)));
}

fn edge<K: Ord>(rows: &[&Read], greatest: bool, key: impl Fn(&Read) -> K) -> Event {
    let sorted = rows.iter().map(|read| (key(read), *read));
    let found = if greatest {
        sorted.max_by(|a, b| a.0.cmp(&b.0))
    } else {
        sorted.min_by(|a, b| a.0.cmp(&b.0))
    };
    found.unwrap().1.event.clone()
}

#[test]
fn accumulators() {
    every_tick(dataflow, 3, |seen| {
        let mut groups: BTreeMap<u64, Vec<&Read>> = BTreeMap::new();
        for read in &seen.records {
            groups.entry(read.event.key).or_default().push(read);
        }
        let numbers = groups.iter().map(|(key, rows)| {
            let mut values: Vec<i64> = rows.iter().map(|read| read.event.value).collect();
            values.sort_by(|a, b| b.cmp(a));
            let (n, sum): (u64, i64) = (values.len() as u64, values.iter().sum());
            let mean = F64::new(sum as f64 / n as f64);
            let best: Vec<i64> = values.iter().copied().take(2).collect();
            (*key, (n, i128::from(sum), values[values.len() - 1], values[0], mean, best))
        });
        let ends = groups.iter().map(|(key, rows)| {
            let tens = |read: &Read| read.event.value / 10;
            let at = |read: &Read| -> (EventTime, (u64, u64)) { (read.event.at, read.pos) };
            let before = |read: &Read| {
                let (partition, offset) = read.pos;
                (tens(read), -(partition as i64), -(offset as i64))
            };
            (
                *key,
                (
                    edge(rows, false, at),
                    edge(rows, true, at),
                    edge(rows, false, |read| (tens(read), read.pos)),
                    edge(rows, true, |read| (tens(read), read.pos)),
                    edge(rows, false, |read| (tens(read), read.pos)),
                    edge(rows, true, before),
                ),
            )
        });
        let single = groups
            .iter()
            .map(|(key, rows)| (*key, (rows.iter().map(|read| read.event.value).max().unwrap(),)));
        vec![
            Want::View("numbers", view(numbers)),
            Want::View("ends", view(ends)),
            Want::View("alone", view(groups.iter().map(|(key, rows)| (*key, rows.len())))),
            Want::View("single", view(single)),
        ]
    });
}
