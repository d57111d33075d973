//! The hash functions: one for maps in memory, one for everything stored. No map here has an order that may reach an output.
#![expect(clippy::disallowed_types, reason = "this is where the map with a fixed seed is made")]

use foldhash::fast::FixedState;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hasher as _};

/// A hash map with a fixed seed. Its order must not reach an output or a snapshot.
pub type Map<K, V> = HashMap<K, V, FixedState>;

/// A hash set with a fixed seed. Its order must not reach an output or a snapshot.
pub type Set<K> = HashSet<K, FixedState>;

/// A hash for a table in memory that is told its hashes.
pub(crate) fn hashed(bytes: &[u8]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// The number of virtual shards over which sinks spread keys.
pub const SHARDS: u16 = 4096;

/// The virtual shard of a key: XXH3-64 modulo [`SHARDS`]. Stored, hence fixed for ever.
pub fn shard(key: &[u8]) -> u16 {
    (xxhash_rust::xxh3::xxh3_64(key) % u64::from(SHARDS)) as u16
}

/// XXH3-64 of `bytes` chained to what came before; 0 begins a chain.
pub fn chain(before: u64, bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(bytes, before)
}

/// The checksum of a range of records, one record further: `before` is 0 for the first. The key comes first, then the payload; a
/// missing key is as an empty one, a tombstone (`None`) is an empty payload and one byte 0xff more. Stored, hence fixed for ever
/// (`doc/formats/tick-log.md`).
///
/// ```
/// use tidemark::hash::{chain, chain_record};
/// let first = chain_record(0, Some(b"k"), Some(b"v"));
/// assert_eq!(first, chain(chain(0, b"k"), b"v"));
/// assert_ne!(chain_record(first, None, None), chain_record(first, None, Some(b"")));
/// ```
pub fn chain_record(before: u64, key: Option<&[u8]>, payload: Option<&[u8]>) -> u64 {
    let keyed = chain(before, key.unwrap_or_default());
    match payload {
        Some(payload) => chain(keyed, payload),
        None => chain(chain(keyed, b""), b"\xff"),
    }
}
