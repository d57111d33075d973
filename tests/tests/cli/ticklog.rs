//! A damaged tick log, found by the next start: what a crash can leave is cut off, anything else is refused by name.

use crate::{LONG, bid, busy, q1, sorted, until, written};
use std::fs;
use std::path::{Path, PathBuf};
use tidemark_tests::engine::Engine;

const HEADER_BYTES: usize = 32;
const FRAME_HEAD_BYTES: usize = 8;

/// Where each frame of a log begins, and the end, as `doc/formats/tick-log.md` says.
fn frames(log: &[u8]) -> Vec<usize> {
    let mut all = vec![HEADER_BYTES];
    loop {
        let at = *all.last().unwrap();
        let Some(head) = log.get(at..at + FRAME_HEAD_BYTES) else { return all };
        let length = u32::from_le_bytes(head[..4].try_into().unwrap());
        all.push(at + FRAME_HEAD_BYTES + usize::try_from(length).unwrap());
    }
}

/// Writes `count` bids to the input from number `from` on; the rows that come of them.
fn write(input: &Path, from: u64, count: u64) -> Vec<String> {
    let (lines, rows): (Vec<_>, Vec<_>) = (from..from + count).map(bid).unzip();
    let before = fs::read_to_string(input).unwrap_or_default();
    fs::write(input, before + &lines.join("\n") + "\n").unwrap();
    rows
}

/// A job that was killed after it had written all rows of its input: these, and its log.
fn killed(root: &Path, input: &Path) -> (Vec<String>, PathBuf) {
    let rows = write(input, 0, 2_000);
    let launch = busy(q1(2, root, input)).set("source.events.follow", true);
    let mut engine = Engine::launch(&launch).unwrap();
    until("all rows", || {
        let found = written(&root.join("out")).len();
        if found == rows.len() { Ok(()) } else { Err(format!("{found} rows")) }
    });
    engine.kill().unwrap();
    (rows, root.join("state/tick.log"))
}

/// Runs the job to the end of its input.
fn finish(root: &Path, input: &Path) -> String {
    let mut engine = Engine::launch(&busy(q1(1, root, input))).unwrap();
    let status = engine.wait(LONG).unwrap();
    let log = engine.stderr().since(0).join("\n");
    assert_eq!(status.code(), Some(0), "{log}");
    log
}

#[test]
fn a_torn_tail_is_cut_off_and_the_job_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let (root, input) = (directory.path(), directory.path().join("in.jsonl"));
    let (mut rows, path) = killed(root, &input);
    // A record of which half was written when the power went.
    let mut log = fs::read(&path).unwrap();
    let places = frames(&log);
    let end = log.len();
    assert_eq!(places.last(), Some(&end), "a whole log");
    let half = log[places[0]..places[0] + (places[1] - places[0]) / 2].to_vec();
    log.extend(&half);
    fs::write(&path, &log).unwrap();

    rows.extend(write(&input, 2_000, 500));
    let said = finish(root, &input);
    let told = format!("byte {end}: the last {} bytes are a record", half.len());
    assert!(said.contains(&path.display().to_string()) && said.contains(&told), "{said}");
    assert_eq!(sorted(&written(&root.join("out"))), sorted(&rows));
}

#[test]
fn a_flipped_byte_in_the_middle_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let (root, input) = (directory.path(), directory.path().join("in.jsonl"));
    let (mut rows, path) = killed(root, &input);
    let whole = fs::read(&path).unwrap();
    let places = frames(&whole);
    let middle = places.len() / 2;
    let (begin, end) = (places[middle - 1], places[middle]);
    let mut damaged = whole.clone();
    damaged[begin + (end - begin + FRAME_HEAD_BYTES) / 2] ^= 1;
    fs::write(&path, &damaged).unwrap();

    rows.extend(write(&input, 2_000, 500));
    // The same again: a start that refuses changes nothing.
    for _ in 0..2 {
        let mut engine = Engine::launch(&busy(q1(1, root, &input))).unwrap();
        let status = engine.wait(LONG).unwrap();
        let said = engine.stderr().since(0).join("\n");
        assert_eq!(status.code(), Some(5), "{said}");
        let place = format!("byte {begin}:");
        for part in ["error (corrupt)", &path.display().to_string(), &place, "checksum"] {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
        assert!(fs::read(&path).unwrap() == damaged, "the log was touched");
        assert_eq!(written(&root.join("out")).len(), 2_000);
    }
    // With the file restored, as the message says, it goes on.
    fs::write(&path, &whole).unwrap();
    finish(root, &input);
    assert_eq!(sorted(&written(&root.join("out"))), sorted(&rows));
}
