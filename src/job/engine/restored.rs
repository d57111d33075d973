//! PROTOCOL "To lead", 5: where the generation begins, and what it follows from there.

use super::super::generation::roots::{Restore, RestoreFacts, restore_points};
use super::super::patience::persist;
use super::super::peers::{Order, Peers, Report, lost};
use super::super::upgrade::{self, Beginning};
use super::Options;
use super::lead::Claimed;
use crate::cluster::Event;
use crate::error::{Error, Kind, Result};
use crate::flow::Plan;
use crate::sources::{Partition, Transport};
use crate::state::restore::Snapshot;
use crate::state::store::Store;
use crate::ticks::record::{SnapshotRecord, TickRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What step 5 has found.
pub(super) struct Restored {
    pub(super) snapshot: Option<Snapshot>,
    pub(super) beginning: Beginning,
    /// The ticks to follow from there.
    pub(super) follow: Vec<TickRecord>,
}

/// PROTOCOL 5: the snapshot to begin with, and the ticks to follow from there. All of the snapshot is verified here, before anything is
/// released, by each process what its workers need, which is held for them.
pub(super) fn restore(
    claimed: &Claimed,
    store: &Store,
    plan: &Plan,
    options: &Options,
    peers: Option<&Peers>,
) -> Result<Restored> {
    let counter = &claimed.counter;
    let points = restore_points(RestoreFacts {
        snapshots: counter.snapshots(),
        least: claimed.least,
        base: claimed.open.base,
        proven: counter.progress_floor(),
        reaches: counter.reaches_back_to(),
    })
    .map_err(|refusal| refusal.error())?;
    let mut damaged = None;
    for point in points {
        let snapshot = match point {
            Restore::Beginning => None,
            Restore::Snapshot(record) => match load(record, store, options, peers) {
                Ok(snapshot) => Some(snapshot),
                Err(error) if error.kind() == Kind::Corrupt => {
                    tracing::error!(%error, tick = record.tick, "a snapshot is damaged; an older one is looked for");
                    damaged = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            },
        };
        let beginning = match &snapshot {
            Some(snapshot) => upgrade::check(snapshot, plan, &claimed.open)?,
            None => Beginning::empty(plan),
        };
        let from = snapshot.as_ref().map_or(0, Snapshot::tick);
        let follow: Vec<_> = counter.ticks_after(from)?.cloned().collect();
        return Ok(Restored { snapshot, beginning, follow });
    }
    Err(damaged.unwrap_or_else(|| Error::internal("there was no restore point")))
}

/// Verifies a snapshot, together with the other processes and at the same time as they.
fn load(
    record: &SnapshotRecord,
    store: &Store,
    options: &Options,
    peers: Option<&Peers>,
) -> Result<Snapshot> {
    if let Some(peers) = peers {
        peers.line.send_all(&Order::Verify(record.manifest.clone()))?;
    }
    let own = verified(store, &record.manifest, options);
    // All answers are heard in any case: one that came later would be taken for one about the next snapshot.
    let others = peers.map_or(Ok(()), |peers| others_verified(peers, options));
    match (own, others) {
        (Err(error), Ok(())) | (_, Err(error)) => Err(error),
        (Ok(snapshot), Ok(())) => Ok(snapshot),
    }
}

/// A snapshot of which this process' share is verified, and held.
pub(super) fn verified(store: &Store, manifest: &str, options: &Options) -> Result<Snapshot> {
    let what = format!("reading the snapshot {manifest}");
    persist(&what, options.start_time_max, || {
        let snapshot = Snapshot::load(store, manifest)?;
        snapshot.verify(options.size.own(), options.size.peers())?;
        Ok(snapshot)
    })
}

/// Waits until every other process has verified its share. How long that takes is its matter: it is heard to live.
fn others_verified(peers: &Peers, options: &Options) -> Result<()> {
    let mut missing: BTreeSet<usize> = (1..options.size.processes).collect();
    let mut damaged = None;
    while !missing.is_empty() {
        match peers.events.recv() {
            Ok(Event::Message { from, message: Report::Verified(verdict), .. }) => {
                missing.remove(&from);
                damaged = verdict.err().map(|told| told.error(from)).or(damaged);
            }
            Ok(Event::Message { from, message: Report::Failed(told), .. }) => {
                return Err(told.error(from));
            }
            // They say nothing else before they are told to begin.
            Ok(Event::Message { .. }) => {}
            Ok(Event::Lost { process, why }) => return Err(lost(process, &why)),
            Err(_) => return Err(Error::internal("the link with the other processes is closed")),
        }
    }
    damaged.map_or(Ok(()), Err)
}

pub(super) type Found = Vec<(String, Vec<Partition>)>;

pub(super) fn discover_first(
    transports: &BTreeMap<String, Arc<dyn Transport>>,
    options: &Options,
) -> Result<Found> {
    let mut found = Vec::new();
    for (source, transport) in transports {
        let what = format!("source {source}: {}", transport.describe());
        let partitions = persist(&what, options.start_time_max, || transport.discover())
            .map_err(|error| error.at(format_args!("source {source}")))?;
        found.push((source.clone(), partitions));
    }
    Ok(found)
}
