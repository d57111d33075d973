//! Ports for servers of tests: below 32768, where Linux takes none for outgoing connections.

use crate::{Failure, Result};
use std::io::Read as _;
use std::net::TcpListener;

/// A port on loopback that nobody listened on a moment ago, between 15000 and 31999.
///
/// # Errors
/// If none of 200 was free.
pub fn free_port() -> Result<u16> {
    let mut random = std::fs::File::open("/dev/urandom")?;
    for _ in 0..200 {
        let mut bytes = [0; 2];
        random.read_exact(&mut bytes)?;
        let port = 15_000 + u16::from_le_bytes(bytes) % 17_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Failure::new("none of 200 ports between 15000 and 31999 is free"))
}
