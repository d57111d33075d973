//! Certificates made for a test.

use super::super::{Pem, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Somebody who certifies processes.
pub(in super::super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(in super::super) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// In PEM.
    pub(in super::super) fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a name or address and its key, in PEM.
    pub(in super::super) fn certifies(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// What a process has that the authority has certified under this name, and that trusts it.
pub(in super::super) fn identity(authority: &Authority, name: &str) -> Tls {
    identity_that_trusts(authority, name, authority)
}

/// As [`identity`], but it trusts another one.
pub(in super::super) fn identity_that_trusts(
    authority: &Authority,
    name: &str,
    trusted: &Authority,
) -> Tls {
    let (certificate, key) = authority.certifies(name);
    Tls::new(&Pem {
        certificate: certificate.as_bytes(),
        key: key.as_bytes(),
        authority: trusted.certificate().as_bytes(),
    })
    .unwrap()
}
