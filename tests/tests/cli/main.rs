//! What a user types, through the real binary: no Kafka, no database. `TIDEMARK_BIN` names it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod cluster;
mod cut;
mod demo;
mod files;
mod hostile;
mod http;
mod late;
mod memory;
mod messages;
mod own_crate;
mod rejected;
mod replay;
mod stored;
mod ticklog;
mod troubled;

use serde_json::Value as Json;
use std::time::Duration;
use tidemark_tests::bids::{bid, busy, q1, sorted, written};
use tidemark_tests::clock::Deadline;
use tidemark_tests::engine::Engine;

/// A deadline that only a hanging engine reaches.
const LONG: Duration = Duration::from_secs(120);

/// Looks again until `look` gives something; what it looked at goes into the message when the time is over.
fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Deadline::after(LONG);
    loop {
        match look() {
            Ok(found) => return found,
            Err(_) if deadline.left().is_some() => std::thread::sleep(Duration::from_millis(20)),
            Err(last) => panic!("{LONG:?} passed before {what}: {last}"),
        }
    }
}

/// The JSON at `path`, once it is answered with 200.
fn ask(engine: &Engine, path: &str) -> Json {
    until(path, || match engine.get(path) {
        Ok(answer) if answer.status == 200 => answer.json().map_err(|e| e.to_string()),
        Ok(answer) => Err(format!("{} {}", answer.status, answer.body)),
        Err(error) => Err(error.to_string()),
    })
}
