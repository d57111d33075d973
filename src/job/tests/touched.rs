//! At a snapshot the workers touch no rows in proportion to state.

use crate::flow::Flow;
use crate::flow::endpoint::kafka;
use crate::operators::aggregate::count;
use crate::row::{DecodeError, Row, Schema};
use crate::testing::Job;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};

/// How often a key was cloned or encoded.
static TOUCHED: AtomicU64 = AtomicU64::new(0);

/// A key that counts how often it is cloned or encoded.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Key(u64);

impl Clone for Key {
    fn clone(&self) -> Key {
        TOUCHED.fetch_add(1, Ordering::Relaxed);
        Key(self.0)
    }
}

impl Row for Key {
    fn schema() -> Schema {
        u64::schema()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        TOUCHED.fetch_add(1, Ordering::Relaxed);
        self.0.encode(out);
    }

    fn decode(input: &mut &[u8]) -> Result<Key, DecodeError> {
        u64::decode(input).map(Key)
    }
}

fn counts(flow: &Flow<'_>) {
    let keys = flow.source("keys", kafka::topic("keys").json::<Key>());
    let keys = keys.key_by(Clone::clone);
    flow.serve("counts", &keys.aggregate("counts", count()));
}

/// Keys touched, and changes handed over, from before three records come until the snapshot after them exists, in a job that has
/// `live` rows.
fn touched_at_a_snapshot(live: u64) -> (u64, u64) {
    let mut job = Job::new(counts);
    job.push("keys", (0..live).map(Key)).tick();
    job.snapshot();
    let before = (TOUCHED.load(Ordering::Relaxed), job.handed_over());
    assert_eq!(before.1, live, "every row was handed over once");
    job.push("keys", [Key(1), Key(2), Key(3)]);
    job.snapshot();
    (TOUCHED.load(Ordering::Relaxed) - before.0, job.handed_over() - before.1)
}

#[test]
fn a_snapshot_costs_the_workers_what_has_changed_whatever_the_state() {
    let (touched, handed_over) = touched_at_a_snapshot(20);
    assert_eq!(handed_over, 3);
    assert!((3..100).contains(&touched), "{touched} touched");
    assert_eq!(touched_at_a_snapshot(20_000), (touched, handed_over));
}
