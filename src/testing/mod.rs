//! A dataflow under test: in one process, without files, broker or clock of its own. Tick by tick, with crashes wherever one likes.
//!
//! ```
//! use tidemark::flow::{Flow, endpoint::kafka};
//! use tidemark::operators::aggregate::count;
//! use tidemark::testing::Job;
//!
//! #[derive(tidemark::Row)]
//! struct Click {
//!     user: u64,
//! }
//!
//! fn clicks(flow: &Flow<'_>) {
//!     let clicks = flow.source("clicks", kafka::topic("clicks").json::<Click>());
//!     flow.serve("clicks", &clicks.key_by(|c| c.user).aggregate("clicks", count()));
//! }
//!
//! let mut job = Job::new(clicks);
//! job.push("clicks", [Click { user: 1 }, Click { user: 1 }]).tick();
//! job.restart(3);
//! job.push("clicks", [Click { user: 2 }]).tick();
//! assert_eq!(job.table("clicks"), [r#"{"key":1,"value":2}"#, r#"{"key":2,"value":1}"#]);
//! ```

mod job;
pub mod laws;

pub use job::{Ends, Job};
pub use laws::laws;

#[cfg(test)]
mod tests;
