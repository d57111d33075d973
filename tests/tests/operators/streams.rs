//! Steps without state, and the two that keep rows: keep and upsert.

use crate::machine::{Event, Want, bag, events, every_tick, json, view};
use std::collections::BTreeMap;
use tidemark::flow::Flow;
use tidemark::flow::endpoint::kafka;

fn several(event: &Event) -> impl Iterator<Item = i64> + use<> {
    let value = event.value;
    (0..value.rem_euclid(3)).map(move |n| value * 10 + n)
}

fn stateless(flow: &Flow<'_>) {
    let events = events(flow);
    let doubled = events.map(|e| e.value * 2);
    let some = doubled.filter(|value| value % 3 == 0);
    flow.sink("some", &some, kafka::topic("some").json());
    let several = events.flat_map(several);
    flow.sink("several", &several, kafka::topic("several").json());
    flow.sink("both", &some.union(&several), kafka::topic("both").json());
}

#[test]
fn steps_without_state() {
    every_tick(stateless, 1, |seen| {
        let all = || seen.records.iter().map(|read| &read.event);
        let some: Vec<_> = all().map(|e| e.value * 2).filter(|v| v % 3 == 0).collect();
        let several: Vec<_> = all().flat_map(several).collect();
        let rows = |values: &[i64]| values.iter().map(json).collect::<Vec<_>>();
        vec![
            Want::Sink("both", rows(&[some.as_slice(), several.as_slice()].concat())),
            Want::Sink("some", rows(&some)),
            Want::Sink("several", rows(&several)),
        ]
    });
}

fn keeping(flow: &Flow<'_>) {
    let events = events(flow);
    flow.serve("kept", &events.map(|e| e.value.rem_euclid(7)).keep("kept"));
    flow.serve("newest", &events.upsert("newest", |e| e.key));
    let change = |e: &Event| (e.own(), (!e.gone).then_some(e.value));
    flow.serve("live", &events.upsert_map("live", change));
    // The same records by two ways: within a tick they arrive in another order than they stand in.
    let odd = events.filter(|e| e.value % 2 != 0);
    let both = odd.union(&events.filter(|e| e.value % 2 == 0));
    flow.serve("live2", &both.upsert_map("live2", change));
    // Two rows of a key at one position.
    let twice = events.flat_map(|e| [(e.own(), e.value), (e.own(), -e.value)]);
    flow.serve("twice", &twice.upsert_map("twice", |(key, value)| (*key, Some(*value))));
    let come_and_go = events.flat_map(|e| [(e.own(), Some(e.value)), (e.own(), None)]);
    flow.serve("stay", &come_and_go.upsert_map("stay", |row| *row));
}

#[test]
fn keep_and_upsert() {
    every_tick(keeping, 2, |seen| {
        let records = seen.by_position();
        let all = || records.iter().map(|read| &read.event);
        let newest: BTreeMap<_, _> = all().map(|e| (e.key, e.clone())).collect();
        let mut live = BTreeMap::new();
        for event in all() {
            match event.gone {
                true => live.remove(&event.own()),
                false => live.insert(event.own(), event.value),
            };
        }
        let twice: BTreeMap<_, _> = all().map(|e| (e.own(), e.value.abs())).collect();
        let stay: BTreeMap<_, _> = all().map(|e| (e.own(), e.value)).collect();
        vec![
            Want::View("kept", bag(all().map(|e| e.value.rem_euclid(7)))),
            Want::View("newest", view(newest)),
            Want::View("live", view(live.clone())),
            Want::View("live2", view(live)),
            Want::View("twice", view(twice)),
            Want::View("stay", view(stay)),
        ]
    });
}
