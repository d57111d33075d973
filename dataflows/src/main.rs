//! The `tidemark` binary with the example dataflows.

use dataflows::{components, hot_items, nexmark, proof};
use std::process::ExitCode;
use tidemark::flow::Build;

fn main() -> ExitCode {
    tidemark::main([
        ("hot-items", hot_items::hot_items as Build),
        ("components", components::components),
        ("q1", nexmark::q1),
        ("q3", nexmark::q3),
        ("q5", nexmark::q5),
        ("proof", proof::proof),
    ])
}
