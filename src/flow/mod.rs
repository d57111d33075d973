//! What users call: flow, stream, table, endpoints. Nothing here reads a clock, a file or a network.

pub(crate) mod context;
pub mod endpoint;
pub(crate) mod graph;
pub(crate) mod migrate;
mod origin;
mod plan;
mod rec;
mod reconcile;
mod serve;
mod sink;
mod source;
mod stream;
mod table;
mod tap;

pub use context::Flow;
pub use endpoint::{Append, Changelog, Endpoint, Upsert};
pub use graph::{Input, Step};
pub(crate) use plan::Place;
pub use plan::{KeptPlan, Migrated, Plan, Renamed, SinkPlan, SourcePlan, ViewPlan};
pub use rec::Rec;
pub(crate) use reconcile::{SINK_UIDS, written_uid};
pub use serve::Served;
pub(crate) use sink::order_rows;
pub use sink::{Connecting, SinkOptions, SinksTo};
pub use source::{DeadLetter, Lag, OnError, Source, SourceOptions};
pub use stream::{KeyedStream, Stream};
pub use table::{KeyedTable, Table};

pub(crate) use origin::Origin;
pub(crate) use rec::UNKNOWN;

/// A dataflow: called once on every worker, and once without input to learn its plan. It must build the same graph each time.
pub type Build = fn(&Flow<'_>);
