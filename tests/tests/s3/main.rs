//! State in a store that speaks S3, over HTTP: what the store keeps, what a start says, whole jobs over kills, and over a network that
//! cuts and delays.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../../../src/state/store/tests/contract.rs"]
mod contract;
mod faults;
mod jobs;
mod messages;
mod store;

use std::path::{Path, PathBuf};
use std::time::Duration;
// The contract's tests say `super`.
use tidemark::state::store::{Put, Store};
use tidemark_tests::bids::{busy, q1, written};
use tidemark_tests::clock::Deadline;
use tidemark_tests::engine::{Engine, Launch};

/// A deadline that only a hanging engine reaches.
const LONG: Duration = Duration::from_secs(180);

/// A configuration for the store at `endpoint`, with a key that S3Mock does not look at.
fn configured(root: &Path, endpoint: &str, more: &str) -> PathBuf {
    let key = root.join("key");
    std::fs::write(&key, "not-looked-at").unwrap();
    let key = key.display();
    let text = format!(
        "log.kind = \"store\"\n[s3]\nendpoint = \"{endpoint}\"\nallow_http = true\nregion = \"us-east-1\"\n\
         access_key_id = {{ file = \"{key}\" }}\nsecret_access_key = {{ file = \"{key}\" }}\n{more}"
    );
    let path = root.join("config.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// The dataflow q1 with everything but its files in the bucket.
fn stored(workers: usize, root: &Path, config: &Path, bucket: &str) -> Launch {
    Launch {
        state: format!("s3://{bucket}/jobs/q1").into(),
        config: Some(config.to_owned()),
        ..busy(q1(workers, root, &root.join("in.jsonl")))
    }
}

/// Waits until the sink has this many rows.
fn rows(engine: &Engine, root: &Path, count: usize) {
    let deadline = Deadline::after(LONG);
    loop {
        let found = written(&root.join("out")).len();
        if found >= count {
            return;
        }
        assert!(deadline.left().is_some(), "{found} of {count} rows\n{}", engine.stderr().tail(40));
        std::thread::sleep(Duration::from_millis(20));
    }
}
