//! Kept state: changes come in, snapshots go out to object storage, rows come back. No operator, source or sink is known here.
//!
//! ```text
//! worker: ChangeBuffer -> Persister (own thread) -> segments -> manifest -> Event::Written -> (the log's snapshot record)
//!                              ^ compaction (own thread)                          Snapshot::load -> rows(uid, share, of)
//! ```

pub mod changes;
pub mod compaction;
pub mod faults;
pub mod garbage;
pub mod manifest;
pub mod persister;
pub mod restore;
pub mod segment;
pub mod store;

mod bucket;
mod coding;
mod cover;
mod merge;

#[cfg(test)]
mod tests;
