//! A program that runs dataflows: `main`, what it makes of the configuration, and the parts of a real job. The only module that knows
//! configuration, connectors and engine together.

mod cluster;
mod connectors;
mod explain;
mod program;
mod replay;
mod run;
mod store;

pub use run::main;
