//! Operators over tables: rows come, change and go.

use crate::machine::{Event, Seen, Want, bag, events, every_tick, view};
use differential_dataflow::operators::iterate::Iterate;
use std::collections::{BTreeMap, BTreeSet};
use tidemark::flow::{Flow, KeyedTable};

/// Own keys of even and of odd values: two tables whose keys meet and part.
fn sides<'s>(flow: &Flow<'s>) -> (KeyedTable<'s, u64, i64>, KeyedTable<'s, u64, i64>) {
    let events = events(flow);
    let change = |e: &Event| (e.own(), (!e.gone).then_some(e.value));
    let left = events.filter(|e| e.value % 2 == 0).upsert_map("left", change);
    (left, events.filter(|e| e.value % 2 != 0).upsert_map("right", change))
}

fn joins(flow: &Flow<'_>) {
    let (left, right) = sides(flow);
    flow.serve("join", &left.join(&right));
    flow.serve("left_join", &left.left_join(&right));
    let foreign = |_: &u64, value: &i64| value.unsigned_abs();
    flow.serve("join_on", &left.join_on(foreign, &right));
    flow.serve("mapped", &left.map_values(|key, value| value + *key as i64));
    flow.serve("filtered", &left.filter(|key, value| *value > *key as i64));
    flow.serve("values", &left.values());
    flow.serve("rows", &left.rows());
}

type Side = BTreeMap<u64, i64>;

fn recomputed(seen: &Seen) -> (Side, Side) {
    let (mut left, mut right) = (Side::new(), Side::new());
    for read in seen.by_position() {
        let event = &read.event;
        let side = if event.value % 2 == 0 { &mut left } else { &mut right };
        match event.gone {
            true => side.remove(&event.own()),
            false => side.insert(event.own(), event.value),
        };
    }
    (left, right)
}

#[test]
fn joins_and_steps_over_keyed_tables() {
    every_tick(joins, 5, |seen| {
        let (left, right) = recomputed(seen);
        let with = |key: &u64| right.get(key).copied();
        let join = left.iter().filter_map(|(k, v)| Some((*k, (*v, with(k)?))));
        let left_join = left.iter().map(|(k, v)| (*k, (*v, with(k))));
        let join_on = left.iter().filter_map(|(k, v)| Some((*k, (*v, with(&v.unsigned_abs())?))));
        let above = left.iter().filter(|(k, v)| **v > **k as i64);
        vec![
            Want::View("join", view(join)),
            Want::View("left_join", view(left_join)),
            Want::View("join_on", view(join_on)),
            Want::View("mapped", view(left.iter().map(|(k, v)| (*k, v + *k as i64)))),
            Want::View("filtered", view(above)),
            Want::View("values", bag(left.values())),
            Want::View("rows", bag(left.iter())),
        ]
    });
}

fn shapes(flow: &Flow<'_>) {
    let (left, right) = sides(flow);
    let (a, b) = (left.values(), right.values());
    let all = a.union(&b);
    flow.serve("union", &all);
    flow.serve("map", &all.map(|value| value / 4));
    flow.serve("filter", &all.filter(|value| value % 3 == 0));
    flow.serve("flat_map", &all.flat_map(|value| [value, value + 100]));
    flow.serve("distinct", &all.map(|value| value / 4).distinct());
    let sums = all.reduce(
        |value| value.rem_euclid(3),
        |_, rows| Some(rows.iter().map(|(value, n)| **value * *n as i64).sum::<i64>()),
    );
    flow.serve("reduce", &sums);
    let some = all.reduce(
        |value| value.rem_euclid(3),
        |key, rows| (rows.len() as i64 > *key + 1).then_some(()),
    );
    flow.serve("some", &some);
    flow.serve("top_k", &all.top_k(3, |value| value.rem_euclid(3), |value| value.abs() / 2));
    flow.serve("unique_by", &all.distinct().unique_by(|value| *value + 1000));
    // Each key points at another one: the least key that is reached from each.
    let edges = left.rows().map(|(key, value)| (key, value.unsigned_abs())).collection();
    let both = edges.clone().map(|(a, b)| (b, a)).concat(edges);
    let nodes = both.clone().map(|(node, _)| (node, node)).distinct();
    let least = nodes.clone().iterate(|scope, labels| {
        let (both, nodes) = (both.enter(scope), nodes.enter(scope));
        let spread = labels.join_map(both, |_, label, to| (*to, *label)).concat(nodes);
        spread.reduce(|_, labels, out| out.push((*labels[0].0, 1)))
    });
    flow.serve("iterate", &flow.table(least).unique_by(|(node, _)| *node));
}

/// For each node the least one that it hangs together with, by colouring until nothing changes.
fn least(edges: &[(u64, u64)]) -> BTreeMap<u64, (u64, u64)> {
    let mut labels: BTreeMap<u64, u64> =
        edges.iter().flat_map(|(a, b)| [(*a, *a), (*b, *b)]).collect();
    loop {
        let before = labels.clone();
        for (a, b) in edges {
            let least = labels[a].min(labels[b]);
            labels.insert(*a, least);
            labels.insert(*b, least);
        }
        if labels == before {
            return labels.into_iter().map(|(node, label)| (node, (node, label))).collect();
        }
    }
}

#[test]
fn reduce_distinct_top_k_unique_by_and_iterate() {
    every_tick(shapes, 6, |seen| {
        let (left, right) = recomputed(seen);
        let all: Vec<i64> = left.values().chain(right.values()).copied().collect();
        let mut groups: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for value in &all {
            groups.entry(value.rem_euclid(3)).or_default().push(*value);
        }
        let kinds = |rows: &[i64]| rows.iter().collect::<BTreeSet<_>>().len() as i64;
        let some = groups.iter().filter(|(key, rows)| kinds(rows) > **key + 1);
        let top = groups.iter().flat_map(|(key, rows)| {
            let mut rows = rows.clone();
            rows.sort_by_key(|value| (-(value.abs() / 2), *value));
            rows.into_iter().take(3).map(move |value| (*key, value))
        });
        let distinct: BTreeSet<i64> = all.iter().map(|value| value / 4).collect();
        let once: BTreeSet<i64> = all.iter().copied().collect();
        let edges: Vec<_> = left.iter().map(|(key, value)| (*key, value.unsigned_abs())).collect();
        vec![
            Want::View("union", bag(&all)),
            Want::View("map", bag(all.iter().map(|value| value / 4))),
            Want::View("filter", bag(all.iter().filter(|value| **value % 3 == 0))),
            Want::View("flat_map", bag(all.iter().flat_map(|value| [*value, value + 100]))),
            Want::View("distinct", bag(distinct)),
            Want::View(
                "reduce",
                view(groups.iter().map(|(key, rows)| (*key, rows.iter().sum::<i64>()))),
            ),
            Want::View("some", view(some.map(|(key, _)| (*key, ())))),
            Want::View("top_k", bag(top)),
            Want::View("unique_by", view(once.iter().map(|value| (value + 1000, *value)))),
            Want::View("iterate", view(least(&edges))),
        ]
    });
}
