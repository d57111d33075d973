#![expect(clippy::unwrap_used, reason = "tests")]
use super::super::tests::certificates::Authority;
use super::*;
use crate::error::Kind;

fn refused(certificate: &str, key: &str, authority: &str) -> String {
    let error = Tls::new(&Pem {
        certificate: certificate.as_bytes(),
        key: key.as_bytes(),
        authority: authority.as_bytes(),
    })
    .unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    error.message().to_owned()
}

#[test]
fn what_can_not_be_used_is_named() {
    let authority = Authority::new();
    let [(certificate, key), (_, other_key)] = [authority.certifies("a"), authority.certifies("b")];
    let root = authority.certificate();
    assert_eq!(
        refused("nothing", &key, &root),
        "cluster.tls_certificate: there is no certificate in PEM"
    );
    assert!(refused(&certificate, "nothing", &root).starts_with("cluster.tls_key: no private key"));
    assert_eq!(
        refused(&certificate, &key, ""),
        "cluster.tls_authority: there is no certificate in PEM"
    );
    let told = refused(&certificate, &other_key, &root);
    assert!(
        told.starts_with("cluster.tls_certificate and cluster.tls_key can't be used"),
        "{told}"
    );
}
