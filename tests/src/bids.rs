//! Bids in files, the dataflow q1 that converts them, and what came of it. Knows neither Kafka nor a store.

use crate::Result;
use crate::engine::{Engine, Launch};
use crate::process::Signal;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// All lines that a file sink has written to `directory`, in the order of its files.
pub fn written(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    let texts =
        files.iter().map(|file| std::fs::read_to_string(file).expect("what a sink wrote is text"));
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The rows in an order of their own: within a tick a stream without keys comes out in any, though always the same, order.
pub fn sorted(rows: &[String]) -> Vec<String> {
    let mut rows = rows.to_vec();
    rows.sort();
    rows
}

/// Small ticks and many snapshots, so that much happens in little time.
pub fn busy(launch: Launch) -> Launch {
    launch.set("tick.records_max", 200).set("snapshots.interval", "100ms")
}

/// A bid as a line of JSON for the dataflow q1, and the row that q1 makes of it.
pub fn bid(number: u64) -> (String, String) {
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
pub fn q1(workers: usize, root: &Path, input: &Path) -> Launch {
    Launch::new("q1", workers, &root.join("state"))
        .set("source.events.connector", "file")
        .set("source.events.path", input.display())
        .set("sink.q1.connector", "file")
        .set("sink.q1.path", root.join("out").display())
}

/// Appends `count` bids to the input, from number `from` on; the rows that come of them.
///
/// # Errors
/// If the file can't be written.
pub fn write(input: &Path, from: u64, count: u64) -> Result<Vec<String>> {
    let (lines, rows): (Vec<_>, Vec<_>) = (from..from + count).map(bid).unzip();
    let mut file = OpenOptions::new().create(true).append(true).open(input)?;
    file.write_all((lines.join("\n") + "\n").as_bytes())?;
    Ok(rows)
}

/// Halts the engine when its file sink in `out` is not just committing: halted with the sink's lock it would keep everybody out.
///
/// # Errors
/// If the engine has ended, or its sink has made no lock yet.
pub fn halt(engine: &Engine, out: &Path) -> Result<()> {
    let lock = File::open(out.join(".tidemark/lock"))?;
    let status = format!("/proc/{}/stat", engine.pid());
    loop {
        engine.signal(Signal::Stop)?;
        // The state stands behind the name in brackets.
        while !std::fs::read_to_string(&status)?.contains(") T ") {
            std::thread::yield_now();
        }
        if lock.try_lock().is_ok() {
            return Ok(lock.unlock()?);
        }
        engine.signal(Signal::Cont)?;
    }
}
