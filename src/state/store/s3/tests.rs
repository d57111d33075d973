#![expect(clippy::unwrap_used, reason = "tests")]

mod stub;

use super::*;
use crate::error::Kind;
use crate::state::store::Put;
use stub::{Reply, Request, Stub};

fn settings(endpoint: &str) -> S3 {
    S3 {
        bucket: "bucket".into(),
        prefix: "some/state".into(),
        endpoint: Some(endpoint.into()),
        region: "north".into(),
        credentials: Credentials::Key {
            id: "who".into(),
            secret: "never-shown".into(),
            token: None,
        },
        allow_http: true,
        path_style: true,
        timeout: Duration::from_secs(20),
        retry_time: Duration::from_secs(20),
    }
}

/// The store without the probe, so that a test sees its own calls only.
fn unprobed(s3: &S3) -> Store {
    Store::s3_unprobed(s3).unwrap()
}

fn fine(body: &str) -> Reply {
    Reply::Answer(
        200,
        "etag: \"1\"\r\nlast-modified: Fri, 27 Nov 2026 10:00:00 GMT\r\n",
        body.into(),
    )
}

fn said(status: u16, code: &str) -> Reply {
    let body = format!("<Error><Code>{code}</Code><Message>because</Message></Error>");
    Reply::Answer(status, "", body)
}

#[test]
fn a_url_names_a_bucket_and_a_prefix() {
    let cases = [
        ("/var/lib/state", Ok(None)),
        ("gs://bucket/x", Ok(None)),
        ("s3://bucket", Ok(Some(("bucket", "")))),
        ("s3://my.bucket-1/", Ok(Some(("my.bucket-1", "")))),
        ("s3://bucket/a/b/", Ok(Some(("bucket", "a/b")))),
        ("s3://", Err("names no bucket")),
        ("s3://Bucket/a", Err("names no bucket")),
        ("s3://a", Err("names no bucket")),
        ("s3://bucket/a//b", Err("prefix")),
        ("s3://bucket/../b", Err("prefix")),
    ];
    for (url, expected) in cases {
        match (S3::parts(url), expected) {
            (Ok(found), Ok(expected)) => {
                assert_eq!(found.as_ref().map(|(b, p)| (b.as_str(), p.as_str())), expected);
            }
            (Err(e), Err(word)) => {
                assert!(e.kind() == Kind::Config && e.message().contains(word), "{e}");
            }
            (found, expected) => panic!("{url}: {found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn the_bucket_is_in_the_path_or_before_the_host() {
    let urls = |endpoint: Option<&str>, path_style| {
        let endpoint = endpoint.map(str::to_owned);
        S3 { endpoint, path_style, ..settings("") }.urls().1
    };
    assert_eq!(urls(None, true), "https://s3.north.amazonaws.com/bucket");
    assert_eq!(urls(None, false), "https://bucket.s3.north.amazonaws.com");
    assert_eq!(urls(Some("http://host:9000/"), true), "http://host:9000/bucket");
    assert_eq!(urls(Some("http://host:9000"), false), "http://bucket.host:9000");
}

#[test]
fn a_create_is_conditional_signed_and_asked_once() {
    for reply in [503, 500, 429, 0] {
        let server = Stub::start(move |_| match reply {
            0 => Reply::Nothing,
            status => said(status, "SlowDown"),
        });
        let store = unprobed(&settings(&server.endpoint));
        let error = store.put_if_absent("log/7", "x").unwrap_err();
        assert_eq!(error.kind(), Kind::Undecided, "{error}");
        let seen = server.seen("PUT");
        assert_eq!(seen.len(), 1, "{reply}: {error}");
        assert_eq!(seen[0].line, "PUT /bucket/some/state/log/7");
        assert_eq!(seen[0].body, b"x");
        assert!(seen[0].headers.contains("if-none-match: *"), "{}", seen[0].headers);
        assert!(seen[0].headers.contains("credential=who/"), "{}", seen[0].headers);
        for part in ["s3://bucket/some/state/log/7", &server.endpoint] {
            assert!(error.message().contains(part), "no {part:?} in {error}");
        }
    }
}

#[test]
fn an_answered_create_says_what_became_of_it() {
    let cases = [
        (200, "", Ok(Put::Created)),
        (412, "PreconditionFailed", Ok(Put::Exists)),
        (304, "", Ok(Put::Exists)),
        // Another create was on its way; this one was not done, and nothing says that the other one will be.
        (409, "ConditionalRequestConflict", Err(Kind::Retry)),
        (403, "AccessDenied", Err(Kind::Config)),
        (404, "NoSuchBucket", Err(Kind::Config)),
        (501, "NotImplemented", Err(Kind::Config)),
    ];
    for (status, code, expected) in cases {
        let server = Stub::start(move |_| match status {
            200 => fine(""),
            304 => Reply::Answer(304, "", String::new()),
            _ => said(status, code),
        });
        let outcome = unprobed(&settings(&server.endpoint)).put_if_absent("a/1", "x");
        assert_eq!(outcome.map_err(|e| e.kind()), expected, "{status} {code}");
        assert_eq!(server.seen("PUT").len(), 1, "{status} {code}");
    }
}

#[test]
fn nothing_sent_did_not_happen() {
    // The port was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = unprobed(&settings(&endpoint)).put_if_absent("a/1", "x").unwrap_err();
    assert_eq!(error.kind(), Kind::Retry);
    for part in ["refused", "s3.endpoint", &endpoint] {
        assert!(error.message().contains(part), "no {part:?} in {error}");
    }
}

#[test]
fn a_create_without_an_answer_in_time_is_undecided() {
    let server = Stub::start(|_| {
        std::thread::park();
        Reply::Nothing
    });
    let s3 = S3 { timeout: Duration::from_millis(100), ..settings(&server.endpoint) };
    let error = unprobed(&s3).put_if_absent("a/1", "x").unwrap_err();
    assert!(error.kind() == Kind::Undecided && error.message().contains("100ms"), "{error}");
}

#[test]
fn a_read_is_tried_again_while_there_is_time() {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let server =
        Stub::start(move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => said(503, "SlowDown"),
            1 => Reply::Nothing,
            _ => fine("here"),
        });
    let store = unprobed(&settings(&server.endpoint));
    assert_eq!(store.get("a/1").unwrap().unwrap(), "here");
    assert_eq!(server.seen("GET").len(), 3);

    let server = Stub::start(|_| said(503, "SlowDown"));
    let s3 = S3 { retry_time: Duration::ZERO, ..settings(&server.endpoint) };
    let error = unprobed(&s3).get("a/1").unwrap_err();
    assert_eq!((error.kind(), server.seen("GET").len()), (Kind::Retry, 1), "{error}");
}

#[test]
fn a_refusal_says_what_to_do() {
    let cases: [(u16, &str, &str, &[&str]); 10] = [
        (403, "", "AccessDenied", &["access denied", "s3:PutObject", "AccessDenied because"]),
        (403, "", "InvalidAccessKeyId", &["s3.access_key_id"]),
        (403, "", "SignatureDoesNotMatch", &["s3.secret_access_key"]),
        (403, "", "RequestTimeTooSkewed", &["clock"]),
        (400, "", "ExpiredToken", &["s3.session_token"]),
        (404, "", "NoSuchBucket", &["no bucket bucket"]),
        (301, "x-amz-bucket-region: south\r\n", "PermanentRedirect", &["s3.region = \"south\""]),
        (400, "x-amz-bucket-region: south\r\n", "AuthorizationHeaderMalformed", &["\"south\""]),
        (301, "", "PermanentRedirect", &["s3.endpoint", "s3.region", "s3.path_style"]),
        (405, "", "MethodNotAllowed", &["name another"]),
    ];
    for (status, headers, code, expected) in cases {
        let server = Stub::start(move |_| match said(status, code) {
            Reply::Answer(status, _, body) => Reply::Answer(status, headers, body),
            Reply::Nothing => Reply::Nothing,
        });
        let store = unprobed(&settings(&server.endpoint));
        let errors = [
            store.get("a/1").unwrap_err(),
            store.list("a").unwrap_err(),
            store.put_if_absent("a/1", "x").unwrap_err(),
            store.delete("a/1").unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), Kind::Config, "{error}");
            for part in expected.iter().chain(&["s3://bucket/some/state/a", &server.endpoint]) {
                assert!(error.message().contains(part), "no {part:?} in {error}");
            }
            assert!(!error.message().contains("never-shown"));
        }
        for call in ["GET", "PUT", "POST"] {
            let requests = server.seen(call).len();
            assert_eq!(requests, if call == "GET" { 2 } else { 1 }, "{code}: {call} again");
        }
    }
}

#[test]
fn an_object_that_is_not_there_is_no_refusal() {
    let server = Stub::start(|_| said(404, "NoSuchKey"));
    assert_eq!(unprobed(&settings(&server.endpoint)).get("a/1").unwrap(), None);
}

/// A server that keeps what it is given, and does as `strict` and `shows` say with conditions and listings.
fn bucket(strict: bool, shows: bool) -> Stub {
    let objects = std::sync::Mutex::new(std::collections::BTreeMap::<String, Vec<u8>>::new());
    Stub::start(move |request: &Request| {
        let mut objects = objects.lock().unwrap();
        let (method, path) = request.line.split_once(' ').unwrap();
        let key = path.trim_start_matches("/bucket/").to_owned();
        match method {
            "PUT" if strict && objects.contains_key(&key) => said(412, "PreconditionFailed"),
            "PUT" => {
                objects.insert(key, request.body.clone());
                fine("")
            }
            "POST" => {
                let asked = String::from_utf8_lossy(&request.body).into_owned();
                objects.retain(|key, _| !asked.contains(&format!("<Key>{key}</Key>")));
                fine("<DeleteResult><Deleted><Key>all</Key></Deleted></DeleteResult>")
            }
            _ if path.contains("list-type=2") => {
                let listed = objects.iter().filter(|_| shows).map(|(key, body)| {
                    format!(
                        "<Contents><Key>{key}</Key><Size>{}</Size><LastModified>2026-11-27T10:00:00Z</LastModified></Contents>",
                        body.len()
                    )
                });
                let listed: String = listed.collect();
                fine(&format!("<ListBucketResult>{listed}</ListBucketResult>"))
            }
            _ => match objects.get(&key) {
                Some(body) => fine(&String::from_utf8_lossy(body)),
                None => said(404, "NoSuchKey"),
            },
        }
    })
}

#[test]
fn a_store_that_makes_an_object_only_if_absent_is_opened_and_left_empty() {
    let server = bucket(true, true);
    let store = Store::in_s3(&settings(&server.endpoint)).unwrap();
    assert_eq!(store.list("").unwrap(), []);
    let names = |from| -> std::collections::BTreeSet<String> {
        server.seen("PUT")[from..].iter().map(|request| request.line.clone()).collect()
    };
    let (made, first) = (server.seen("PUT").len(), names(0));
    assert!(made > 2 * first.len(), "each more than once: {made} {first:?}");
    assert!(first.iter().all(|l| l.starts_with("PUT /bucket/some/state/probe/")), "{first:?}");
    let again = Store::in_s3(&settings(&server.endpoint)).unwrap();
    assert!(names(made).is_disjoint(&first), "names of its own");
    assert_eq!(again.url(), "s3://bucket/some/state");
}

#[test]
fn a_store_that_is_not_safe_is_refused_by_name_and_left_empty() {
    for (strict, shows, word) in [(false, true, "made an object again"), (true, false, "not list")]
    {
        let server = bucket(strict, shows);
        let error = Store::in_s3(&settings(&server.endpoint)).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        for part in [word, "If-None-Match", "s3://bucket/some/state/probe/", &server.endpoint] {
            assert!(error.message().contains(part), "no {part:?} in {error}");
        }
        assert_eq!(unprobed(&settings(&server.endpoint)).list("").unwrap(), []);
    }
}

#[test]
fn credentials_that_are_not_given_are_told_from_a_store_that_refuses() {
    let token = tempfile::NamedTempFile::new().unwrap();
    let host = Stub::start(|_| said(404, "nothing for you"));
    let credentials = Credentials::Pod {
        uri: format!("{}/key", host.endpoint),
        token_file: token.path().display().to_string(),
    };
    let server = bucket(true, true);
    let s3 = S3 { credentials, ..settings(&server.endpoint) };
    let error = Store::in_s3(&s3).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    let host = host.endpoint.trim_start_matches("http://");
    for part in ["no credentials", host, "404", "s3.access_key_id"] {
        assert!(error.message().contains(part), "no {part:?} in {error}");
    }
    assert!(server.seen("").is_empty(), "nothing was asked without a key");
}
