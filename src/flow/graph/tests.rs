use super::Step;
use crate::flow::endpoint::kafka;
use crate::flow::{Build, Flow, Lag};
use crate::hash::Map;
use crate::job::engine;
use crate::operators::aggregate::count;
use crate::operators::window::tumbling;
use crate::{EventTime, Row};
use differential_dataflow::operators::iterate::Iterate;
use expect_test::{Expect, expect};
use std::fmt::Write;
use std::time::Duration;

#[derive(Row)]
struct Click {
    user: u64,
    page: u64,
    at: EventTime,
}

/// One line a step; an input is `=>` if its rows are exchanged.
fn check(build: Build, expected: &Expect) {
    let plan = engine::plan(build, Map::default(), Map::default()).expect("a right dataflow");
    let mut out = String::new();
    for (number, Step { kind, name, inputs, copies, place }) in plan.steps.iter().enumerate() {
        assert!(place.file().ends_with("flow/graph/tests.rs"), "{place}");
        assert!(inputs.iter().all(|input| input.step < number), "inputs come first");
        let inputs = inputs.iter().map(|input| {
            let arrow = if input.exchange { "=>" } else { "->" };
            format!(
                "{}{}{arrow} ",
                input.step,
                input.output.map_or(String::new(), |o| format!(":{o}"))
            )
        });
        let inputs: String = inputs.collect();
        let name = name.as_deref().unwrap_or_default();
        writeln!(out, "{number}: {inputs}{kind} {name} ({copies})").expect("a string takes all");
    }
    expected.assert_eq(&out);
}

fn streams(flow: &Flow<'_>) {
    let clicks = flow
        .source("clicks", kafka::topic("clicks").json::<Click>())
        .event_time(|c| c.at, Lag(Duration::from_secs(5)));
    let users = clicks.filter(|c| c.page > 0).map(|c| c.user);
    let pages = clicks.flat_map(|c| [c.page]);
    let both = users.union(&pages);
    flow.sink("both", &both.map(|n| n + 1), kafka::topic("both").json());
    let visits =
        both.key_by(|n| *n).window(tumbling(Duration::from_secs(10))).aggregate("visits", count());
    flow.serve("open", &visits.table);
    flow.sink("visits", &visits.closed, kafka::topic("visits").json());
    flow.sink("late", &visits.late.filter(|_| true), kafka::topic("late").json());
}

#[test]
fn steps_in_a_source_s_loop_and_behind_it_are_in_the_graph() {
    check(
        streams,
        &expect![[r#"
        0: source clicks (0)
        1: 0-> filter  (0)
        2: 1-> map  (0)
        3: 0-> flat_map  (0)
        4: 2-> 3-> union  (0)
        5: 4-> map  (0)
        6: 5=> sink (append) both (0)
        7: 4=> window tumbling 10s, allowed lateness 0ns (count) visits (1)
        8: 7:table=> view open (1)
        9: 7:closed=> sink (append) visits (0)
        10: 7:late-> filter  (0)
        11: 10=> sink (append) late (0)
    "#]],
    );
}

fn tables(flow: &Flow<'_>) {
    let clicks = flow.source("clicks", kafka::topic("clicks").json::<Click>());
    let last = clicks.upsert("last", |c| c.user);
    let counts = clicks.key_by(|c| c.user).aggregate("counts", count());
    let joined = last.join(&counts).map_values(|_, (click, count)| (click.page, count));
    flow.serve("joined", &joined);
    flow.serve("pages", &joined.values().distinct());
    flow.sink("joined", &joined, kafka::topic("joined").json().changelog());
}

#[test]
fn tables_say_what_is_exchanged_and_held() {
    check(
        tables,
        &expect![[r#"
        0: source clicks (0)
        1: 0=> upsert last (1)
        2: 0=> aggregate (count) counts (1)
        3: 1=> 2=> join  (2)
        4: 3-> map_values  (0)
        5: 4=> view joined (1)
        6: 4-> values  (0)
        7: 6=> distinct  (2)
        8: 7=> view pages (1)
        9: 4=> sink (changelog) joined (0)
    "#]],
    );
}

/// Differential's operators between two tables: a recursion.
fn recursion(flow: &Flow<'_>) {
    let edges = flow.source("edges", kafka::topic("edges").json::<(u64, u64)>()).keep("edges");
    let raw = edges.collection();
    let nodes = raw.clone().flat_map(|(a, b)| [(a, a), (b, b)]).distinct();
    let labels = nodes.clone().iterate(|scope, labels| {
        let (edges, nodes) = (raw.enter(scope), nodes.enter(scope));
        labels
            .join_map(edges, |_, label, to| (*to, *label))
            .concat(nodes)
            .reduce(|_, labels, out| out.push((*labels[0].0, 1)))
    });
    let labels = flow.table(labels).unique_by(|(node, _)| *node);
    flow.serve("labels", &labels);
    // What was noted already is no step again.
    flow.serve("same", &flow.table(edges.collection()));
}

#[test]
fn what_differential_does_between_two_tables_is_counted() {
    check(
        recursion,
        &expect![[r#"
        0: source edges (0)
        1: 0=> keep edges (1)
        2: 1=> collection  (6)
        3: 2-> unique_by  (0)
        4: 3=> proof of unique keys  (1)
        5: 3=> view labels (1)
        6: 1=> view same (1)
    "#]],
    );
}
