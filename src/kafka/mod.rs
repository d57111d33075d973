//! What every Kafka client of the engine shares: where the brokers are, options, log lines, the meaning of error codes.
//! It knows no source, no sink and no tick log.

mod codes;
mod connection;
mod consumer;
mod deliveries;
mod native;
mod wait;

pub use connection::Connection;

pub(crate) use codes::{kind_of, passes};
pub(crate) use connection::{Context, failed};
pub(crate) use consumer::{consumer, next, read_from};
pub(crate) use deliveries::{Deliveries, Heard};
pub(crate) use native::{cached_watermarks, topic_id};
pub(crate) use wait::wait;
