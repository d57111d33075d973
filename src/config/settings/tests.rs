#![expect(clippy::unwrap_used, reason = "tests")]
use super::super::Layered;
use super::*;
use expect_test::expect;
use std::path::Path;

fn settings(text: &str) -> Settings {
    Layered::new().with_text(Path::new("t.toml"), text).unwrap().settings("flow").unwrap()
}

#[test]
fn the_defaults_are_whole() {
    let settings = Layered::new().settings("hot-items").unwrap();
    assert_eq!(settings.state, "./tidemark-state/hot-items");
    assert_eq!(settings.job.name, "hot-items");
    assert_eq!(settings.log, Log::File { path: None });
    assert_eq!(settings.warnings(), Vec::<String>::new());
}

/// One of each connector, so that every key of the table is read with its type.
#[test]
fn everything_typed() {
    let text = r#"
        [connection.main]
        bootstrap.servers = "b:9092"
        enable.ssl.certificate.verification = false
        sasl.password = { env = "P" }
        [source.a]
        connector = "kafka"
        connection = "main"
        start = "offset:7"
        [source.b]
        connector = "file"
        path = "in"
        format = "csv"
        nesting_max = 3
        [source.c]
        connector = "nexmark"
        rate = 5
        [sink.a]
        connector = "kafka"
        connection = "main"
        mode = "upsert"
        on_change = "from-now"
        [sink.b]
        connector = "file"
        path = "out"
        [sink.c]
        connector = "stdout"
        [view.v]
        history = 7
    "#;
    let settings = settings(text);
    let shown = serde_json::to_string(&(
        &settings.connections,
        &settings.sources,
        &settings.sinks,
        &settings.views,
    ));
    let shown = shown.unwrap().replace("},\"", "},\n\"");
    expect![[r#"
        [{"main":{"options":{"bootstrap.servers":"b:9092","enable.ssl.certificate.verification":"false"},
        "secrets":{"sasl.password":{"env":"P"}}}},{"a":{"connector":{"kafka":{"connection":"main","topic":"a","start":{"offset":7},
        "bounded":false,"discovery":"10s","isolation":"read-committed","group":null,"timeout":"10s","format":"json","delimiter":","}},
        "on_error":"fail","dead_letter":"a-rejected","idle":"30s","record_bytes_max":1048576,"nesting_max":64},
        "b":{"connector":{"file":{"path":"in","follow":false,"format":"csv","header":true,"delimiter":","}},
        "on_error":"fail","dead_letter":"b-rejected","idle":"30s","record_bytes_max":1048576,"nesting_max":3},
        "c":{"connector":{"nexmark":{"events":null,"rate":5,"partitions":4,"seed":0,"event_time_rate":10000,"stragglers_per_million":0,"straggler_delay":"1m"}},
        "on_error":"fail","dead_letter":"c-rejected","idle":"30s","record_bytes_max":1048576,"nesting_max":64}},{"a":{"connector":{"kafka":{"connection":"main","topic":"a","partitions":null,"replication":3,"progress_topic":"flow.a.progress","transaction_rows_max":50000,"transaction_time_max":"1m","timeout":"30s"}},
        "format":"json","mode":"upsert","lanes":1,"on_change":"from-now","reconcile":false,"when_behind":"stall"},
        "b":{"connector":{"file":{"path":"out"}},
        "format":"json","mode":"append","lanes":1,"on_change":"refuse","reconcile":false,"when_behind":"stall"},
        "c":{"connector":"stdout","format":"json","mode":"append","lanes":1,"on_change":"refuse","reconcile":false,"when_behind":"stall"}},{"v":{"history":7}}]"#]]
    .assert_eq(&shown);
}

#[test]
fn what_is_allowed_and_dangerous_is_warned_of() {
    let settings = settings(
        "[http]\naddr = \"0.0.0.0:80\"\n[log]\nkind = \"kafka\"\nconnection = \"k\"\nreplication = 1\n\
         [connection.k]\nbootstrap.servers = \"b\"\n[sink.out]\nconnector = \"kafka\"\nconnection = \"k\"\nreplication = 1\n",
    );
    expect![[r#"
        http.addr = 0.0.0.0:80 is reachable from other machines and http.token is not set: anyone can query and stop the job
        log.replication = 1: the tick log tidemark-flow-log is lost with one disk, and exactly once with it
        sink.out.replication = 1: progress in flow.out.progress is lost with one disk, and exactly once with it"#]]
    .assert_eq(&settings.warnings().join("\n"));
}

#[test]
fn where_reading_begins() {
    for (text, expected) in [
        ("earliest", Some(Start::Earliest)),
        ("latest", Some(Start::Latest)),
        ("offset:12", Some(Start::Offset(12))),
        ("timestamp-ms:1700000000000", Some(Start::TimestampMs(1_700_000_000_000))),
        ("offset:0=5, 12=7", Some(Start::Offsets([("0".into(), 5), ("12".into(), 7)].into()))),
        ("offset:0=5,x=7", None),
        ("offset:0=", None),
        ("offset:-1", None),
        ("timestamp-ms:-1", None),
        ("beginning", None),
        ("", None),
    ] {
        assert_eq!(Start::parse(text), expected, "{text}");
    }
}

#[test]
fn a_secret_is_read_from_its_file_and_does_not_show_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "hunter2\r\n").unwrap();
    let revealed = Secret::File(path.clone()).reveal().unwrap();
    assert_eq!(revealed.expose(), "hunter2");
    assert_eq!(format!("{revealed:?}"), "(secret)");
    std::fs::write(&path, "\n").unwrap();
    assert!(Secret::File(path).reveal().unwrap_err().message().ends_with("is empty"));
    let connection = Connection {
        options: [("client.id".into(), "me".into())].into(),
        secrets: [("sasl.password".into(), Secret::Env("TIDEMARK_TEST_NEVER_SET".into()))].into(),
    };
    let error = connection.reveal().unwrap_err();
    assert!(error.message().starts_with("sasl.password: "), "{error}");
    let missing = Secret::Env("TIDEMARK_TEST_NEVER_SET".into()).reveal().unwrap_err();
    assert!(missing.message().contains("TIDEMARK_TEST_NEVER_SET"), "{missing}");
}
