//! Connected components of a graph whose edges come and go: recursion, kept incrementally.

use tidemark::Row;
use tidemark::differential_dataflow::VecCollection;
use tidemark::differential_dataflow::operators::iterate::Iterate;
use tidemark::flow::Flow;
use tidemark::flow::endpoint::kafka;

/// An edge appears or goes.
#[derive(Row)]
pub struct EdgeChange {
    /// One end.
    pub from: u64,
    /// The other.
    pub to: u64,
    /// Whether it is there from now on.
    #[serde(default = "yes")]
    pub present: bool,
}

fn yes() -> bool {
    true
}

/// The dataflow: edges from a topic, and for each node the least node that it is connected with.
pub fn components(flow: &Flow<'_>) {
    let edges = flow
        .source("edges", kafka::topic("edges").json::<EdgeChange>())
        .upsert_map("edges", |edge| ((edge.from, edge.to), edge.present.then_some(())))
        .collection()
        .map(|(edge, ())| edge);
    let labels = flow.table(labels(edges)).unique_by(|(node, _)| *node);
    flow.serve("component", &labels);
    flow.sink("components", &labels, kafka::topic("components").json().upsert());
}

/// For each node of an edge the least node of its component: labels spread along edges until nothing changes.
pub fn labels<'s>(
    edges: VecCollection<'s, u64, (u64, u64), isize>,
) -> VecCollection<'s, u64, (u64, u64), isize> {
    let both = edges.clone().map(|(a, b)| (b, a)).concat(edges);
    let nodes = both.clone().map(|(node, _)| (node, node)).distinct();
    nodes.clone().iterate(|scope, labels| {
        let (both, nodes) = (both.enter(scope), nodes.enter(scope));
        labels
            .join_map(both, |_, label, to| (*to, *label))
            .concat(nodes)
            .reduce(|_, labels, out| out.push((*labels[0].0, 1)))
    })
}
