//! Tidemark: an incremental, stateful stream computation service.
//!
//! A dataflow is written as a function over [`flow::Flow`]; it runs in *ticks* on timely workers. The tick
//! log records what each tick read, so that output is a pure function of log and input (`doc/ARCHITECTURE.md`).

pub mod error;
pub mod formats;
pub mod hash;
pub mod ids;
pub mod random;
pub mod row;
pub mod sinks;
pub mod sources;
pub mod state;
pub mod ticks;
pub mod time;
pub mod views;

pub use error::{Error, Kind, Result};
