//! Ticks: what one contains, and the log that makes it so. No operator and no connector is known here.

pub mod counts;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod log;
pub mod record;
pub mod watermarks;
