#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;

fn variables<const N: usize>(of: [(&str, &str); N]) -> Vec<(String, String)> {
    of.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn value(layered: &Layered, path: &str) -> String {
    let (value, origin) = layered.resolve("flow").unwrap().value(path).unwrap();
    format!("{value} ({origin})")
}

/// Each layer, added in the reverse of its strength, wins over all weaker ones.
#[test]
fn the_stronger_layer_wins_whatever_the_order_of_adding() {
    let path = "source.clicks.topic";
    let mut layered = Layered::new().with_code_default("source.clicks", "connector", "kafka");
    layered = layered.with_code_default("connection.kafka", "bootstrap.servers", "b:9092");
    assert_eq!(value(&layered, path), "\"clicks\" (default)");
    let flag = layered.clone().with_flag(path, "--topic", "f");
    layered = layered.with_code_default("source.clicks", "topic", "c");
    assert_eq!(value(&layered, path), "\"c\" (code)");
    layered = layered
        .with_text(Path::new("t.toml"), "[source.clicks]\n\ntopic = \"t\"\n")
        .unwrap()
        .with_code_default("source.clicks", "topic", "later, and weaker still");
    assert_eq!(value(&layered, path), "\"t\" (t.toml:3)");
    let with_define = layered.clone().with_define("source.clicks.topic=d").unwrap();
    layered = layered.with_environment(variables([("TIDEMARK_SOURCE__CLICKS__TOPIC", "e")]));
    assert_eq!(value(&layered, path), "\"e\" (environment TIDEMARK_SOURCE__CLICKS__TOPIC)");
    let both = with_define.with_environment(variables([("TIDEMARK_SOURCE__CLICKS__TOPIC", "e")]));
    assert_eq!(value(&both, path), "\"d\" (-D)");
    let all = flag.with_define("source.clicks.topic=d").unwrap();
    assert_eq!(value(&all, path), "\"f\" (--topic)");
}

#[test]
fn within_a_layer_the_later_word_wins() {
    let layered =
        Layered::new().with_define("workers=2").unwrap().with_define("workers = 3").unwrap();
    assert_eq!(value(&layered, "workers"), "3 (-D)");
}

#[test]
fn variables_find_names_that_are_spelled_otherwise() {
    let layered =
        Layered::new().with_declared("sink", ["Visits-live"]).with_environment(variables([
            ("TIDEMARK_SINK__VISITS_LIVE__CONNECTOR", "stdout"),
            ("TIDEMARK_SINK__VISITS_LIVE__ON_CHANGE", "rewrite"),
            ("TIDEMARK_WORKERS", "2"),
            ("TIDEMARK_PORT", "tcp://10.0.0.1:80"),
            ("HOME", "/"),
        ]));
    assert_eq!(
        value(&layered, "sink.Visits-live.on_change"),
        "\"rewrite\" (environment TIDEMARK_SINK__VISITS_LIVE__ON_CHANGE)"
    );
    assert_eq!(value(&layered, "workers"), "2 (environment TIDEMARK_WORKERS)");
}

#[test]
fn secrets_in_variables_are_named_not_copied() {
    let layered = Layered::new().with_environment(variables([
        ("TIDEMARK_HTTP__TOKEN", "hunter2"),
        ("TIDEMARK_CONNECTION__MAIN__BOOTSTRAP_SERVERS", "b:9092"),
        ("TIDEMARK_CONNECTION__MAIN__SASL_PASSWORD", "hunter2"),
    ]));
    let resolved = layered.resolve("flow").unwrap();
    assert_eq!(
        resolved.value("connection.main.sasl.password").unwrap().0,
        "{ env = \"TIDEMARK_CONNECTION__MAIN__SASL_PASSWORD\" }"
    );
    let everything =
        format!("{}{}{:?}", resolved.to_toml(), resolved.to_json(), resolved.settings());
    assert!(!everything.contains("hunter2"), "{everything}");
}

#[test]
fn a_definition_needs_a_key_and_a_value() {
    for (text, expected) in [
        ("workers", "-D \"workers\" has no \"=\"; write -D section.key=value"),
        ("=3", "-D \"\" names no key; write -D section.key=value"),
        ("source.clicks=3", "-D \"source.clicks\" names no key; write -D section.key=value"),
        ("tick.=3", "-D \"tick.\" names no key; write -D section.key=value"),
    ] {
        assert_eq!(Layered::new().with_define(text).unwrap_err().message(), expected);
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Layered::new().with_file(Path::new("/nowhere/t.toml")).unwrap_err();
    assert!(error.message().starts_with("the configuration file /nowhere/t.toml can't be read: "));
}
