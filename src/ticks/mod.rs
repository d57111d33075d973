//! Ticks: what one contains, and the log that makes it so. No operator and no connector is known here.

pub(crate) mod control;
pub mod counts;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod log;
pub mod record;
pub(crate) mod view;
pub mod watermarks;
