//! The whole of it against an oracle: a map that is put, removed and rolled back beside.
#![expect(clippy::unwrap_used, reason = "tests")]

mod damage;
mod faults;
mod fixture;
mod oracle;
mod shares;
pub(super) mod world;
