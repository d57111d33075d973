//! Configuration in layers: defaults < code < file < environment < `-D` < flags, every value with its origin.
//!
//! It opens no connection, reads no secret unless asked to reveal it, and knows no engine.

pub mod connectors;
mod file;
mod kinds;
mod layers;
mod nearest;
mod reference;
mod resolve;
mod s3;
mod schema;
mod settings;
mod show;
mod units;
mod value;

pub(crate) use layers::value_of_text;
pub use layers::{Layered, Section};
pub(crate) use nearest::nearest;
pub use reference::reference;
pub use resolve::Resolved;
pub use s3::S3;
pub use settings::{Cluster, Http, Job, Limits, Log, Memory, Settings, Snapshots, Tick, View};
pub use units::{duration, show_duration, show_size, size};
pub use value::{Origin, Revealed, Secret, Value};
