//! Unique: proves of each tick that no two rows of a table share a key. It shows nothing and keeps a count a key, which is rebuilt from
//! the rows.
//!
//! Law: a tick in which a key has two rows is never released: the operator holds the tick until it has looked at it, and leaves its
//! error before it lets go.

use crate::error::{Error, Kind};
use crate::flow::graph::What;
use crate::flow::{Flow, Place};
use crate::hash::Map;
use crate::ids::{Diff, Tick};
use crate::operators::keyed::{frontier_of, place};
use crate::row::{Row, show};
use differential_dataflow::VecCollection;
use differential_dataflow::consolidation::consolidate;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe::Probe;

/// The rows of each key that has any.
struct Counts<K> {
    counts: Map<K, Diff>,
}

impl<K: Row> Counts<K> {
    /// Takes the changes of a tick, sorted; the first key that does not have one row or none afterwards, and its rows among the changes.
    fn apply<V: Row>(&mut self, changes: &[((K, V), Diff)]) -> Option<String> {
        let mut problem = None;
        for of_key in changes.chunk_by(|a, b| a.0.0 == b.0.0) {
            let key = &of_key[0].0.0;
            let by: Diff = of_key.iter().map(|(_, diff)| diff).sum();
            let held = self.counts.entry(key.clone()).or_default();
            *held += by;
            let count = *held;
            if count == 0 {
                self.counts.remove(key);
            } else if count != 1 && problem.is_none() {
                let came = of_key.iter().filter(|(_, diff)| *diff > 0);
                let came: Vec<_> = came.map(|((_, value), _)| show(value)).take(3).collect();
                problem = Some(format!(
                    "{count} rows have the key {}; in this tick came {}",
                    show(key),
                    came.join(" and ")
                ));
            }
        }
        problem
    }
}

/// Ends the job when two rows of a key are there at once; `what` says who would be wrong then.
pub(crate) fn unique<'s, K: Row, V: Row>(
    flow: &Flow<'s>,
    rows: &VecCollection<'s, Tick, (K, V), Diff>,
    what: String,
    place_in_code: Place,
) {
    let context = Rc::clone(&flow.context);
    let mut builder = OperatorBuilder::new(format!("Unique({what})"), flow.scope);
    let by_key = Exchange::new(|row: &((K, V), Tick, Diff)| place(&row.0.0));
    let mut data = builder.new_input(rows.inner.clone(), by_key);
    let (output, stream) = builder.new_output();
    // Only its frontier is of use.
    let _output = OutputBuilder::<_, CapacityContainerBuilder<Vec<()>>>::from(output);
    builder.build(move |mut capabilities| {
        let mut capability = capabilities.pop();
        let mut counts = Counts { counts: Map::default() };
        let mut ticks: BTreeMap<Tick, Vec<((K, V), Diff)>> = BTreeMap::new();
        move |frontiers| {
            data.for_each(|_, rows| {
                for (row, tick, diff) in rows.drain(..) {
                    ticks.entry(tick).or_default().push((row, diff));
                }
            });
            let frontier = frontier_of(frontiers);
            while let Some(first) = ticks.first_entry()
                && frontier.is_none_or(|frontier| *first.key() < frontier)
            {
                let (tick, mut changes) = first.remove_entry();
                consolidate(&mut changes);
                if let Some(problem) = counts.apply(&changes) {
                    context.failure.fail(Error::new(
                        Kind::Input,
                        format!("{what}, tick {tick}: {problem}; its key does not tell them apart"),
                    ));
                }
            }
            match (frontier, capability.as_mut()) {
                (None, _) => capability = None,
                (Some(frontier), Some(held)) if frontier > *held.time() => {
                    held.downgrade(&frontier)
                }
                _ => {}
            }
        }
    });
    let proof = stream.probe_with(&flow.probe);
    flow.made(What::new("proof of unique keys", place_in_code).holds(1), &proof);
}
