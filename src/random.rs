//! The one door to randomness. Nothing drawn here reaches an output.

use crate::ids::Nonce;
use std::io::Read;

/// A nonce from the operating system.
///
/// # Panics
/// If the system has no source of randomness.
pub fn nonce() -> Nonce {
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .expect("the system gives random bytes");
    Nonce(u64::from_le_bytes(bytes))
}
