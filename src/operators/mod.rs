//! Operators, one idea a file. None of them knows a source, a sink or a clock; state reaches disk only by the worker's change buffer.

pub mod aggregate;
pub(crate) mod keep;
pub(crate) mod keyed;
pub(crate) mod restore;
pub(crate) mod unique;
pub(crate) mod upsert;
pub mod window;
