//! Strangers at the cluster port of a job that runs, encrypted and not: each is refused, few lines are logged, the job goes on.

use crate::{LONG, ask, until};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value as Json;
use sha2::Sha256;
use std::collections::VecDeque;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use tidemark_tests::broker::free_port;
use tidemark_tests::certificates::encrypted;
use tidemark_tests::engine::{Engine, Launch};
use tidemark_tests::fleet::{SECRET, SECRET_VARIABLE, member};

/// Connections that say nothing, or something wrong.
const STRANGERS: usize = 10_000;
/// Of which so many are open at a time.
const OPEN: usize = 300;

struct Job {
    launch: Launch,
    hosts: Vec<String>,
    processes: Vec<Engine>,
}

impl Job {
    fn start(launch: Launch) -> Job {
        let hosts: Vec<_> = (0..2).map(|_| format!("127.0.0.1:{}", free_port().unwrap())).collect();
        let start = |process| Engine::launch(&member(&launch, &hosts, process)).unwrap();
        let processes = (0..2).map(start).collect();
        Job { launch, hosts, processes }
    }

    fn status(&self) -> Json {
        ask(&self.processes[0], "/api/v1/job")
    }

    /// The job goes on: later ticks are shown, by the generation that there was.
    fn goes_on(&self, since: &Json) {
        let tick = since["tick"].as_u64().unwrap();
        let after = format!("/api/v1/views/hot-items?after={}", self.status()["tick"]);
        let shown = ask(&self.processes[0], &after);
        assert!(shown["tick"].as_u64().unwrap() > tick, "{shown} since {since}");
        assert_eq!(shown["generation"], since["generation"]);
    }

    /// What a process says, and its exit code, that takes itself for process 1 of this job, but for `otherwise`.
    fn pretends(&self, otherwise: impl Fn(&mut Launch, &mut Vec<String>)) -> (Option<i32>, String) {
        let mut hosts = self.hosts.clone();
        let mut launch = self
            .launch
            .clone()
            .set("cluster.join_time_max", "1s")
            .set("cluster.listen", format!("127.0.0.1:{}", free_port().unwrap()));
        otherwise(&mut launch, &mut hosts);
        let mut place = member(&launch, &hosts, 1);
        // What was said before stands: the secret of the job is the last one.
        place.environment.extend(launch.environment);
        let mut stranger = Engine::launch(&place).unwrap();
        let status = stranger.wait(LONG).unwrap();
        (status.code(), stranger.stderr().tail(20))
    }

    /// Claims to be what `claim` says with this secret, without encryption; code and reason of process 0's answer.
    fn claims(&self, secret: &str, claim: &Claim) -> (u8, String) {
        let mut stream = TcpStream::connect(&self.hosts[0]).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let hello = greeting();
        stream.write_all(&hello).unwrap();
        let mut challenge = vec![0; hello.len()];
        stream.read_exact(&mut challenge).unwrap();
        let body = claim.encode();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(&[b"tidemark.dialer\n", &hello[..], &challenge, &body].concat());
        let proof: [u8; 32] = mac.finalize().into_bytes().into();
        stream.write_all(&[&body[..], &proof].concat()).unwrap();
        let mut head = [0; 3];
        stream.read_exact(&mut head).unwrap();
        let mut reason = vec![0; usize::from(u16::from_le_bytes([head[1], head[2]]))];
        stream.read_exact(&mut reason).unwrap();
        (head[0], String::from_utf8(reason).unwrap())
    }

    /// How often the refusal of this kind was logged by process 0.
    fn lines(&self, kind: &str) -> usize {
        let lines = self.processes[0].stderr().since(0);
        let kind = format!("connections of the cluster are refused: {kind}");
        lines.iter().filter(|line| line.contains(&kind)).count()
    }
}

/// What a process says of itself (`doc/formats/cluster.md`): number 1, to number 0.
struct Claim {
    purpose: u8,
    processes: u16,
    generation: u64,
    program: String,
}

impl Claim {
    /// With its length.
    fn encode(&self) -> Vec<u8> {
        let mut body = vec![self.purpose];
        for number in [1, 0, self.processes, 1] {
            body.extend(number.to_le_bytes());
        }
        body.extend(self.generation.to_le_bytes());
        body.extend(7_u64.to_le_bytes());
        for name in ["hot-items", &self.program] {
            body.push(u8::try_from(name.len()).unwrap());
            body.extend(name.as_bytes());
        }
        [&u16::try_from(body.len()).unwrap().to_le_bytes()[..], &body].concat()
    }
}

/// What a handshake begins with: magic, version and 32 bytes drawn at random.
fn greeting() -> Vec<u8> {
    [&b"TIDECLU\n\x01\0"[..], &[7; 32]].concat()
}

fn hot_items(root: &Path) -> Launch {
    Launch::new("hot-items", 1, &root.join("state"))
        .set("log.kind", "store")
        .set("source.events.rate", 1000)
}

fn strangers_disturb_nobody(launch: Launch, other: &Launch) {
    let mut job = Job::start(launch);
    ask(&job.processes[0], "/api/v1/views/hot-items?after=3");
    let before = job.status();
    let secret = (SECRET_VARIABLE.to_owned(), "another secret, long enough".to_owned());
    let set =
        |launch: &mut Launch, key: &str, value: &str| *launch = launch.clone().set(key, value);
    for (told, (code, said)) in [
        (
            "it has another secret",
            job.pretends(|launch, _| launch.environment.push(secret.clone())),
        ),
        (
            "has the cluster name \"hot-items\", the caller \"cold-items\"",
            job.pretends(|launch, _| set(launch, "cluster.name", "cold-items")),
        ),
        ("has the program", job.pretends(|launch, _| set(launch, "job.program", "another"))),
        ("workers", job.pretends(|launch, _| launch.workers = 2)),
        ("processes", job.pretends(|_, hosts| hosts.push("127.0.0.1:1".to_owned()))),
        ("is here already", job.pretends(|_, _| {})),
        (
            "encrypt",
            job.pretends(|launch, _| {
                let certificates = |key: &str| key.starts_with("cluster.tls_");
                launch.settings.retain(|(key, _)| !certificates(key));
                let others = other.settings.iter().filter(|(key, _)| certificates(key));
                launch.settings.extend(others.cloned());
            }),
        ),
    ] {
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(told), "no {told:?} in {said}");
    }
    job.goes_on(&before);

    let greeting = greeting();
    let session = [&[0x16, 3, 1, 1, 0][..], &[1, 0, 0, 252, 3, 3], &[7; 20]].concat();
    let mut open = VecDeque::new();
    for stranger in 0..STRANGERS {
        let Ok(mut stream) = TcpStream::connect(&job.hosts[0]) else { continue };
        // Who is refused at once may have been closed already.
        let _ = match stranger % 5 {
            0 => stream.write_all(&[0xa5; 64]),
            1 => stream.write_all(&greeting),
            2 => stream.write_all(&session),
            _ => Ok(()),
        };
        open.push_back(stream);
        if open.len() > OPEN {
            open.pop_front();
        }
    }
    job.goes_on(&before);
    let kinds = ["not a handshake", "dropped for newer ones", "another secret", "another program"];
    for kind in kinds {
        let lines = until(kind, || match job.lines(kind) {
            0 => Err(job.processes[0].stderr().tail(20)),
            lines => Ok(lines),
        });
        // One each ten seconds, however many there were.
        assert!(lines < 30, "{lines} lines of {kind:?}");
    }
    drop(open);
    job.goes_on(&before);
    job.processes[0].signal(tidemark_tests::process::Signal::Term).unwrap();
    for process in &mut job.processes {
        let status = process.wait(LONG).unwrap();
        assert_eq!(status.code(), Some(0), "{}", process.stderr().tail(20));
    }
}

#[test]
fn strangers_at_the_port_disturb_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let plain = hot_items(directory.path());
    let sealed = encrypted(&plain, directory.path()).unwrap();
    strangers_disturb_nobody(plain, &sealed);
}

#[test]
fn strangers_at_an_encrypted_port_disturb_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let plain = hot_items(directory.path());
    let sealed = encrypted(&plain, directory.path()).unwrap();
    strangers_disturb_nobody(sealed, &plain);
}

/// Who knows the secret and comes from another generation, or again and again with something else that is wrong, is told why; the log
/// says each once in a while.
#[test]
fn who_knows_the_secret_is_told_why_it_is_refused() {
    const TIMES: usize = 100;
    const CONTROL: u8 = 1;
    const MESH: u8 = 3;
    let directory = tempfile::tempdir().unwrap();
    let job = Job::start(hot_items(directory.path()));
    ask(&job.processes[0], "/api/v1/views/hot-items?after=3");
    let before = job.status();
    let program = before["program"].as_str().unwrap().to_owned();
    let claim = |purpose, processes, generation, program: &str| Claim {
        purpose,
        processes,
        generation,
        program: program.to_owned(),
    };
    let table = [
        ("another secret, long enough", claim(CONTROL, 2, 0, &program), 1, "", "another secret"),
        (SECRET, claim(CONTROL, 2, 0, "b"), 3, "the caller \"b\"", "another program"),
        (SECRET, claim(CONTROL, 3, 0, &program), 4, "the caller 3", "another number of processes"),
        (
            SECRET,
            claim(CONTROL, 2, 0, &program),
            7,
            "is here already",
            "the process is here already",
        ),
        (SECRET, claim(MESH, 2, 9, &program), 10, "this is generation 1", "another generation"),
    ];
    for _ in 0..TIMES {
        for (secret, claim, code, told, _) in &table {
            let (found, reason) = job.claims(secret, claim);
            assert_eq!(found, *code, "{reason}");
            assert!(reason.contains(told), "no {told:?} in {reason:?}");
        }
    }
    for (.., kind) in table {
        let lines = job.lines(kind);
        assert!((1..TIMES / 3).contains(&lines), "{lines} lines of {kind:?}");
    }
    job.goes_on(&before);
}

/// Half of a configuration, or files that are none, are told before anything runs.
#[test]
fn a_certificate_that_can_not_be_used_is_named_before_anything_runs() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let sealed = encrypted(&hot_items(root), root).unwrap();
    let refused = |launch: &Launch| {
        let hosts = ["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()];
        let mut engine = Engine::launch(&member(launch, &hosts, 1)).unwrap();
        assert_eq!(engine.wait(LONG).unwrap().code(), Some(2));
        engine.stderr().tail(5)
    };
    let mut half = sealed.clone();
    half.settings.retain(|(key, _)| key != "cluster.tls_key");
    let told = refused(&half);
    assert!(told.contains("cluster.tls_key is missing"), "{told}");
    let told = refused(&sealed.clone().set("cluster.tls_authority", "/no/such/file"));
    assert!(told.contains("cluster.tls_authority: /no/such/file can't be read"), "{told}");
    fs::write(root.join("process.pem"), "nothing").unwrap();
    let told = refused(&sealed);
    assert!(told.contains("cluster.tls_certificate: there is no certificate"), "{told}");
}
