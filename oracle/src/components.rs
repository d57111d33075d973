//! Connected components by union-find: nothing of the engine's iteration is in it.

use std::collections::BTreeMap;

/// For each node of an edge the least node that it is connected with. Edges have no direction.
pub fn components<'a>(edges: impl IntoIterator<Item = &'a (u64, u64)>) -> BTreeMap<u64, u64> {
    let mut parents: BTreeMap<u64, u64> = BTreeMap::new();
    for &(from, to) in edges {
        let (from, to) = (root(&mut parents, from), root(&mut parents, to));
        // The lesser root stays, so each root is the least node of its component.
        parents.insert(from.max(to), from.min(to));
    }
    let nodes: Vec<u64> = parents.keys().copied().collect();
    nodes.into_iter().map(|node| (node, root(&mut parents, node))).collect()
}

fn root(parents: &mut BTreeMap<u64, u64>, mut node: u64) -> u64 {
    loop {
        let parent = *parents.entry(node).or_insert(node);
        if parent == node {
            return node;
        }
        let above = parents[&parent];
        parents.insert(node, above);
        node = above;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels spread over edges until nothing changes: slow and plainly right.
    fn spread(edges: &[(u64, u64)]) -> BTreeMap<u64, u64> {
        let mut labels: BTreeMap<u64, u64> =
            edges.iter().flat_map(|&(from, to)| [(from, from), (to, to)]).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for (from, to) in edges {
                let least = labels[from].min(labels[to]);
                changed |= labels.insert(*from, least) != Some(least);
                changed |= labels.insert(*to, least) != Some(least);
            }
        }
        labels
    }

    #[test]
    fn labels_equal_those_that_spread() {
        let mut random = crate::Random::new(1);
        for round in 0..300 {
            let nodes = 2 + round % 40;
            let edges: Vec<_> = (0..random.below(nodes) + 1)
                .map(|_| (random.below(nodes), random.below(nodes)))
                .collect();
            assert_eq!(components(&edges), spread(&edges), "{edges:?}");
        }
    }
}
