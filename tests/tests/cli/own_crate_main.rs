//! Turnstiles: how far the weights that pass each gate lie apart, by minute, and which gates lead to each other.

use std::process::ExitCode;
use std::time::Duration;
use tidemark::differential_dataflow::operators::iterate::Iterate;
use tidemark::flow::endpoint::file;
use tidemark::flow::{Build, Flow, Lag, Rec};
use tidemark::operators::aggregate::{Aggregate, count};
use tidemark::operators::window::{Closed, tumbling};
use tidemark::{EventTime, Row};

/// Somebody passes a gate.
#[derive(Row)]
struct Pass {
    gate: u64,
    to: u64,
    weight: u64,
    at: EventTime,
}

/// An accumulator of one's own: the greatest weight less the least.
struct Spread;

impl Aggregate<Pass> for Spread {
    type State = Option<(u64, u64)>;
    type Out = u64;

    fn zero(&self) -> Self::State {
        None
    }

    fn add(&self, state: &mut Self::State, rec: &Rec<Pass>) -> tidemark::Result<()> {
        let weight = rec.row.weight;
        let (least, most) = state.unwrap_or((weight, weight));
        *state = Some((least.min(weight), most.max(weight)));
        Ok(())
    }

    fn finish(&self, state: &Self::State) -> u64 {
        state.map_or(0, |(least, most)| most - least)
    }

    fn describe(&self) -> String {
        "spread of weights".to_owned()
    }
}

#[derive(Row)]
struct Heaviest {
    gate: u64,
    minute: EventTime,
    spread: u64,
    passes: u64,
}

#[derive(Row)]
struct Group {
    group: u64,
}

fn turnstiles(flow: &Flow<'_>) {
    let passes = flow
        .source("passes", file::path("passes.jsonl").json::<Pass>())
        .event_time(|pass| pass.at, Lag(Duration::from_secs(5)));
    let minutes = passes
        .key_by(|pass| pass.gate)
        .window(tumbling(Duration::from_secs(60)))
        .aggregate("minutes", (Spread, count()));
    let heaviest = minutes.closed.map(|row: &Closed<u64, (u64, u64)>| {
        let (spread, passes) = row.value;
        Heaviest { gate: row.key, minute: row.start, spread, passes }
    });
    flow.sink("heaviest", &heaviest, file::path("heaviest").json());

    let ways = passes.upsert("ways", |pass| (pass.gate, pass.to)).collection();
    let both = ways.clone().map(|((a, b), _)| (a, b)).concat(ways.map(|((a, b), _)| (b, a)));
    let gates = both.clone().map(|(gate, _)| (gate, gate)).distinct();
    let groups = gates.clone().iterate(|scope, groups| {
        let (both, gates) = (both.enter(scope), gates.enter(scope));
        groups
            .join_map(both, |_, group, to| (*to, *group))
            .concat(gates)
            .reduce(|_, groups, out| out.push((*groups[0].0, 1)))
    });
    let groups = flow.table(groups).unique_by(|(gate, _)| *gate);
    let groups = groups.map_values(|_, (_, group)| Group { group });
    flow.sink("groups", &groups, file::path("groups").json().upsert());
}

fn main() -> ExitCode {
    tidemark::main([("turnstiles", turnstiles as Build)])
}
