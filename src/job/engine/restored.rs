//! PROTOCOL "To lead", 5: where the generation begins, and what it follows from there.

use super::super::generation::roots::{Restore, RestoreFacts, restore_points};
use super::super::patience::persist;
use super::super::upgrade::{self, Beginning};
use super::Options;
use super::lead::Claimed;
use crate::error::{Error, Kind, Result};
use crate::flow::Plan;
use crate::sources::{Partition, Transport};
use crate::state::restore::Snapshot;
use crate::state::store::Store;
use crate::ticks::record::TickRecord;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What step 5 has found.
pub(super) struct Restored {
    pub(super) snapshot: Option<Snapshot>,
    pub(super) beginning: Beginning,
    /// The ticks to follow from there.
    pub(super) follow: Vec<TickRecord>,
}

/// PROTOCOL 5: the snapshot to begin with, and the ticks to follow from there. All of the snapshot is verified here, before anything is
/// released, and what this process' workers need of it is held for them.
pub(super) fn restore(
    claimed: &Claimed,
    store: &Store,
    plan: &Plan,
    options: &Options,
) -> Result<Restored> {
    let size = options.size;
    let first = size.process * size.workers;
    let shares = first..first + size.workers;
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
            Restore::Snapshot(record) => {
                let what = format!("reading the snapshot at tick {}", record.tick);
                let loaded = persist(&what, options.start_time_max, || {
                    let snapshot = Snapshot::load(store, &record.manifest)?;
                    snapshot.verify(shares.clone(), size.peers())?;
                    Ok(snapshot)
                });
                match loaded {
                    Ok(snapshot) => Some(snapshot),
                    Err(error) if error.kind() == Kind::Corrupt => {
                        tracing::error!(%error, tick = record.tick, "a snapshot is damaged; an older one is looked for");
                        damaged = Some(error);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
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
