//! The fingerprint of the program: which code computed the ticks of the log.

use crate::error::{Error, Kind, Result};
use crate::hash::chain;
use std::io::Read;

/// The fingerprint of the running program and dataflow: XXH3-64 over the executable's bytes and the dataflow's name.
///
/// # Errors
/// `Retry` if the executable can't be read.
pub(super) fn fingerprint(dataflow: &str) -> Result<String> {
    let unreadable = |error: std::io::Error| {
        Error::new(
            Kind::Retry,
            format!(
                "the program's own file can't be read for its fingerprint ({error}); set job.program instead"
            ),
        )
    };
    // The link that the system keeps to the running file; its path may name another file by now.
    let mut file = std::fs::File::open("/proc/self/exe").map_err(unreadable)?;
    let mut block = vec![0; 1 << 20];
    let mut sum = chain(0, dataflow.as_bytes());
    loop {
        let read = file.read(&mut block).map_err(unreadable)?;
        if read == 0 {
            return Ok(format!("{sum:016x}"));
        }
        sum = chain(sum, &block[..read]);
    }
}
