//! One process of a fleet.
#![expect(unsafe_code, reason = "two system calls that the standard library does not wrap")]

use super::{Exit, SUPERVISOR_VARIABLE};
use crate::error::{Error, Kind, Result};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// A process; killed when this is dropped.
pub(super) struct Child {
    process: usize,
    child: std::process::Child,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts `program run arguments` as process number `process`.
    ///
    /// # Errors
    /// `Retry` if the system can't.
    pub(super) fn start(
        program: &Path,
        arguments: &[String],
        process: usize,
        secret: &str,
        supervisor: &Path,
    ) -> Result<Child> {
        let mut command = Command::new(program);
        command.arg("run").args(arguments);
        command.env("TIDEMARK_CLUSTER__SECRET", secret);
        command.env(SUPERVISOR_VARIABLE, supervisor);
        // Ctrl-C in a terminal goes to the group; the fleet passes on what is meant.
        command.stdin(Stdio::null()).process_group(0);
        if process > 0 {
            // Process 0 has the progress line and what a sink writes to standard output.
            command.stdout(Stdio::null()).stderr(Stdio::piped());
        }
        // SAFETY: prctl with these arguments only sets a number of the calling process; nothing is allocated or locked.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let failed =
            |e| Error::new(Kind::Retry, format!("process {process} can't be started: {e}"));
        let mut child = command.spawn().map_err(failed)?;
        if let Some(lines) = child.stderr.take() {
            std::thread::spawn(move || pass_on(process, BufReader::new(lines)));
        }
        Ok(Child { process, child, ended: None })
    }

    /// Its number in the system.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs.
    pub(super) fn is_running(&mut self) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let Ok(Some(status)) = self.child.try_wait() else { return true };
        if !status.success() {
            tracing::warn!("process {} has ended: {status}", self.process);
        }
        self.ended = Some(status);
        false
    }

    /// Its exit code; that of a failure if a signal has ended it.
    pub(super) fn code(&self) -> u8 {
        let status = self.ended.unwrap_or(ExitStatus::from_raw(libc::SIGKILL));
        status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(Exit::Failed as u8)
    }

    /// Asks for a clean end.
    pub(super) fn ask_to_end(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().filter(|_| self.is_running());
        if let Some(pid) = pid {
            // SAFETY: kill takes two integers; the child is not waited for yet, so that the number is still its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
    }

    /// Ends it now.
    pub(super) fn kill(&mut self) {
        // It fails if it has ended.
        let _ = self.child.kill();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
            // Waited for, so that its port is free.
            let _ = self.child.wait();
        }
    }
}

/// Passes on what a process logs, with its number.
fn pass_on(process: usize, lines: impl BufRead) {
    for line in lines.lines() {
        let Ok(line) = line else { return };
        // Nobody reads any more: the process goes on.
        let _ = writeln!(std::io::stderr(), "process {process}: {line}");
    }
}
