//! The one door to randomness. Nothing drawn here reaches an output.

use crate::ids::Nonce;
use std::fs::File;
use std::io::Read;
use std::sync::LazyLock;

/// A nonce from the operating system.
///
/// # Panics
/// If the system has no source of randomness.
pub fn nonce() -> Nonce {
    Nonce(u64::from_le_bytes(bytes()))
}

/// Bytes from the operating system that nobody can foretell.
///
/// # Panics
/// If the system has no source of randomness.
pub fn bytes<const N: usize>() -> [u8; N] {
    // Opened once, so that it does not fail when files run short.
    static SOURCE: LazyLock<File> =
        LazyLock::new(|| File::open("/dev/urandom").expect("the system has random bytes"));
    let mut bytes = [0; N];
    (&*SOURCE).read_exact(&mut bytes).expect("the system gives random bytes");
    bytes
}
