//! Who belongs to a cluster, and the limits of what its processes do with each other. No I/O.

use super::secret::Secret;
use super::tls::Tls;
use crate::error::{Error, Result};
use std::time::Duration;

/// Processes that a cluster may have.
const PROCESSES_MAX: usize = 1024;
/// Bytes of the name of a cluster, and of a program.
pub(super) const NAME_BYTES_MAX: usize = 255;

/// The processes of one job, as one of them knows them.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    /// `host:port` of each process, in order: where the others reach it.
    pub(crate) hosts: Vec<String>,
    /// The number of this process.
    pub(crate) process: usize,
    /// Where this process listens, if it is not its entry in `hosts` (behind a name that it can't bind).
    pub(crate) listen: Option<String>,
    /// Worker threads of each process; the same for all.
    pub(crate) workers: usize,
    /// The name of the cluster: 1 to 255 bytes.
    pub(crate) cluster: String,
    /// What proves that a process belongs to it.
    pub(crate) secret: Secret,
    /// How connections are encrypted; not at all if absent.
    pub(crate) tls: Option<Tls>,
    /// The fingerprint of the program: 1 to 255 bytes.
    pub(crate) program: String,
    /// Limits.
    pub(crate) limits: Limits,
}

/// Limits of a cluster's connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How long a process waits for the others, in each of [`super::Port::join`] and [`super::Port::mesh`].
    pub(crate) join_time_max: Duration,
    /// How long a handshake may take.
    pub(crate) handshake_time_max: Duration,
    /// Connections in a handshake at a time; beyond it the oldest is dropped.
    pub(crate) handshakes_max: usize,
    /// A process of which nothing is heard for so long is lost. Beats are sent four times in that time.
    pub(crate) heartbeat_limit: Duration,
    /// Bytes of one encoded message.
    pub(crate) message_bytes_max: usize,
    /// Bytes of encoded messages that wait to be sent to one process, and of those received from it and not yet given up.
    pub(crate) queue_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            join_time_max: Duration::from_secs(60),
            handshake_time_max: Duration::from_secs(5),
            handshakes_max: 64,
            heartbeat_limit: Duration::from_secs(10),
            message_bytes_max: 16 << 20,
            queue_bytes_max: 64 << 20,
        }
    }
}

impl Members {
    /// # Errors
    /// `Config` if a field is out of its range.
    pub(super) fn check(&self) -> Result<()> {
        let range = |what: &str, value: usize, min: usize, max: usize| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(Error::config(format!("{what}: {value} is not between {min} and {max}")))
        };
        range("the number of processes of the cluster", self.hosts.len(), 2, PROCESSES_MAX)?;
        range("the number of this process", self.process, 0, self.hosts.len() - 1)?;
        range("the number of workers", self.workers, 1, usize::from(u16::MAX))?;
        range("bytes of the cluster's name", self.cluster.len(), 1, NAME_BYTES_MAX)?;
        range("bytes of the program's fingerprint", self.program.len(), 1, NAME_BYTES_MAX)?;
        let limits = &self.limits;
        range("handshakes at a time", limits.handshakes_max, 1, 4096)?;
        range("bytes of a message", limits.message_bytes_max, 1, u32::MAX as usize)?;
        let queue = limits.queue_bytes_max;
        range("bytes of a queue of messages", queue, limits.message_bytes_max, usize::MAX)?;
        let times =
            [limits.join_time_max, limits.handshake_time_max, limits.heartbeat_limit / BEATS];
        if times.iter().any(|time| *time < Duration::from_millis(1)) {
            return Err(Error::config(
                "a time limit of the cluster is less than a few milliseconds",
            ));
        }
        Ok(())
    }

    /// How a message names process `number`.
    pub(super) fn called(&self, number: usize) -> String {
        format!("process {number} at {}", self.hosts[number])
    }
}

/// Beats in the time after which silence is a loss.
pub(super) const BEATS: u32 = 4;
