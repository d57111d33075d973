#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use expect_test::expect;
use std::path::Path;

fn file(text: &str) -> Layered {
    Layered::new().with_text(Path::new("t.toml"), text).unwrap()
}

fn problems(layered: &Layered) -> String {
    layered.resolve("flow").unwrap_err().message().to_owned()
}

/// One wrong thing each: key, value, origin and what is allowed are in the message.
#[test]
fn what_is_wrong_is_named() {
    for (text, expected) in [
        (
            "wrokers = 2",
            "unknown key wrokers above all sections (t.toml:1), did you mean workers?; allowed: workers, state",
        ),
        (
            "workers = \"2\"",
            "workers = \"2\" (t.toml:1) is text; allowed: a whole number from 1 to 256",
        ),
        (
            "workers = 0",
            "workers = 0 (t.toml:1) is out of range; allowed: a whole number from 1 to 256",
        ),
        (
            "workers = 1.5",
            "workers = (a fraction) (t.toml:1) is a fraction; allowed: a whole number from 1 to 256",
        ),
        (
            "[snapshot]\nkept = 2",
            "unknown section [snapshot] (t.toml:2), did you mean snapshots?; allowed: job, http, tick, snapshots, log, cluster, s3, memory, limits, connection, source, sink, view",
        ),
        (
            "[tick]\nheartbeat = \"100\"",
            "tick.heartbeat = \"100\" (t.toml:2) has no unit (us, ms, s, m, h, d); allowed: a duration from 1ms to 1m",
        ),
        (
            "[tick]\nheartbeat = 100",
            "tick.heartbeat = 100 (t.toml:2) has no unit; allowed: a duration from 1ms to 1m",
        ),
        (
            "[tick]\nheartbeat = \"2h\"",
            "tick.heartbeat = \"2h\" (t.toml:2) is out of range; allowed: a duration from 1ms to 1m",
        ),
        (
            "[tick]\ninterval_min = \"1s\"",
            "tick.interval_min = \"1s\" (t.toml:2) is greater than tick.interval_max = \"100ms\" (default)",
        ),
        (
            "[memory]\nbudget = \"1B\"",
            "memory.budget = \"1B\" (t.toml:2) is out of range; allowed: a size from 16MiB to 16TiB",
        ),
        (
            "[http]\naddr = \"8090\"",
            "http.addr = \"8090\" (t.toml:2) is not allowed; allowed: an address and a port, such as 127.0.0.1:8090",
        ),
        (
            "[http]\ntoken = \"hunter2\"",
            "http.token (t.toml:2) is not the place of a secret; allowed: { env = \"..\" } or { file = \"..\" }, never the secret itself",
        ),
        (
            "[log]\nkind = \"kafka\"\npath = \"x\"\nconnection = \"main\"",
            "key path in [log] (t.toml:3) does not apply to kind \"kafka\"; allowed: kind, connection, topic, replication",
        ),
        (
            "[connection.main]\nsasl.password = \"hunter2\"\nbootstrap.servers = \"b\"",
            "connection.main.sasl.password (t.toml:2) is a secret and must be { env = \"..\" } or { file = \"..\" }, never the secret itself",
        ),
        (
            "[connection.main]\nclient.id = \"x\"",
            "connection.main.bootstrap.servers is not set and has no default; allowed: text",
        ),
        (
            "[source.clicks]\ntopic = \"x\"",
            "source.clicks.connector is not set and has no default; allowed: one of kafka, file, nexmark",
        ),
        (
            "[source.clicks]\nconnector = \"kafak\"",
            "source.clicks.connector = \"kafak\" (t.toml:2) is not allowed; allowed: one of kafka, file, nexmark, did you mean kafka?",
        ),
        (
            "[source.clicks]\nconnector = \"kafka\"",
            "source.clicks.connection = \"kafka\" (default) names no [connection.kafka]; configured: none; say -D connection.kafka.bootstrap.servers=HOST:PORT, or choose another source.clicks.connector",
        ),
        (
            "[source.\"a.b\"]\nconnector = \"kafka\"",
            "the name \"a.b\" in [source.a.b] (t.toml:2) is not made of up to 64 letters, digits, `-` and `_`",
        ),
        (
            "[source.x]\nconnector = \"nexmark\"\non_error = \"dead-letter\"",
            "rejected records go to sink \"x-rejected\", which is not configured; add [sink.x-rejected] with a connector",
        ),
    ] {
        let layered = file(text);
        assert_eq!(problems(&layered), expected, "for {text:?}");
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let layered = file("workers = 0\n[tick]\nhart_beat = \"1s\"\n")
        .with_define("snapshots.kept=many")
        .unwrap();
    expect![[r#"
        workers = 0 (t.toml:1) is out of range; allowed: a whole number from 1 to 256
        unknown key hart_beat in [tick] (t.toml:3), did you mean heartbeat?; allowed: interval_min, interval_max, heartbeat, records_max, bytes_max, ahead_max, durable_ahead_max
        snapshots.kept = "many" (-D) is not a whole number; allowed: a whole number from 1 to 1000"#]]
    .assert_eq(&problems(&layered));
}

#[test]
fn another_connector_makes_weaker_keys_forgotten_and_stronger_ones_wrong() {
    let code = |layered: Layered| {
        layered
            .with_code_default("source.clicks", "connector", "kafka")
            .with_code_default("source.clicks", "topic", "clicks")
            .with_code_default("source.clicks", "idle", "5s")
    };
    let text = "[source.clicks]\nconnector = \"file\"\npath = \"in.jsonl\"\n";
    let resolved = code(file(text)).resolve("flow").unwrap();
    assert_eq!(resolved.value("source.clicks.topic"), None);
    // What both have stays.
    assert_eq!(resolved.value("source.clicks.idle"), Some(("\"5s\"".into(), Origin::Code)));

    let layered = code(file(&format!("{text}topic = \"other\"\n")));
    assert!(
        problems(&layered).starts_with(
            "key topic in [source.clicks] (t.toml:4) does not apply to connector \"file\"; allowed: "
        ),
        "{}",
        problems(&layered)
    );
}

#[test]
fn names_that_the_dataflow_does_not_have_are_refused() {
    let layered = file("[sink.vists]\nconnector = \"stdout\"\n").with_declared("sink", ["visits"]);
    assert_eq!(
        problems(&layered),
        "the dataflow flow has no sink \"vists\" (t.toml:2), did you mean visits?; it has: visits\n\
         sink.visits.connector is not set and has no default; allowed: one of kafka, file, stdout, blackhole"
    );
}

#[test]
fn a_sink_for_rejected_records_needs_no_declaration() {
    let text = "[source.x]\nconnector = \"nexmark\"\non-error = \"dead-letter\"\n\
                [sink.x-rejected]\nconnector = \"stdout\"\n";
    let layered = file(text).with_declared("source", ["x"]).with_declared("sink", []);
    let settings = layered.settings("flow").unwrap();
    assert_eq!(settings.sources["x"].dead_letter, "x-rejected");
    assert!(settings.sinks.contains_key("x-rejected"));
}

#[test]
fn the_merged_configuration_is_a_file_that_gives_it_again() {
    let text = "workers = 2\n[source.x]\nconnector = \"nexmark\"\nevents = 1_000\n[connection.kafka]\n\
                bootstrap.servers = \"b:9092\"\nlinger.ms = 5\nsasl.password = { file = \"/run/p\" }\n\
                [log]\nkind = \"kafka\"\nconnection = \"kafka\"\n[http]\ntoken = { env = \"TOKEN\" }\n";
    let first = file(text).with_define("tick.heartbeat=1s").unwrap().resolve("flow").unwrap();
    let shown = first.to_toml();
    for line in [
        "workers = 2 # t.toml:1",
        "heartbeat = \"1s\" # -D",
        "interval_min = \"1ms\" # default",
        "topic = \"tidemark-flow-log\" # default",
        "token = { env = \"TOKEN\" } # t.toml:13",
        "\"sasl.password\" = { file = \"/run/p\" } # t.toml:8",
        "\"linger.ms\" = 5 # t.toml:7",
    ] {
        let found = shown
            .lines()
            .any(|shown| shown.split_whitespace().collect::<Vec<_>>().join(" ") == line);
        assert!(found, "{line} is not in\n{shown}");
    }
    let again = file(&shown).resolve("flow").unwrap();
    assert_eq!(first.settings(), again.settings());
}
