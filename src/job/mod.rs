//! A running job: what drives the workers and what they share. No operator and no connector is made here.

pub mod claim;
pub mod generation;
pub mod shared;
