//! Garbage: which objects of the store may be deleted, and their deletion (PROTOCOL 13). It decides neither which
//! snapshots are roots nor when; the tick log does.
//!
//! Order of a collection, each step finished before the next:
//! 1. [`Store::list`] of `manifest` and `segment` ([`listing`]): only what is in it is ever deleted.
//! 2. [`Handle::held`](crate::state::persister::Handle::held): one's own lineage and uploads.
//! 3. The roots by the log, and a `drop` record that must count.
//! 4. [`collect`]: manifests, then segments, so that no manifest in the store names a deleted segment.

use crate::error::Result;
use crate::ids::{Generation, Tick};
use crate::state::manifest::Manifest;
use crate::state::segment::parse_name;
use crate::state::store::{Object, Store};
use std::collections::BTreeSet;

/// What must stay, and who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// The collecting leader's generation.
    pub generation: Generation,
    /// The tick of its own newest snapshot that counts; 0 if it has none.
    pub newest: Tick,
    /// Names of the manifests that must stay: the newest snapshot at or below every sink's progress, all newer ones,
    /// savepoints, base, and what the leader restored.
    pub manifests: BTreeSet<String>,
    /// Objects that stay whatever is reachable: the persister's `held`.
    pub held: BTreeSet<String>,
}

/// What a collection deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Manifests.
    pub manifests: u64,
    /// Segments, and halves of segments that a killed process left.
    pub segments: u64,
    /// Bytes of both.
    pub bytes: u64,
}

/// The objects of the store that a collection may consider (step 1).
///
/// # Errors
/// `Retry` if the store did not answer.
pub fn listing(store: &Store) -> Result<Vec<Object>> {
    let mut listed = store.list("manifest")?;
    listed.extend(store.list("segment")?);
    Ok(listed)
}

/// The objects to delete, in this order: manifests, then segments (PROTOCOL 13). `reachable` are the segments that the
/// roots' manifests name. An object is deleted only if
/// - it was in the listing,
/// - it is neither a root, nor reachable, nor held, and
/// - it is of an older generation, or of the collector's own below its newest snapshot; what a newer one wrote is not judged.
pub fn doomed<'a>(
    listing: &'a [Object],
    roots: &Roots,
    reachable: &BTreeSet<String>,
) -> Vec<&'a Object> {
    let may_go = |object: &&Object| {
        let Some((generation, tick)) = parse_name(&object.name) else { return false };
        let old = generation < roots.generation
            || (generation == roots.generation && tick < roots.newest);
        old && !roots.manifests.contains(&object.name)
            && !reachable.contains(&object.name)
            && !roots.held.contains(&object.name)
    };
    let is_manifest = |object: &&Object| object.name.starts_with("manifest/");
    let (mut manifests, segments): (Vec<_>, Vec<_>) =
        listing.iter().filter(may_go).partition(is_manifest);
    manifests.extend(segments);
    manifests
}

/// Deletes what `roots` do not need. Call it when the `drop` counts; `listing` was taken before it was appended. Calling
/// it again, also with an old listing and roots that were right once, is always safe.
///
/// # Errors
/// `Corrupt` if the manifest of a root is gone or damaged: then nothing is deleted, since what it needs is not known.
/// `Retry` or `Undecided` if the store failed: some may be deleted, the rest is left for the next time.
pub fn collect(store: &Store, listing: &[Object], roots: &Roots) -> Result<Collected> {
    let mut reachable = BTreeSet::new();
    for name in &roots.manifests {
        reachable.extend(Manifest::read(store, name)?.segments().map(str::to_string));
    }
    let mut collected = Collected::default();
    for object in doomed(listing, roots, &reachable) {
        store.delete(&object.name)?;
        collected.bytes += object.bytes;
        if object.name.starts_with("manifest/") {
            collected.manifests += 1;
        } else {
            collected.segments += 1;
        }
    }
    for unfinished in store.unfinished("segment")? {
        if parse_name(&unfinished.object).is_some_and(|(writer, _)| writer < roots.generation) {
            store.discard(&unfinished)?;
            collected.segments += 1;
        }
    }
    Ok(collected)
}

#[cfg(test)]
mod tests;
