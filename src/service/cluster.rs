//! The place of this process in its cluster, as the configuration says.

use crate::cluster::{Limits, Members, Port, Secret};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::job::setup::Size;

/// How many workers and processes the job has, and which process this is.
pub(super) fn size(settings: &Settings) -> Size {
    let cluster = &settings.cluster;
    Size {
        workers: settings.workers,
        processes: cluster.hosts.len().max(1),
        process: cluster.process,
    }
}

/// The port at which the other processes reach this one; none if there are no others.
///
/// # Errors
/// `Config` if the secret is missing or too short, or the port can't be listened on.
pub(super) fn open(settings: &Settings, program: &str) -> Result<Option<Port>> {
    let cluster = &settings.cluster;
    if cluster.hosts.len() < 2 {
        return Ok(None);
    }
    let secret = cluster.secret.as_ref().ok_or_else(|| {
        Error::config(
            "cluster.secret is missing: the processes prove with it that they belong together",
        )
    })?;
    let secret = secret.reveal().map_err(|e| e.at("cluster.secret"))?;
    Port::open(Members {
        hosts: cluster.hosts.clone(),
        process: cluster.process,
        listen: cluster.listen.clone(),
        workers: settings.workers,
        cluster: cluster.name.clone(),
        secret: Secret::new(secret.expose().as_bytes())?,
        program: program.to_owned(),
        limits: Limits {
            join_time_max: cluster.join_time_max,
            heartbeat_limit: cluster.heartbeat_limit,
            ..Limits::default()
        },
    })
    .map(Some)
}
