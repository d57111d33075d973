//! The Kafka source and the Kafka sink on a real broker, by the contracts that the engine uses.
#![expect(clippy::unwrap_used, reason = "tests")]

mod contract;
mod phases;
mod schedules;
mod settled;
mod sink;
mod source;
mod ticklog;
