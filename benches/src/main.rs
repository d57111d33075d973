//! Figures: `cargo run --release -p tidemark-benches -- NAME`. Each is measured beside a baseline in the same run, and nothing is
//! printed that was not measured. Judges nothing: a bench never fails for being slow.
//!
//! The engine is measured as its own process: this program, started again as `run DATAFLOW`, is the `tidemark` command line over
//! the dataflows of [`flows`].

mod codec;
mod files;
mod flows;
mod hand;
mod input;
mod job;
mod kafka;
mod latency;
mod memory;
mod process;
mod recovery;
mod table;

use std::process::ExitCode;
use tidemark_tests::{Failure, Result};

const USAGE: &str = "usage: tidemark-benches files [events [query]] | kafka [events [query]] | latency [rate [seconds]] | \
     recovery [rows [changes]] | memory [rows] | codec";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|first| first == "run") {
        return flows::main();
    }
    match bench(&arguments[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            table::complain(&failure.to_string());
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &[String]) -> Result<()> {
    let name = arguments.first().map_or("", String::as_str);
    let number = |at: usize, otherwise: u64| match arguments.get(at) {
        None => Ok(otherwise),
        Some(text) => text
            .replace('_', "")
            .parse()
            .map_err(|_| Failure(format!("{text:?} is not a number; {USAGE}"))),
    };
    match name {
        "files" => files::run(number(1, 2_000_000)?, arguments.get(2).map(String::as_str)),
        "latency" => latency::run(number(1, 20_000)?, number(2, 20)?),
        "kafka" => kafka::run(number(1, 1_000_000)?, arguments.get(2).map(String::as_str)),
        "recovery" => recovery::run(number(1, 1_000_000)?, number(2, 100_000)?),
        "memory" => memory::run(number(1, 2_000_000)?),
        "codec" => codec::run(),
        "hand-kafka" => kafka::hand(arguments),
        "hand" => files::hand(arguments),
        _ => Err(Failure::new(USAGE)),
    }
}
