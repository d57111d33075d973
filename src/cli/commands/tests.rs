#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::config::Settings;
use crate::error::Kind;
use expect_test::expect;
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;

#[derive(Default)]
struct Fake {
    ran: RefCell<Vec<Settings>>,
    fails: Option<Kind>,
}

impl Runner for Fake {
    fn names(&self) -> Vec<String> {
        vec!["visits".into(), "hot-items".into()]
    }

    fn declare(&self, _: &str, layered: Layered) -> Result<Layered> {
        Ok(layered.with_declared("source", ["clicks"]).with_code_default(
            "source.clicks",
            "connector",
            "nexmark",
        ))
    }

    fn run(&self, _: &str, settings: Settings) -> Result<()> {
        self.ran.borrow_mut().push(settings);
        self.fails.map_or(Ok(()), |kind| Err(Error::new(kind, "it broke")))
    }

    fn replay(&self, name: &str, _: &Settings, tick: Option<u64>) -> Result<(String, bool)> {
        Ok((format!("{name} at {tick:?}\n"), tick != Some(7)))
    }

    fn explain(&self, name: &str, settings: &Settings) -> Result<(String, serde_json::Value)> {
        let steps = serde_json::json!([{ "step": 1 }]);
        Ok((format!("{name} on {} workers\n\n", settings.workers), steps))
    }
}

struct Seen {
    exit: Exit,
    out: String,
    err: String,
}

fn tidemark(runner: &dyn Runner, environment: &[(&str, &str)], args: &[&str]) -> Seen {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let args = std::iter::once("tidemark").chain(args.iter().copied()).map(OsString::from);
    let mut outside = Outside { environment, out: &mut out, err: &mut err };
    let exit = execute(runner, args, &mut outside);
    Seen { exit, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

/// Answers one request on loopback with `status` and `body`; gives the address and, when joined, the request.
fn answering(
    status: &'static str,
    body: &'static str,
) -> (String, std::thread::JoinHandle<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let lower = line.to_ascii_lowercase();
            if let Some(n) = lower.strip_prefix("content-length:") {
                length = n.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            head += &line;
        }
        let mut sent = vec![0; length];
        reader.read_exact(&mut sent).unwrap();
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .unwrap();
        (head, String::from_utf8(sent).unwrap())
    });
    (address, served)
}

#[test]
fn list_names_the_dataflows() {
    let fake = Fake::default();
    assert_eq!(tidemark(&fake, &[], &["list"]).out, "visits\nhot-items\n");
    assert_eq!(tidemark(&fake, &[], &["list", "--json"]).out, "[\"visits\",\"hot-items\"]\n");
}

#[test]
fn run_gets_the_merged_settings() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.toml");
    std::fs::write(&file, "workers = 2\n[tick]\nheartbeat = \"2s\"\n").unwrap();
    let fake = Fake::default();
    let args = ["run", "visits", "--workers", "3", "--http", "127.0.0.1:0", "--config"];
    let define = ["-D", "source.clicks.events=5", "-Dsnapshots.kept=7"];
    let args = [&args[..], &[file.to_str().unwrap()], &define].concat();
    let seen = tidemark(&fake, &[("TIDEMARK_STATE", "/s"), ("TIDEMARK_WORKERS", "9")], &args);
    assert_eq!((seen.exit, seen.out.as_str(), seen.err.as_str()), (Exit::Done, "", ""));
    let ran = fake.ran.borrow();
    assert_eq!(ran[0].workers, 3);
    assert_eq!(ran[0].state, "/s");
    assert_eq!(ran[0].http.addr, "127.0.0.1:0");
    assert_eq!(ran[0].tick.heartbeat, std::time::Duration::from_secs(2));
    assert_eq!(ran[0].snapshots.kept, 7);
    let crate::config::connectors::SourceConnector::Nexmark(clicks) =
        &ran[0].sources["clicks"].connector
    else {
        panic!("{:?}", ran[0].sources)
    };
    assert_eq!(clicks.events, Some(5));
}

#[test]
fn the_kind_of_a_failure_is_the_exit_code() {
    for (kind, exit) in [
        (Kind::Retry, Exit::Failed),
        (Kind::Config, Exit::Usage),
        (Kind::Fenced, Exit::Fenced),
        (Kind::Input, Exit::Input),
        (Kind::Corrupt, Exit::Changed),
        (Kind::Internal, Exit::Failed),
    ] {
        let seen =
            tidemark(&Fake { fails: Some(kind), ..Fake::default() }, &[], &["run", "visits"]);
        assert_eq!(seen.exit, exit);
        assert_eq!(seen.err, format!("error ({}): it broke\n", kind.code()));
    }
}

#[test]
fn what_is_typed_wrong_is_exit_2_and_nothing_runs() {
    let fake = Fake::default();
    for (args, part) in [
        (&["run"][..], "<DATAFLOW>"),
        (
            &["run", "visit"],
            "there is no dataflow \"visit\", did you mean visits?; there are: visits, hot-items",
        ),
        (
            &["run", "visits", "--workers", "none"],
            "workers = \"none\" (--workers) is not a whole number",
        ),
        (&["run", "visits", "-D", "tick.hart=1s"], "unknown key hart in [tick] (-D)"),
        (
            &["run", "visits", "-D", "source.click.events=1"],
            "the dataflow visits has no source \"click\" (-D), did you mean clicks?",
        ),
        (
            &["run", "visits", "--config", "/nowhere"],
            "the configuration file /nowhere can't be read",
        ),
        (&["run", "visits", "--log", "a=b=c"], "the log filter \"a=b=c\" can't be read"),
        (&["query", "v", "--key", "1", "--from", "2"], "cannot be used with"),
    ] {
        let seen = tidemark(&fake, &[], args);
        assert_eq!(seen.exit, Exit::Usage, "{args:?}");
        assert!(seen.err.contains(part), "{args:?}: {}", seen.err);
        assert_eq!(seen.out, "");
    }
    assert!(fake.ran.borrow().is_empty());
}

#[test]
fn help_tells_the_exit_codes() {
    let seen = tidemark(&Fake::default(), &[], &["--help"]);
    assert_eq!(seen.exit, Exit::Done);
    assert!(seen.out.contains("3  fenced"), "{}", seen.out);
}

#[test]
fn config_check_shows_values_with_origins_and_warns() {
    let environment = [("TIDEMARK_HTTP__TOKEN", "hunter2")];
    let args = ["config", "check", "visits", "--workers", "2"];
    let seen = tidemark(&Fake::default(), &environment, &args);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = seen.out.lines().map(words).collect();
    for line in [
        "workers = 2 # --workers",
        "connector = \"nexmark\" # code",
        "token = { env = \"TIDEMARK_HTTP__TOKEN\" } # environment TIDEMARK_HTTP__TOKEN",
        "kept = 3 # default",
    ] {
        assert!(lines.iter().any(|l| l == line), "{line} is not in\n{}", seen.out);
    }
    assert!(!seen.out.contains("hunter2"));

    let json = tidemark(&Fake::default(), &environment, &[&args[..], &["--json"]].concat()).out;
    assert!(json.contains(r#"{"key":"workers","origin":"--workers","value":2}"#), "{json}");
    assert!(!json.contains("hunter2"));

    let open =
        tidemark(&Fake::default(), &[], &["config", "check", "visits", "--http", "0.0.0.0:80"]);
    assert!(open.err.starts_with("warning: http.addr = 0.0.0.0:80 is reachable"), "{}", open.err);
    assert_eq!(open.exit, Exit::Done);
}

#[test]
fn a_replay_tells_what_it_saw_and_ends_by_whether_the_tick_gets_through() {
    let seen = tidemark(&Fake::default(), &[], &["replay", "visits"]);
    assert_eq!((seen.exit, seen.out.as_str()), (Exit::Done, "visits at None\n"));
    let seen = tidemark(&Fake::default(), &[], &["replay", "visits", "--tick", "7"]);
    assert_eq!((seen.exit, seen.out.as_str()), (Exit::Input, "visits at Some(7)\n"));
    let seen = tidemark(&Fake::default(), &[], &["replay", "visits", "--tick", "7", "--json"]);
    assert_eq!(seen.out, "{\"replay\":\"visits at Some(7)\",\"through\":false}\n");
}

#[test]
fn explain_is_printed() {
    let seen = tidemark(&Fake::default(), &[], &["explain", "visits", "--workers", "2"]);
    assert_eq!(seen.out, "visits on 2 workers\n");
    let seen = tidemark(&Fake::default(), &[], &["explain", "visits", "--workers", "2", "--json"]);
    assert_eq!(seen.out, "{\"explain\":\"visits on 2 workers\",\"steps\":[{\"step\":1}]}\n");
}

#[test]
fn query_asks_and_shows_rows() {
    let body = r#"{"tick":17,"rows":[{"key":1,"value":"a"},{"key":20,"value":"b"}],"next":"21"}"#;
    let (address, served) = answering("200 OK", body);
    let args = ["query", "a/b", "--from", "\"x y\"", "--limit", "2", "--as-of", "17", "--http"];
    let environment = [("TIDEMARK_HTTP__TOKEN", "hunter2")];
    let seen = tidemark(&Fake::default(), &environment, &[&args[..], &[&address]].concat());
    expect![[r#"
        key  value
          1  a
         20  b
    "#]]
    .assert_eq(&seen.out);
    assert_eq!(seen.err, "2 rows at tick 17; more follow: --next 21\n");
    let (head, _) = served.join().unwrap();
    assert!(
        head.starts_with("GET /api/v1/views/a%2Fb?from=%22x%20y%22&as_of=17&limit=2 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.to_ascii_lowercase().contains("authorization: bearer hunter2\r\n"), "{head}");
}

#[test]
fn commands_are_posted() {
    let (address, served) = answering("200 OK", r#"{"savepoint":"s1","tick":9}"#);
    let environment = [("TIDEMARK_HTTP__ADDR", address.as_str())];
    let seen = tidemark(&Fake::default(), &environment, &["savepoint", "s1"]);
    assert_eq!(seen.out, "savepoint  s1\ntick       9\n");
    let (head, body) = served.join().unwrap();
    assert!(head.starts_with("POST /api/v1/job/savepoint HTTP/1.1\r\n"), "{head}");
    assert_eq!(body, r#"{"name":"s1"}"#);

    let (address, served) = answering("200 OK", r#"{"tick":10}"#);
    let url = format!("http://{address}/");
    let seen = tidemark(&Fake::default(), &[], &["--json", "stop", "--url", &url]);
    assert_eq!(seen.out, "{\"stop\":{\"tick\":10}}\n");
    let (head, body) = served.join().unwrap();
    assert!(head.starts_with("POST /api/v1/job/stop HTTP/1.1\r\n"), "{head}");
    assert_eq!(body, "");
}

/// What is asked for first fails, so the job is not stopped: a second request would find nobody.
#[test]
fn a_job_without_its_savepoint_is_not_stopped() {
    let (address, served) = answering("409 Conflict", r#"{"code":"config","message":"s2 exists"}"#);
    let seen = tidemark(&Fake::default(), &[], &["stop", "--savepoint", "s2", "--http", &address]);
    assert_eq!((seen.exit, seen.err.as_str()), (Exit::Usage, "error (config): s2 exists\n"));
    let (head, body) = served.join().unwrap();
    assert!(head.starts_with("POST /api/v1/job/savepoint HTTP/1.1\r\n"), "{head}");
    assert_eq!(body, r#"{"name":"s2"}"#);
}

#[test]
fn refusals_of_the_job_are_errors() {
    let (address, served) = answering(
        "503 Service Unavailable",
        r#"{"error":{"code":"replaying","message":"at 3 of 9"}}"#,
    );
    let seen = tidemark(&Fake::default(), &[], &["--json", "status", "--http", &address]);
    assert_eq!(seen.exit, Exit::NoAnswer);
    assert_eq!(seen.err, "{\"error\":{\"code\":\"replaying\",\"message\":\"at 3 of 9\"}}\n");
    served.join().unwrap();

    // A port that was just let go has no listener.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let seen = tidemark(&Fake::default(), &[], &["status", "--http", &closed]);
    assert_eq!(seen.exit, Exit::NoAnswer);
    assert!(
        seen.err
            .starts_with(&format!("error (no-answer): no answer from a job at http://{closed}: "))
    );
}
