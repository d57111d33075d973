use super::*;
use crate::hash::chain;

/// Rows with few distinct shards, keys, positions and values, so that every column decides somewhere.
fn rows(count: u64) -> Vec<OutRow> {
    let row = |n: u64| {
        let bits = chain(7, &n.to_le_bytes());
        let shard = if bits & 1 == 0 { SHARDS - 1 } else { (bits >> 8) as u16 % 50 };
        let key = (bits & 2 == 0).then(|| vec![(bits >> 24) as u8 % 5].into());
        let value = vec![(bits >> 40) as u8 % 3].into();
        OutRow { shard, key, pos: (bits >> 32) % 4, value, diff: 1 - (bits >> 48 & 2) as isize }
    };
    (0..count).map(row).collect()
}

#[test]
fn dealing_out_by_shard_gives_the_order_that_comparing_gives() {
    for count in [0, 1, 100, BUCKETED as u64 - 1, BUCKETED as u64, 5_000] {
        let mut expected = rows(count);
        expected.sort();
        assert_eq!(sorted(rows(count)), expected, "{count} rows");
    }
}
