//! What the tests of the whole need: a real broker, the `tidemark` binary as a child, readers of what it wrote.
//! Nothing here links the engine: these tests see what a user sees.
//!
//! * [`broker::Broker`] is an Apache Kafka of one node on loopback; [`client`] makes topics in it, writes and reads them.
//! * [`s3::Server`] is an S3-compatible store on loopback; [`s3::proxy`] stands between it and the engine and does harm.
//! * [`engine::Engine`] is a running `tidemark`: its log lines, its HTTP, its signals, its death. [`fleet::Fleet`] is a job of several.
//! * [`progress`] and [`transactions`] tell from the outside what the engine committed.
//! * [`proof`] puts them together with the oracle: exactly once, under kills.
//!
//! All children die with the test process, also when that is killed.

pub mod bids;
pub mod broker;
mod cache;
pub mod certificates;
pub mod client;
pub mod clock;
pub mod engine;
pub mod failure;
pub mod fleet;
pub mod follow;
pub mod lines;
pub mod page;
pub mod phase;
pub mod process;
pub mod progress;
pub mod proof;
pub mod s3;
pub mod ticklog;
pub mod transactions;

pub use failure::{Failure, Result};
