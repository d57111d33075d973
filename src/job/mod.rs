//! A running job: who leads it, from where it goes on, what drives its workers. No operator and no connector is known here.

mod beside;
pub(crate) mod bisect;
mod built;
pub mod claim;
pub(crate) mod coordinator;
pub(crate) mod deaths;
mod discovery;
mod due;
pub mod engine;
pub(crate) mod failure;
pub mod generation;
pub(crate) mod inlets;
mod keeper;
mod memory;
pub(crate) mod observe;
pub mod pace;
pub(crate) mod panics;
pub(crate) mod patience;
pub(crate) mod peers;
pub(crate) mod ports;
pub(crate) mod replay;
pub mod setup;
pub mod shared;
pub mod skip;
pub(crate) mod slow;
pub mod traces;
pub(crate) mod upgrade;
pub(crate) mod whereabouts;
pub(crate) mod worker;
pub(crate) mod writers;

#[cfg(test)]
mod tests;

use crate::row::Schema;
use crate::state::restore::Snapshot;

/// The schemas of key and state under which a snapshot has a uid; `None` if it has no such uid.
pub(crate) fn stored_schema(snapshot: &Snapshot, uid: &str) -> Option<(Schema, Schema)> {
    let stored = snapshot.manifest().kept(uid)?;
    serde_json::from_value(stored.schema.clone()).ok()
}
