//! The graph of a dataflow, for people: the steps that the user's code names, what feeds each, where rows are exchanged, and what is held.
//!
//! While the dataflow is built, each step notes the stream that it gives ([`Sketch`]). What lies between two noted streams is learned from
//! what timely built ([`Built`]): so differential's own operators between `collection()` and `flow.table(..)` are in it too, and exchanges
//! and copies are counted, not claimed.

use super::context::Flow;
use super::plan::Place;
use crate::ids::Tick;
use crate::job::whereabouts::Mark;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;
use timely::dataflow::Stream;

/// One step of a dataflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it does: "source", "map", "aggregate (count)", "join", "view", "sink".
    pub kind: String,
    /// Its name in configuration or its uid, if it has one.
    pub name: Option<String>,
    /// Where it is in the user's code.
    pub place: Place,
    /// The steps that feed it.
    pub inputs: Vec<Input>,
    /// How many copies of its rows it holds in memory: hash maps of kept state, indexes, differential's traces.
    pub copies: usize,
}

/// A step that feeds another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its number in [`super::Plan::steps`].
    pub step: usize,
    /// Which of its outputs, if it has several: `table`, `closed`, `late`, `dead letters`.
    pub output: Option<&'static str>,
    /// Whether the rows are exchanged between workers on the way.
    pub exchange: bool,
}

/// What is noted of a step when it is built.
pub(crate) struct What {
    pub(crate) kind: String,
    pub(crate) name: Option<String>,
    pub(crate) place: Place,
    /// Copies of its rows in memory beside differential's traces.
    pub(crate) copies: usize,
}

impl What {
    /// A step without a name that holds nothing itself.
    pub(crate) fn new(kind: impl Into<String>, place: Place) -> What {
        What { kind: kind.into(), name: None, place, copies: 0 }
    }

    pub(crate) fn named(mut self, name: &str) -> What {
        self.name = Some(name.to_owned());
        self
    }

    pub(crate) fn holds(mut self, copies: usize) -> What {
        self.copies = copies;
        self
    }

    /// The step as messages name it.
    fn text(&self) -> String {
        let What { kind, name, place, .. } = self;
        let name = name.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default();
        format!("{kind}{name} ({}:{})", place.file(), place.line())
    }
}

/// Where one looks for what feeds a step.
enum Before {
    /// Nowhere: it is known, since it runs inside a source's loop.
    Steps(Vec<usize>),
    /// Behind this operator.
    Operator(usize),
}

/// Output `1` of operator `0`.
type Port = (usize, usize);

/// The steps as they were noted.
#[derive(Default)]
pub(crate) struct Sketch {
    steps: Vec<(What, Before)>,
    outputs: BTreeMap<Port, (usize, Option<&'static str>)>,
}

/// What timely built: the operators directly in a dataflow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Built {
    pub(crate) operators: BTreeMap<usize, Operator>,
    /// By operator, the outputs that its inputs are connected with.
    pub(crate) channels: BTreeMap<usize, Vec<Port>>,
}

/// An operator, or a nested scope with all that is in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Operator {
    /// Whether its rows come from other workers too.
    pub(crate) exchanges: bool,
    /// Traces that it holds.
    pub(crate) traces: usize,
}

impl<'s> Flow<'s> {
    /// Where the user's code is that calls, and the mark of the step of this kind there.
    #[track_caller]
    pub(crate) fn marked(&self, kind: &str) -> (Place, Mark) {
        let place = Location::caller();
        (place, self.mark(&What::new(kind, place)))
    }

    /// Where code of the step `what` runs, for messages.
    pub(crate) fn mark(&self, what: &What) -> Mark {
        self.context.whereabouts.mark(what.text())
    }

    /// Operators that belong to no step yet belong to this one.
    fn built_for(&self, what: &What) {
        let next = self.scope.worker().peek_identifier();
        self.context.whereabouts.built(next, what.text());
    }

    /// Notes a step that runs inside a source's loop, behind the steps `inputs`.
    pub(crate) fn fused(&self, what: What, inputs: Vec<usize>) -> usize {
        self.context.sketch.borrow_mut().note(what, Before::Steps(inputs))
    }

    /// Notes the step that made `stream`. What was noted already is not a step.
    pub(crate) fn made<C>(&self, what: What, stream: &Stream<'s, Tick, C>) {
        self.built_for(&what);
        let mut sketch = self.context.sketch.borrow_mut();
        let port = port(stream);
        if !sketch.outputs.contains_key(&port) {
            let step = sketch.note(what, Before::Operator(port.0));
            sketch.outputs.insert(port, (step, None));
        }
    }

    /// Notes that `stream` is what the step that made `of` gives.
    pub(crate) fn made_too<B, C>(&self, of: &Stream<'s, Tick, B>, stream: &Stream<'s, Tick, C>) {
        let mut sketch = self.context.sketch.borrow_mut();
        if let Some(output) = sketch.outputs.get(&port(of)).copied() {
            sketch.outputs.insert(port(stream), output);
        }
    }

    /// Notes a step with several outputs, which one operator or several next to each other give.
    pub(crate) fn made_all(&self, what: What, outputs: &[(&'static str, Port)]) {
        self.built_for(&what);
        let mut sketch = self.context.sketch.borrow_mut();
        let step = sketch.note(what, Before::Operator(outputs[0].1.0));
        sketch.outputs.extend(outputs.iter().map(|(name, port)| (*port, (step, Some(*name)))));
    }

    /// Notes that `stream` has the rows of a step that runs inside a source's loop.
    pub(crate) fn leaves_loop<C>(
        &self,
        step: usize,
        output: Option<&'static str>,
        stream: &Stream<'s, Tick, C>,
    ) {
        self.context.sketch.borrow_mut().outputs.insert(port(stream), (step, output));
    }
}

/// Where a stream comes from.
pub(crate) fn port<C>(stream: &Stream<'_, Tick, C>) -> Port {
    let name = stream.name();
    (name.node, name.port)
}

impl Sketch {
    fn note(&mut self, what: What, before: Before) -> usize {
        self.steps.push((what, before));
        self.steps.len() - 1
    }

    /// The graph, each step after those that feed it.
    pub(crate) fn steps(self, built: &Built) -> Vec<Step> {
        let mut counted = BTreeSet::new();
        let Sketch { steps, outputs } = self;
        let step = |(number, (what, before)): (usize, (What, Before))| {
            let What { kind, name, place, mut copies } = what;
            let inputs = match before {
                Before::Steps(inputs) => {
                    let input = |step| Input { step, output: None, exchange: false };
                    inputs.into_iter().map(input).collect()
                }
                Before::Operator(last) => {
                    let (inputs, passed) = look_back((number, last), built, &outputs);
                    // What lies before two steps is held once.
                    let new = passed.into_iter().filter(|operator| counted.insert(*operator));
                    let of = |operator| built.operators.get(&operator).copied().unwrap_or_default();
                    copies += new.map(|operator| of(operator).traces).sum::<usize>();
                    inputs
                }
            };
            Step { kind, name, place, inputs, copies }
        };
        steps.into_iter().enumerate().map(step).collect()
    }
}

/// The outputs of earlier steps that are reached first on all ways back from the last operator of step `number`, and the operators on these
/// ways.
fn look_back(
    (number, last): (usize, usize),
    built: &Built,
    outputs: &BTreeMap<Port, (usize, Option<&'static str>)>,
) -> (Vec<Input>, BTreeSet<usize>) {
    let mut found: BTreeMap<(usize, Option<&'static str>), bool> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut ahead = vec![(last, false)];
    while let Some((operator, mut exchanged)) = ahead.pop() {
        if !seen.insert((operator, exchanged)) {
            continue;
        }
        exchanged |= built.operators.get(&operator).is_some_and(|operator| operator.exchanges);
        for port in built.channels.get(&operator).into_iter().flatten() {
            match outputs.get(port) {
                Some(output) if output.0 < number => {
                    *found.entry(*output).or_default() |= exchanged
                }
                _ => ahead.push((port.0, exchanged)),
            }
        }
    }
    let input = |((step, output), exchange)| Input { step, output, exchange };
    (
        found.into_iter().map(input).collect(),
        seen.into_iter().map(|(operator, _)| operator).collect(),
    )
}

#[cfg(test)]
mod tests;
