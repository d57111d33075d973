//! What a user types, through the real binary: no Kafka, no database. `TIDEMARK_BIN` names it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod cluster;
mod cut;
mod demo;
mod files;
mod http;
mod late;
mod memory;
mod messages;
mod own_crate;
mod rejected;
mod stored;
mod ticklog;
mod troubled;

use serde_json::Value as Json;
use std::path::Path;
use std::time::Duration;
use tidemark_tests::clock::Deadline;
use tidemark_tests::engine::{Engine, Launch};

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

/// All lines that a file sink has written to `directory`, in the order of its files.
fn written(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The rows in an order of their own: within a tick a stream without keys comes out in any, though always the same, order.
fn sorted(rows: &[String]) -> Vec<String> {
    let mut rows = rows.to_vec();
    rows.sort();
    rows
}

/// Small ticks and many snapshots, so that much happens in little time.
fn busy(launch: Launch) -> Launch {
    launch.set("tick.records_max", 200).set("snapshots.interval", "100ms")
}

/// A bid as a line of JSON for the dataflow q1, and the row that q1 makes of it.
fn bid(number: u64) -> (String, String) {
    let (seconds, millis) = (number / 1000, number % 1000);
    let at = format!(
        "2026-01-01T{:02}:{:02}:{:02}.{millis:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    let shown = at.replace(".000Z", "Z");
    let shown = match shown.split_once('.') {
        Some((whole, fraction)) => {
            format!("{whole}.{}Z", fraction.trim_end_matches('Z').trim_end_matches('0'))
        }
        None => shown,
    };
    let (auction, bidder, price) = (1000 + number % 7, number, 100 + number % 13);
    let line = format!(
        r#"{{"kind":"bid","auction":{auction},"bidder":{bidder},"price":{price},"channel":"web","url":"u","at":"{at}","extra":""}}"#
    );
    let millicents = price * 908;
    let row = format!(
        r#"{{"auction":{auction},"bidder":{bidder},"price_millicents":{millicents},"at":"{shown}"}}"#
    );
    (line, row)
}

/// The dataflow q1 from files at `input` to files in `output`.
fn q1(workers: usize, root: &Path, input: &Path) -> Launch {
    Launch::new("q1", workers, &root.join("state"))
        .set("source.events.connector", "file")
        .set("source.events.path", input.display())
        .set("sink.q1.connector", "file")
        .set("sink.q1.path", root.join("out").display())
}
