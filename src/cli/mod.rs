//! The command line: what people and scripts type, and what they see.
//!
//! It runs no dataflow itself (a [`Runner`] does) and knows nothing of workers, logs or connectors.

mod args;
mod client;
mod commands;
mod exit;
mod fleet;
mod logging;
pub mod progress;
mod resize;
mod screen;
pub mod signals;
mod status;
mod table;

pub use exit::Exit;
pub(crate) use fleet::SUPERVISOR_VARIABLE;

use crate::config::{Layered, Settings};
use crate::error::Result;
use crate::ids::Tick;
use commands::Outside;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

/// What the command line needs of the engine: the dataflows of this program, and a way to run one.
pub trait Runner {
    /// The names of the dataflows, in the order in which the program gives them.
    fn names(&self) -> Vec<String>;

    /// `layered` with what the code of the dataflow `name` says: the names of its sources, sinks and views
    /// ([`Layered::with_declared`]) and their defaults ([`Layered::with_code_default`]).
    ///
    /// # Errors
    /// `Config` if the dataflow can't be built.
    fn declare(&self, _name: &str, layered: Layered) -> Result<Layered> {
        Ok(layered)
    }

    /// Runs the dataflow `name` until it has ended, was stopped or failed.
    ///
    /// # Errors
    /// Why it failed; the kind decides the exit code.
    fn run(&self, name: &str, settings: Settings) -> Result<()>;

    /// Runs a tick of the job again beside it, the one at which it panicked last if none is named: what there is to tell, and whether the
    /// tick gets through.
    ///
    /// # Errors
    /// Why it could not be run.
    fn replay(&self, name: &str, settings: &Settings, tick: Option<Tick>)
    -> Result<(String, bool)>;

    /// The graph of the dataflow, its kept tables with what bounds each, exchange edges and copies, as text; and the
    /// graph's steps for programs.
    ///
    /// # Errors
    /// `Config` if the dataflow can't be built.
    fn explain(&self, name: &str, settings: &Settings) -> Result<(String, serde_json::Value)>;
}

/// Does what `args` say (the first is the program's name) and gives the exit code, an [`Exit`].
pub fn run_cli(runner: &dyn Runner, args: impl Iterator<Item = OsString>) -> ExitCode {
    // Not locked: sinks write to standard output, and logs to standard error, from other threads meanwhile.
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let mut outside = Outside { environment, out: &mut out, err: &mut err };
    commands::execute(runner, args, &mut outside).into()
}
