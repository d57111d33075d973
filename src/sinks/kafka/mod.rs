//! Writes released ticks to a Kafka topic, each lane in transactions of its own with its progress in them.
//! It knows no source, no format and no operator, and it decides nothing about who leads.
//!
//! 1. A lane is a transactional id, `<job>.<sink>.<lane>`, and a partition of the progress topic (PROTOCOL 10).
//! 2. To take a lane over: a new producer with its id, then a mark committed to its progress partition (PROTOCOL 3).
//! 3. Its progress is read up to that mark, never to "the end" (PROTOCOL 4; counterexample 12).
//! 4. Rows and progress are one transaction; a producer lives as long as each of its commits was answered positively (PROTOCOL 9).

mod lane;
mod murmur;
mod plan;
pub mod progress;
mod scan;
mod settings;
mod settle;
mod topics;
mod writer;

pub use murmur::{murmur2, partition_of_key};
pub use settings::Settings;
pub use writer::Kafka;
