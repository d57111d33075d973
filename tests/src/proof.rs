//! Exactly once, shown against an oracle: a paced input, an engine that is killed at chosen moments and started again with another
//! number of workers, and the whole output compared with right answers at every committed tick.
//!
//! The parts: [`pacer`] writes the input, [`aim`] decides when to kill and judges what a kill hit, [`run`] does it,
//! [`stage`] surrounds it with topics, configuration and input, [`facts`] collects what progress says of each tick, [`check`] compares, [`queries`] does the same over HTTP. Only `run` starts
//! processes.

pub mod aim;
pub mod check;
pub mod facts;
pub mod pacer;
pub mod queries;
pub mod run;
pub mod stage;

/// The dataflow, and the job's name.
pub const DATAFLOW: &str = "proof";
/// The source's name in the dataflow.
pub const SOURCE: &str = "events";
/// Partitions of the input topic.
pub const PARTITIONS: usize = 4;
