//! Tidemark: an incremental, stateful stream computation service.
//!
//! A dataflow is written as a function over [`flow::Flow`]; it runs in *ticks* on timely workers. The tick
//! log records what each tick read, so that output is a pure function of log and input (`doc/ARCHITECTURE.md`).

pub mod cli;
mod cluster;
pub mod config;
pub mod error;
pub mod flow;
pub mod formats;
pub mod hash;
pub mod http;
pub mod ids;
pub mod job;
pub mod kafka;
pub mod operators;
pub mod random;
pub mod row;
pub mod service;
pub mod sinks;
pub mod sources;
pub mod state;
pub mod telemetry;
pub mod testing;
pub mod ticks;
pub mod time;
pub mod views;

pub use error::{Error, Kind, Result};
pub use row::{Decimal, F64, Row};
pub use service::main;
pub use time::EventTime;

/// The crate whose collections [`flow::Table::collection`] gives and whose operators (`iterate`, `reduce`, ...) work on them.
pub use differential_dataflow;
/// The crate below [`differential_dataflow`].
pub use timely;

// What `#[derive(Row)]` writes names the crate `tidemark`, in here too.
extern crate self as tidemark;

/// What `#[derive(Row)]` writes calls. Not for anybody else.
#[doc(hidden)]
pub mod __private {
    pub use crate::row::derived::{clone, cmp, deserialize_bytes, eq, hash, serialize_bytes};
    pub use serde;
    pub use std::vec::Vec;
}
