#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;

fn lines(text: &str) -> Vec<String> {
    let found = read(Path::new("t.toml"), text).unwrap();
    found
        .iter()
        .map(|a| format!("{} = {} @ {}", a.section.key(&a.key), a.value, a.origin))
        .collect()
}

#[test]
fn every_key_has_its_line() {
    let text = "workers = 3\n\n[tick]\n# a comment\nheartbeat = \"1s\"\n\n[source.clicks]\nconnector = \"kafka\"\n\
                bounded = true\n[view.v]\n";
    assert_eq!(
        lines(text),
        [
            "workers = 3 @ t.toml:1",
            "tick.heartbeat = \"1s\" @ t.toml:5",
            "source.clicks.connector = \"kafka\" @ t.toml:8",
            "source.clicks.bounded = true @ t.toml:9",
            "view.v = true @ t.toml:10",
        ]
    );
}

#[test]
fn options_of_a_connection_may_be_dotted_or_quoted() {
    let text = "[connection.main]\nbootstrap.servers = \"a:1\"\n\"ssl.ca.location\" = \"/ca\"\n\
                sasl.password = { env = \"P\" }\nlinger.ms = 5\n";
    assert_eq!(
        lines(text),
        [
            "connection.main.bootstrap.servers = \"a:1\" @ t.toml:2",
            "connection.main.ssl.ca.location = \"/ca\" @ t.toml:3",
            "connection.main.sasl.password = { env = \"P\" } @ t.toml:4",
            "connection.main.linger.ms = 5 @ t.toml:5",
        ]
    );
}

#[test]
fn what_is_not_toml_is_refused_with_its_line_and_without_its_text() {
    let error = read(Path::new("t.toml"), "workers = 1\npassword = hunter2\n").unwrap_err();
    assert!(error.message().starts_with("t.toml:2: "), "{error}");
    assert!(!error.message().contains("hunter2"), "{error}");

    let error = read(Path::new("t.toml"), "[tick]\n\n[source]\ntopic = \"x\"\n").unwrap_err();
    assert_eq!(
        error.message(),
        "t.toml:4: [source] holds no keys of its own; write [source.NAME], then topic below it"
    );
}

#[test]
fn secrets_are_read_from_text() {
    assert_eq!(secret_in("{ env = \"P\" }"), Some(Secret::Env("P".into())));
    assert_eq!(secret_in("{file=\"/run/p\"}"), Some(Secret::File("/run/p".into())));
    assert_eq!(secret_in("{ env = \"P\", file = \"q\" }"), None);
    assert_eq!(secret_in("{ plain = \"P\" }"), None);
    assert_eq!(secret_in("{ broken"), None);
}
