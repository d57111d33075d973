//! A dataflow whose code is in trouble as its input says: it is slow, or it panics. What Tidemark does then is in
//! `doc/operating/trouble.md`; tests run it.

use std::process::ExitCode;
use std::time::Duration;
use tidemark::flow::endpoint::file;
use tidemark::flow::{Build, Flow};
use tidemark::operators::aggregate::sum;
use tidemark::{Row, main as tidemark_main};

/// An order, and the trouble that it makes.
#[derive(Row)]
struct Order {
    number: u64,
    /// Seconds for which the step behind the source sleeps.
    sleep: Option<u64>,
    /// Panics in the step behind the source.
    panic: Option<bool>,
    /// Panics in a step behind an exchange.
    panic_later: Option<bool>,
}

/// Whether the program is mended, as another build of it would be.
fn mended() -> bool {
    std::env::var_os("TROUBLED_MENDED").is_some()
}

fn troubled(flow: &Flow<'_>) {
    let orders = flow.source("orders", file::path("orders.jsonl").json::<Order>());
    let taken = orders.map(|order| {
        std::thread::sleep(Duration::from_secs(order.sleep.unwrap_or(0)));
        assert!(order.panic != Some(true), "order {} can not be taken", order.number);
        (order.number, order.panic_later == Some(true))
    });
    let sums = taken.key_by(|(number, _)| number % 7).aggregate(
        "sums",
        sum(|(number, later): &(u64, bool)| {
            assert!(!later || mended(), "order {number} can not be added");
            *number
        }),
    );
    flow.serve("sums", &sums);
    flow.sink("taken", &taken, file::path("taken").json());
}

fn main() -> ExitCode {
    tidemark_main([("troubled", troubled as Build)])
}
