//! Range tombstones by prefix, and which of them lies over a key. It decides nothing about rows.

use crate::hash::Map;
use std::collections::BTreeSet;

/// The newest removal of each prefix; `At` says when it happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Cover<At> {
    prefixes: Map<Vec<u8>, At>,
    lengths: BTreeSet<usize>,
}

impl<At: Ord + Copy> Cover<At> {
    pub(super) fn new() -> Cover<At> {
        Cover { prefixes: Map::default(), lengths: BTreeSet::new() }
    }

    /// Notes a removal; an older one of the same prefix is forgotten. Gives whether the prefix is new.
    pub(super) fn add(&mut self, prefix: &[u8], at: At) -> bool {
        if let Some(known) = self.prefixes.get_mut(prefix) {
            *known = at.max(*known);
            return false;
        }
        self.lengths.insert(prefix.len());
        self.prefixes.insert(prefix.to_vec(), at);
        true
    }

    /// The newest removal over `key`. Prefixes have few different lengths (one a kind of window), hence a look-up for each.
    pub(super) fn newest(&self, key: &[u8]) -> Option<At> {
        self.lengths
            .range(..=key.len())
            .filter_map(|len| self.prefixes.get(&key[..*len]))
            .max()
            .copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// Every prefix, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Vec<u8>, &At)> {
        self.prefixes.iter()
    }
}
