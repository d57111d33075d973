//! What the chart, the compose file and the systemd units run, as plain processes on this machine: the very arguments, variables, mounted files
//! and probes. `deploy/check` writes them to `deploy/commands.json` and refuses a file that is not what they are.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tidemark_tests::broker::{Broker, free_port};
use tidemark_tests::clock::Deadline;
use tidemark_tests::engine::{self, Engine};
use tidemark_tests::fleet::SECRET;
use tidemark_tests::process::Signal;

/// A deadline that only a hanging engine reaches.
const LONG: Duration = Duration::from_secs(120);

#[test]
fn the_chart_with_two_processes() {
    Deployed::of("the chart with a volume", &[]).lives_and_ends("hot-items", All);
}

#[test]
fn the_chart_with_one_process() {
    Deployed::of("the chart with one process", &[]).lives_and_ends("hot-items", All);
}

#[test]
fn the_compose_file() {
    let broker = Broker::start().unwrap();
    let state = tempfile::tempdir().unwrap();
    // There is no object store here: state is in a directory.
    let state = state.path().to_str().unwrap().to_owned();
    let here = [("kafka:9092", broker.bootstrap()), ("s3://tidemark", state)];
    Deployed::of("the compose file", &here).lives_and_ends("q3", All);
}

#[test]
fn the_service_of_one_process() {
    Deployed::of("tidemark.service", &[]).lives_and_ends("hot-items", All);
}

#[test]
fn the_service_of_several_processes() {
    Deployed::of("tidemark-cluster.service", &[]).lives_and_ends("hot-items", All);
}

#[test]
fn the_services_of_a_cluster_end_with_any_of_them() {
    Deployed::of("tidemark@.service", &[]).lives_and_ends("hot-items", Only(1));
}

/// Whoever restarts what refuses restarts a job that works.
#[test]
fn in_the_chart_a_refusal_is_a_sign_of_life() {
    let deployed = Deployed::of("the chart with one process", &[]);
    let process = &deployed.processes[0];
    let mut engines = [process.start()];
    until(&mut engines, "it is ready", || process.ready() == Some(true));
    let live = process.live.as_ref().unwrap();
    assert!(process.beside(live, &[("TIDEMARK_HTTP__TOKEN", "another")]).0);
    let closed = format!("127.0.0.1:{}", free_port().unwrap());
    assert!(!process.beside(live, &[("TIDEMARK_HTTP__ADDR", &closed)]).0);
}

/// Which processes are told to end.
enum Told {
    All,
    Only(usize),
}
use Told::{All, Only};

/// Something that is deployed, put on this machine: its files are in a folder, its names are ports of loopback.
struct Deployed {
    processes: Vec<Process>,
    _folder: TempDir,
}

struct Process {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    http: u16,
    /// How it is asked whether it lives, and whether it is ready, if it is.
    live: Option<Vec<String>>,
    ready: Option<Vec<String>>,
    /// Where `tidemark` is found.
    path: PathBuf,
}

impl Deployed {
    fn of(name: &str, here: &[(&str, String)]) -> Deployed {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let text = std::fs::read_to_string(root.join("deploy/commands.json")).unwrap();
        let deployed = &serde_json::from_str::<Json>(&text).unwrap()[name];
        let folder = tempfile::tempdir().unwrap();
        let mut places = mounted(deployed, folder.path());
        places.extend(here.iter().map(|(from, to)| ((*from).to_owned(), to.clone())));
        for secret in ["TIDEMARK_CLUSTER__SECRET", "TIDEMARK_HTTP__TOKEN"] {
            places.push((format!("{secret} of the outside"), SECRET.to_owned()));
        }
        let processes = deployed["processes"].as_array().unwrap();
        let hosts = hosts(&words(&processes[0]["command"]));
        places.extend(hosts.iter().cloned());
        let path = folder.path().join("bin");
        std::fs::create_dir(&path).unwrap();
        std::os::unix::fs::symlink(engine::binary().unwrap(), path.join("tidemark")).unwrap();
        let process = |(number, process)| {
            let at = hosts.get(number).map(|(_, at): &(String, String)| at.as_str());
            Process::of(process, &places, at, path.clone())
        };
        let processes = processes.iter().enumerate().map(process).collect();
        Deployed { processes, _folder: folder }
    }

    /// Starts it, asks the view, and ends it cleanly; its probes say throughout what is so.
    fn lives_and_ends(&self, view: &str, told: Told) {
        let (first, others) = self.processes.split_first().unwrap();
        assert_ne!(first.live(), Some(true), "nothing runs yet");
        let mut engines = vec![first.start()];
        if !others.is_empty() {
            until(&mut engines, "process 0 lives while it waits", || first.live() != Some(false));
            assert_ne!(first.ready(), Some(true), "the others are not there yet");
        }
        for other in others {
            engines.push(other.start());
            assert!(other.live() != Some(false) && other.ready() != Some(false));
        }
        until(&mut engines, "process 0 is ready", || first.ready() != Some(false));
        until(&mut engines, "the view has rows", || first.has_rows(view));
        assert_ne!(first.live(), Some(false));
        for (number, engine) in engines.iter().enumerate() {
            if matches!(told, All) || matches!(told, Only(one) if one == number) {
                engine.signal(Signal::Term).unwrap();
            }
        }
        for engine in &mut engines {
            let status = engine.wait(LONG).unwrap();
            assert_eq!(status.code(), Some(0), "{}", engine.stderr().tail(30));
        }
        assert_ne!(first.live(), Some(true), "nothing runs any more");
        assert_ne!(first.ready(), Some(true));
    }
}

impl Process {
    fn of(process: &Json, places: &[(String, String)], at: Option<&str>, path: PathBuf) -> Process {
        let http = free_port().unwrap();
        let mut places = places.to_vec();
        // Containers have addresses of their own, where all may listen on the same port.
        places.push(("0.0.0.0:8090".to_owned(), format!("127.0.0.1:{http}")));
        places.extend(at.map(|at| ("0.0.0.0:7000".to_owned(), at.to_owned())));
        let here = |text: &str| replaced(text, &places);
        let mut arguments: Vec<_> =
            words(&process["command"]).iter().map(|word| here(word)).collect();
        let program = arguments.remove(0);
        assert!(["tidemark", "/usr/local/bin/tidemark"].contains(&program.as_str()), "{program}");
        // What an unoptimised binary on a busy machine keeps up with; a port that is free.
        let mut environment = vec![
            ("TIDEMARK_SOURCE__EVENTS__RATE".to_owned(), "1000".to_owned()),
            ("TIDEMARK_HTTP__ADDR".to_owned(), format!("127.0.0.1:{http}")),
        ];
        let said = process["environment"].as_object().unwrap().iter();
        // State is in a directory here.
        let said = said.filter(|(name, _)| !name.starts_with("TIDEMARK_S3__"));
        environment.extend(said.map(|(name, value)| (name.clone(), here(value.as_str().unwrap()))));
        let probe = |name: &str| process.get(name).map(words);
        Process { arguments, environment, http, live: probe("live"), ready: probe("ready"), path }
    }

    fn start(&self) -> Engine {
        Engine::with(&self.arguments, &self.environment, self.http).unwrap()
    }

    /// A command that is run beside the process, as `kubectl exec` and probes do, with its variables but for some.
    fn beside(&self, command: &[String], but: &[(&str, &str)]) -> (bool, String) {
        let path = std::env::var("PATH").unwrap();
        let output = Command::new(&command[0])
            .args(&command[1..])
            .envs(self.environment.iter().cloned())
            .envs(but.iter().copied())
            .env("PATH", format!("{}:{path}", self.path.display()))
            .output();
        let output = output.unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    fn live(&self) -> Option<bool> {
        self.live.as_ref().map(|probe| self.beside(probe, &[]).0)
    }

    fn ready(&self) -> Option<bool> {
        self.ready.as_ref().map(|probe| self.beside(probe, &[]).0)
    }

    fn has_rows(&self, view: &str) -> bool {
        let query = ["sh", "-c", "tidemark query \"$0\" --json --limit 1", view];
        let (answered, text) = self.beside(&query.map(str::to_owned), &[]);
        answered
            && serde_json::from_str::<Json>(&text).unwrap()["rows"]
                .as_array()
                .is_some_and(|rows| !rows.is_empty())
    }
}

/// Lays what is mounted into `folder`: each path with where it is here.
fn mounted(deployed: &Json, folder: &Path) -> Vec<(String, String)> {
    let place = |path: &str| folder.join(path.trim_start_matches('/'));
    let write = |path: &str, text: &str| {
        std::fs::create_dir_all(place(path).parent().unwrap()).unwrap();
        std::fs::write(place(path), text).unwrap();
    };
    let mut paths = words(&deployed["folders"]);
    for path in &paths {
        std::fs::create_dir_all(place(path)).unwrap();
    }
    for (path, text) in deployed["files"].as_object().unwrap() {
        write(path, text.as_str().unwrap());
        paths.push(path.clone());
    }
    for path in words(&deployed["secrets"]) {
        write(&path, SECRET);
        paths.push(path);
    }
    let here = |path: String| (place(&path).to_str().unwrap().to_owned(), path);
    paths.into_iter().map(here).map(|(here, path)| (path, here)).collect()
}

/// The hosts of a command, each with where it listens here.
fn hosts(command: &[String]) -> Vec<(String, String)> {
    let value = command.iter().skip_while(|word| *word != "--hosts").nth(1);
    let hosts = value.into_iter().flat_map(|hosts| hosts.split(','));
    hosts.map(|host| (host.to_owned(), format!("127.0.0.1:{}", free_port().unwrap()))).collect()
}

/// `text` with each first part of a pair replaced by its second; what was put in is not looked at again.
fn replaced(text: &str, pairs: &[(String, String)]) -> String {
    let mut rest = text;
    let mut done = String::new();
    while let Some(next) = rest.chars().next() {
        let found = pairs.iter().filter(|(from, _)| rest.starts_with(from.as_str()));
        if let Some((from, to)) = found.max_by_key(|(from, _)| from.len()) {
            done.push_str(to);
            rest = &rest[from.len()..];
        } else {
            done.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    done
}

fn words(list: &Json) -> Vec<String> {
    let list = list.as_array().unwrap();
    list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// Waits until it holds, if none of these ends before.
fn until(engines: &mut [Engine], what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Deadline::after(LONG);
    while !holds() {
        for engine in &mut *engines {
            let ended = engine.ended().unwrap();
            assert!(ended.is_none(), "{ended:?} before {what}: {}", engine.stderr().tail(30));
        }
        assert!(deadline.left().is_some(), "{LONG:?} passed before {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
