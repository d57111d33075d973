//! Ticks: what one contains, and the log that makes it so. No operator and no connector is known here.

pub mod record;
