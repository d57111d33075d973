//! What a start says of a store that it can't use, and whether it waits or ends.

use crate::{LONG, configured, stored};
use std::path::Path;
use tidemark_tests::bids;
use tidemark_tests::engine::{Engine, Launch};
use tidemark_tests::s3::Server;
use tidemark_tests::s3::proxy::{Plan, Proxy, error};

/// The end of a start that ends at once: its code and what it said.
fn refused(launch: &Launch) -> String {
    let mut engine = Engine::launch(launch).unwrap();
    let status = engine.wait(LONG).unwrap();
    let said = engine.stderr().since(0).join("\n");
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(!said.contains("not-looked-at"), "the secret is shown: {said}");
    said
}

fn has(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

fn input(root: &Path) -> Vec<String> {
    bids::write(&root.join("in.jsonl"), 0, 200).unwrap()
}

#[test]
fn a_bucket_that_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let (root, server) = (directory.path(), Server::shared());
    input(root);
    let config = configured(root, &server.endpoint(), "");
    let said = refused(&stored(1, root, &config, "no-such-bucket"));
    has(&said, &["there is no bucket no-such-bucket", "NoSuchBucket", &server.endpoint()]);
}

/// S3Mock knows no keys, so that the proxy says what Amazon says.
#[test]
fn a_key_that_may_not() {
    let directory = tempfile::tempdir().unwrap();
    let (root, server) = (directory.path(), Server::shared());
    input(root);
    let proxy = Proxy::start(&server.address(), 1).unwrap();
    let config = configured(root, &proxy.endpoint(), "");
    for (code, advice) in [
        ("InvalidAccessKeyId", "correct s3.access_key_id"),
        ("SignatureDoesNotMatch", "correct s3.secret_access_key"),
        ("AccessDenied", "s3:PutObject"),
        ("RequestTimeTooSkewed", "set this machine's clock"),
    ] {
        proxy.follow(Plan { refuses: Some((403, error(code))), ..Plan::default() });
        let said = refused(&stored(1, root, &config, "bucket"));
        has(&said, &[advice, code, "s3://bucket/jobs/q1", &proxy.endpoint()]);
    }
}

#[test]
fn a_store_that_ignores_the_condition() {
    let directory = tempfile::tempdir().unwrap();
    let (root, server) = (directory.path(), Server::shared());
    input(root);
    let proxy = Proxy::start(&server.address(), 1).unwrap();
    let config = configured(root, &proxy.endpoint(), "");
    let bucket = server.bucket().unwrap();
    proxy.follow(Plan { without_conditions: true, ..Plan::default() });
    let said = refused(&stored(1, root, &config, &bucket));
    has(&said, &["made an object again", "If-None-Match", &proxy.endpoint()]);
    // The same store with conditions is taken: nothing was left that is in the way.
    proxy.follow(Plan::default());
    let mut engine = Engine::launch(&stored(1, root, &config, &bucket)).unwrap();
    assert!(engine.wait(LONG).unwrap().success(), "{}", engine.stderr().tail(20));
}

#[test]
fn a_log_in_a_file_that_would_be_in_the_bucket() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    input(root);
    let config = configured(root, "https://nowhere.invalid", "");
    let said = refused(&stored(1, root, &config, "bucket").set("log.kind", "file"));
    has(&said, &["log.kind", "is no place for it", "\"store\""]);
}

/// An encrypted connection: trusted if the system trusts the certificate, and only then.
#[test]
fn a_certificate_is_trusted_if_the_system_trusts_it() {
    let directory = tempfile::tempdir().unwrap();
    let (root, server) = (directory.path(), Server::shared());
    input(root);
    let config = configured(root, &server.encrypted(), "");
    let launch = stored(1, root, &config, "no-such-bucket");
    let mut engine = Engine::launch(&launch).unwrap();
    let line = engine.wait_for("opening the state store is tried again", LONG).unwrap();
    has(&line, &["no connection", "certificate", "localhost"]);
    engine.kill().unwrap();

    let certificate = root.join("certificate.pem");
    std::fs::write(&certificate, server.certificate().unwrap()).unwrap();
    let environment = vec![("SSL_CERT_FILE".to_owned(), certificate.display().to_string())];
    // What only the store can say.
    has(&refused(&Launch { environment, ..launch }), &["there is no bucket no-such-bucket"]);
}
