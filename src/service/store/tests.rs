#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::config::Layered;
use std::path::Path;

fn section(text: &str) -> Section {
    Layered::new().with_text(Path::new("t.toml"), text).unwrap().settings("flow").unwrap().s3
}

/// What is asked of the environment, and that nothing else is there.
fn environment(all: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
    move |name| all.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
}

const KEY: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", "theirs"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_SESSION_TOKEN", "token"),
    ("AWS_REGION", "west"),
    ("AWS_DEFAULT_REGION", "east"),
    ("AWS_ENDPOINT_URL", "http://elsewhere"),
];

#[test]
fn what_the_file_says_is_not_overridden_by_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, "mine\n").unwrap();
    let place = file.display();
    let section = section(&format!(
        "[s3]\nregion = \"north\"\naccess_key_id = {{ file = \"{place}\" }}\nsecret_access_key = {{ file = \"{place}\" }}\n"
    ));
    let environment = environment(KEY);
    assert_eq!(region(&section, &environment).0, "north");
    match credentials(&section, &environment).unwrap() {
        (Credentials::Key { id, secret, token }, whence) => {
            // The session is of the other key.
            assert_eq!((id.as_str(), secret.as_str(), token), ("mine", "mine", None));
            assert_eq!(whence, "the key in [s3]");
        }
        _ => panic!("another kind"),
    }
    std::fs::remove_file(&file).unwrap();
    let Err(error) = credentials(&section, &environment) else { panic!("no secret there") };
    assert!(error.message().contains("s3.access_key_id"), "{error}");
}

#[test]
fn what_the_file_leaves_open_is_taken_from_the_surroundings_in_order() {
    let empty = section("");
    let from = |all| credentials(&empty, &environment(all)).unwrap();
    assert!(matches!(from(KEY).0, Credentials::Key { id, token, .. }
        if id == "theirs" && token.as_deref() == Some("token")));
    assert!(matches!(
        from(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "f"), ("AWS_ROLE_ARN", "r")]).0,
        Credentials::WebIdentity { session: None, .. }
    ));
    assert!(matches!(
        from(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x")]).0,
        Credentials::Task(_)
    ));
    let pod = &[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/x"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "f"),
    ];
    assert!(matches!(from(pod).0, Credentials::Pod { .. }));
    let (machine, whence) = from(&[("AWS_ACCESS_KEY_ID", "half a key")]);
    assert!(matches!(machine, Credentials::Machine) && whence.contains("no key is named"));

    let regions = [
        (KEY, "west", "environment AWS_REGION"),
        (&KEY[4..], "east", "environment AWS_DEFAULT_REGION"),
        (&[], REGION, "default"),
    ];
    for (all, expected, by) in regions {
        assert_eq!(region(&empty, &environment(all)), (expected.into(), by.into()));
    }
}
