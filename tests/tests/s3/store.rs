//! The store alone, over HTTP.

use crate::{Put, Store, contract};
use std::time::Duration;
use tidemark::state::store::s3::{Credentials, S3};
use tidemark_tests::s3::Server;
use tidemark_tests::s3::proxy::{Harm, Plan, Proxy};

pub(crate) fn settings(endpoint: &str, bucket: &str, prefix: &str) -> S3 {
    S3 {
        bucket: bucket.into(),
        prefix: prefix.into(),
        endpoint: Some(endpoint.into()),
        region: "us-east-1".into(),
        credentials: Credentials::Key { id: "id".into(), secret: "secret".into(), token: None },
        allow_http: true,
        path_style: true,
        timeout: Duration::from_secs(30),
        retry_time: Duration::from_secs(30),
    }
}

#[test]
fn the_contract_of_every_store() {
    let server = Server::shared();
    let bucket = server.bucket().unwrap();
    // That of the first leaves the bucket empty is seen by the second.
    for prefix in ["some/where", ""] {
        let store = Store::in_s3(&settings(&server.endpoint(), &bucket, prefix)).unwrap();
        contract::keeps(&store);
    }
}

#[test]
fn stores_of_one_bucket_do_not_see_each_other() {
    let server = Server::shared();
    let bucket = server.bucket().unwrap();
    let open = |prefix| Store::in_s3(&settings(&server.endpoint(), &bucket, prefix)).unwrap();
    let (one, other) = (open("one"), open("one-more"));
    assert_eq!(one.put_if_absent("log/1", "one").unwrap(), Put::Created);
    assert_eq!(other.put_if_absent("log/1", "other").unwrap(), Put::Created);
    assert_eq!(one.list("").unwrap().len(), 1);
    assert_eq!(one.get("log/1").unwrap().unwrap(), "one");
    assert_eq!(open("").list("").unwrap().len(), 2);
}

/// Whoever asks is told what became of it, or that nobody knows; a name never has the bytes of one who was told "exists".
#[test]
fn an_object_has_the_bytes_of_the_one_who_was_not_refused() {
    let server = Server::shared();
    let bucket = server.bucket().unwrap();
    let proxy = Proxy::start(&server.address(), 11).unwrap();
    let through = |prefix| Store::in_s3(&settings(&proxy.endpoint(), &bucket, prefix)).unwrap();
    let (harmed, whole) =
        (through("x"), Store::in_s3(&settings(&server.endpoint(), &bucket, "x")).unwrap());
    proxy.follow(Plan { percent: 60, harms: Harm::ALL.to_vec(), ..Plan::default() });
    let mut undecided = 0;
    for number in 0..80 {
        let name = format!("a/{number}");
        let (mut created, mut refused) = (Vec::new(), Vec::new());
        for writer in 0..3_u8 {
            match harmed.put_if_absent(&name, vec![writer]) {
                Ok(Put::Created) => created.push(writer),
                Ok(Put::Exists) => refused.push(writer),
                Err(error) => {
                    assert_eq!(error.kind(), tidemark::error::Kind::Undecided, "{error}");
                    undecided += 1;
                }
            }
        }
        // Reads are tried again until they are answered.
        let found = harmed.get(&name).unwrap();
        assert_eq!(found, whole.get(&name).unwrap().or(found.clone()));
        assert!(created.len() <= 1, "{created:?}");
        if let Some(writer) = created.first() {
            assert_eq!(found.as_deref(), Some(&[*writer][..]));
        }
        if let (Some(found), true) = (&found, created.is_empty()) {
            assert!(!refused.contains(&found[0]), "{refused:?} were refused, {found:?} is there");
        }
    }
    assert!(undecided > 20, "{undecided}");
    let (creates, others) = (proxy.creates(), proxy.others());
    assert_eq!((creates.len(), others.len()), (6, 6), "{creates:?} {others:?}");
}
