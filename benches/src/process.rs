//! A child and what it used: user and system time apart, as the kernel counts them for the whole process.
#![expect(unsafe_code, reason = "wait4 and sysconf have no safe twin in the standard library")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tidemark_tests::{Failure, Result, clock};

/// What a process used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) user: Duration,
    pub(crate) sys: Duration,
    pub(crate) wall: Duration,
}

impl Usage {
    pub(crate) fn cpu(self) -> Duration {
        self.user + self.sys
    }

    pub(crate) fn since(self, earlier: Usage) -> Usage {
        Usage {
            user: self.user.saturating_sub(earlier.user),
            sys: self.sys.saturating_sub(earlier.sys),
            wall: self.wall.saturating_sub(earlier.wall),
        }
    }
}

/// Runs this program again with `arguments` and waits for it; gives what it used and what it wrote to standard error and output.
pub(crate) fn run(arguments: &[String]) -> Result<(Usage, String)> {
    let log = tempfile::NamedTempFile::new()?;
    let begun = clock::now();
    let child = Command::new(std::env::current_exe()?)
        .args(arguments)
        .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "info".into()))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(log.reopen()?)
        .stderr(log.reopen()?)
        .spawn()?;
    let pid = i32::try_from(child.id()).expect("process ids fit");
    let mut status = 0;
    // SAFETY: a zeroed rusage is valid, and both pointers live through the call.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        if libc::wait4(pid, &raw mut status, 0, &raw mut usage) != pid {
            return Err(std::io::Error::last_os_error().into());
        }
        usage
    };
    let wall = begun.elapsed();
    let text = std::fs::read_to_string(log.path())?;
    if status != 0 {
        return Err(Failure(format!("{} ended with {status}:\n{text}", arguments.join(" "))));
    }
    let time = |t: libc::timeval| {
        Duration::from_micros(u64::try_from(t.tv_sec * 1_000_000 + t.tv_usec).unwrap_or(0))
    };
    Ok((Usage { user: time(usage.ru_utime), sys: time(usage.ru_stime), wall }, text))
}

/// Reads a file through, so that it is in the page cache.
pub(crate) fn warm(path: &Path) -> Result<u64> {
    Ok(std::io::copy(&mut std::fs::File::open(path)?, &mut std::io::sink())?)
}
