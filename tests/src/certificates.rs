//! An authority and a certificate of it for loopback, in files.

use crate::engine::Launch;
use crate::{Failure, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::Path;

fn failed(error: rcgen::Error) -> Failure {
    Failure(format!("no certificate: {error}"))
}

/// Makes an authority and a certificate of it in `folder`, and gives `launch` with them for the connections between processes.
///
/// # Errors
/// If the files can't be written.
pub fn encrypted(launch: &Launch, folder: &Path) -> Result<Launch> {
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(failed)?;
    let authority = CertifiedIssuer::self_signed(params, key).map_err(failed)?;
    let key = KeyPair::generate().map_err(failed)?;
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let params = CertificateParams::new(names).map_err(failed)?;
    let certificate = params.signed_by(&key, &authority).map_err(failed)?;
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        Ok::<_, Failure>(path.display().to_string())
    };
    let key = write("process.key", key.serialize_pem())?;
    Ok(launch
        .clone()
        .set("cluster.tls_certificate", write("process.pem", certificate.pem())?)
        .set("cluster.tls_key", format!("{{ file = \"{key}\" }}"))
        .set("cluster.tls_authority", write("authority.pem", authority.pem())?))
}
