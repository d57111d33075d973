//! Reads a Kafka topic, partition by partition. It joins no consumer group, never resets an offset and knows no format.
//!
//! A partition that changed its past is an error that names topic, partition, wanted, earliest and latest offset. What librdkafka
//! retries (a broker that restarts, a leader that moves) is waited out.

mod reader;
mod settings;
mod start;
mod transport;

pub use settings::{Isolation, Offsets, Settings, Start};
pub use transport::Kafka;
