//! The engine as a child that goes on running: asked over HTTP, weighed by the kernel, killed.

use crate::process::Usage;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tidemark_tests::broker::free_port;
use tidemark_tests::clock::{self, Deadline};
use tidemark_tests::{Failure, Result, process};

/// A running engine. Killed when dropped.
pub(crate) struct Job {
    child: Child,
    http: u16,
    log: tempfile::NamedTempFile,
    agent: ureq::Agent,
}

impl Job {
    /// Starts `dataflow` with its state in `state`.
    pub(crate) fn start(
        dataflow: &str,
        workers: usize,
        state: &std::path::Path,
        settings: &[(&str, String)],
    ) -> Result<Job> {
        let http = free_port()?;
        let log = tempfile::NamedTempFile::new()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["run", dataflow, "--workers", &workers.to_string()])
            .args(["--http", &format!("127.0.0.1:{http}"), "--state", &state.to_string_lossy()])
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "info".into()))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.reopen()?)
            .stderr(log.reopen()?);
        for (key, value) in settings {
            command.args(["-D", &format!("{key}={value}")]);
        }
        let child = process::spawn(command)?;
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.timeout_global(Some(Duration::from_secs(5))).build().into();
        Ok(Job { child, http, log, agent })
    }

    /// The status and body of a GET.
    pub(crate) fn get(&self, path: &str) -> Result<(u16, String)> {
        let mut answer = self.agent.get(format!("http://127.0.0.1:{}{path}", self.http)).call()?;
        Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
    }

    /// Posts `body`.
    pub(crate) fn post(&self, path: &str, body: &str) -> Result<()> {
        let request = self.agent.post(format!("http://127.0.0.1:{}{path}", self.http));
        let request = request.config().timeout_global(Some(Duration::from_secs(120))).build();
        let mut answer = request.send(body)?;
        match answer.status().as_u16() {
            200..300 => Ok(()),
            status => {
                Err(Failure(format!("{path}: {status} {}", answer.body_mut().read_to_string()?)))
            }
        }
    }

    /// The job's status.
    pub(crate) fn status(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.get("/api/v1/job")?.1)?)
    }

    /// The value of a metric, by the begin of its line.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let (_, text) = self.get("/metrics")?;
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.ok_or_else(|| Failure(format!("no metric {name} in:\n{text}")))
    }

    /// Waits until `look` says yes; gives how long that took.
    pub(crate) fn wait(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut(&Job) -> Result<bool>,
    ) -> Result<Duration> {
        let (begun, deadline) = (clock::now(), Deadline::after(limit));
        loop {
            // Until it listens there is no answer, which is not yet a failure.
            if look(self).unwrap_or(false) {
                return Ok(begun.elapsed());
            }
            if self.child.try_wait()?.is_some() || deadline.left().is_none() {
                let log = std::fs::read_to_string(self.log.path())?;
                return Err(Failure(format!("{what} did not come; the engine's log:\n{log}")));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until it serves.
    pub(crate) fn ready(&mut self) -> Result<Duration> {
        self.wait("readiness", Duration::from_secs(120), |job| Ok(job.get("/readyz")?.0 == 200))
    }

    /// What it has used so far, to a hundredth of a second.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| -> u64 { fields.get(at).and_then(|f| f.parse().ok()).unwrap_or(0) };
        let time = |at| Duration::from_millis(ticks(at) * 10);
        Ok(Usage { user: time(11), sys: time(12), wall: Duration::ZERO })
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.kill());
    }
}
