//! Event time, and the one door to the clock. No other module reads the clock (`clippy.toml` guards it).

pub mod clock;
mod event_time;

pub use event_time::EventTime;
