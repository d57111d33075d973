//! What the job says about itself: metrics and status. Nothing here decides anything, and nothing here does HTTP.

pub mod holding;
pub mod process;
pub mod registry;
pub mod status;
