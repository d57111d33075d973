#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::ids::{Generation, Lane};
use crate::sinks::Row;
use std::collections::BTreeMap;

fn identity() -> Identity {
    let (job, program) = ("j".to_owned(), "p".to_owned());
    Identity { job, program, generation: Generation(1), nonce: crate::random::nonce() }
}

fn tick(tick: Tick, values: &[&str]) -> LaneTick {
    let row = |value: &&str| {
        let value = Some(value.as_bytes().to_vec().into());
        Row { shard: 0, key: Some(b"k"[..].into()), diff: 1, value }
    };
    let rows = values.iter().map(row).collect();
    let (next_offsets, watermarks) = (BTreeMap::new(), BTreeMap::new());
    LaneTick { lane: Lane(0), tick, rows, next_offsets, watermarks }
}

#[test]
fn rows_are_counted_once_a_tick_and_progress_is_never_claimed() {
    let mut sink = Blackhole::new("s");
    assert_eq!(sink.fence(&identity(), 1).unwrap(), [None]);
    sink.write(&[tick(1, &["ab"]), tick(2, &["c", "d"])]).unwrap();
    sink.write(&[tick(2, &["c", "d"]), tick(3, &["e"])]).unwrap();
    assert_eq!(sink.taken(), (4, 4 + 5));
    assert_eq!(sink.fence(&identity(), 1).unwrap(), [None], "it does not know what it was given");
    assert!(!sink.remembers());
}

#[test]
fn a_lane_that_was_not_fenced_is_refused() {
    assert!(Blackhole::new("s").write(&[tick(1, &["a"])]).is_err());
}
