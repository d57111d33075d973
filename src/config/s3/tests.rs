#![expect(clippy::unwrap_used, reason = "tests")]

use crate::config::Layered;
use std::path::Path;

fn problems(text: &str) -> String {
    let layered = Layered::new().with_text(Path::new("t.toml"), text).unwrap();
    layered.settings("flow").map_or_else(|e| e.message().to_owned(), |_| "none".to_owned())
}

#[test]
fn keys_that_depend_on_each_other_are_checked() {
    let key = "access_key_id = { env = \"A\" }\nsecret_access_key = { env = \"B\" }";
    let cases = [
        ("[s3]", "none".to_owned()),
        ("state = \"s3://b\"\nlog.kind = \"store\"", "none".to_owned()),
        ("state = \"s3://b\"\nlog.path = \"/var/lib/log\"", "none".to_owned()),
        ("state = \"s3://b\"", "log.kind = \"file\" (default) is a file, and state = \"s3://b\" (t.toml:1) is no place for it".into()),
        ("[s3]\nendpoint = \"https://h\"", "none".into()),
        ("[s3]\nendpoint = \"http://h:1\"\nallow_http = true", "none".into()),
        ("[s3]\nendpoint = \"http://h:1\"", "s3.endpoint = \"http://h:1\" (t.toml:2) is not encrypted".into()),
        ("[s3]\nendpoint = \"h:1\"", "is no URL of a server".into()),
        ("[s3]\nendpoint = \"ftp://h\"", "is no URL of a server".into()),
        ("[s3]\naccess_key_id = { env = \"A\" }", "(t.toml:2) needs s3.secret_access_key".into()),
        ("[s3]\nsecret_access_key = { env = \"A\" }", "(t.toml:2) needs s3.access_key_id".into()),
        ("[s3]\nsession_token = { env = \"A\" }", "(t.toml:2) needs s3.access_key_id".into()),
        ("[s3]\nsecret_access_key = \"plain\"", "never the secret itself".into()),
        (&format!("[s3]\n{key}\nsession_token = {{ env = \"C\" }}"), "none".into()),
    ];
    for (text, expected) in cases {
        let found = problems(text);
        assert!(found.contains(&expected), "{text}: {found}, expected {expected}");
        assert!(!found.contains("plain"), "{found}");
    }
}
