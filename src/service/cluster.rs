//! The place of this process in its cluster, as the configuration says.

use crate::cluster::{Limits, Members, Pem, Port, Secret, Tls};
use crate::config::{Cluster, Settings};
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
/// `Config` if the secret is missing or too short, the certificates can't be used, or the port can't be listened on.
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
        tls: tls(cluster)?,
        program: program.to_owned(),
        limits: Limits {
            join_time_max: cluster.join_time_max,
            heartbeat_limit: cluster.heartbeat_limit,
            ..Limits::default()
        },
    })
    .map(Some)
}

/// How connections are encrypted, if they are.
fn tls(cluster: &Cluster) -> Result<Option<Tls>> {
    let Cluster { tls_certificate, tls_key, tls_authority, .. } = cluster;
    let (certificate, key, authority) = match (tls_certificate, tls_key, tls_authority) {
        (None, None, None) => return Ok(None),
        (Some(certificate), Some(key), Some(authority)) => (certificate, key, authority),
        _ => {
            let said = [
                ("cluster.tls_certificate", tls_certificate.is_some()),
                ("cluster.tls_key", tls_key.is_some()),
                ("cluster.tls_authority", tls_authority.is_some()),
            ];
            let missing: Vec<_> =
                said.iter().filter(|(_, said)| !said).map(|(key, _)| *key).collect();
            return Err(Error::config(format!(
                "{} missing: connections are encrypted with a certificate, its key and the authority that certifies all processes, or with \
                 none of them",
                missing.join(" and ") + if missing.len() == 1 { " is" } else { " are" }
            )));
        }
    };
    let read = |key: &str, path: &String| {
        std::fs::read(path).map_err(|e| Error::config(format!("{key}: {path} can't be read: {e}")))
    };
    let key = key.reveal().map_err(|e| e.at("cluster.tls_key"))?;
    Tls::new(&Pem {
        certificate: &read("cluster.tls_certificate", certificate)?,
        key: key.expose().as_bytes(),
        authority: &read("cluster.tls_authority", authority)?,
    })
    .map(Some)
}
