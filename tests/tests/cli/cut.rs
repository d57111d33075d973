//! Processes in network namespaces, of which one is cut off: it is replaced, and when the cut heals there is one leader.
//!
//! Needs to be root, so it is a command of its own: `./test cut`.

use crate::{LONG, bid, busy, q1, sorted, until, written};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidemark_tests::engine::{Engine, Launch, binary};
use tidemark_tests::fleet::member;
use tidemark_tests::process::Signal;

/// Four namespaces on one bridge; gone when dropped.
struct Net {
    name: String,
}

fn ip(arguments: &str) {
    let out = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(out.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&out.stderr));
}

impl Net {
    fn new() -> Net {
        let net = Net { name: format!("tm{}", std::process::id()) };
        let name = &net.name;
        ip(&format!("link add {name} type bridge"));
        ip(&format!("link set {name} up"));
        for place in 0..4 {
            ip(&format!("netns add {name}-{place}"));
            let (outer, inner) = (net.outer(place), format!("{name}i{place}"));
            ip(&format!("link add {outer} type veth peer name {inner}"));
            ip(&format!("link set {outer} master {name}"));
            ip(&format!("link set {outer} up"));
            ip(&format!("link set {inner} netns {name}-{place}"));
            ip(&format!("-n {name}-{place} addr add 10.213.7.{}/24 dev {inner}", place + 10));
            ip(&format!("-n {name}-{place} link set {inner} up"));
            ip(&format!("-n {name}-{place} link set lo up"));
        }
        net
    }

    fn outer(&self, place: usize) -> String {
        format!("{}o{place}", self.name)
    }

    /// Nothing goes in or out.
    fn cut(&self, place: usize) {
        ip(&format!("link set {} down", self.outer(place)));
    }

    fn heal(&self, place: usize) {
        ip(&format!("link set {} up", self.outer(place)));
    }

    /// Nothing goes from one place to another; the other way is open.
    fn silence(&self, from: usize, to: usize) {
        ip(&format!("-n {}-{from} route add blackhole 10.213.7.{}/32", self.name, to + 10));
    }

    fn unsilence(&self, from: usize, to: usize) {
        ip(&format!("-n {}-{from} route del blackhole 10.213.7.{}/32", self.name, to + 10));
    }

    /// A program that runs the one under test at a place.
    fn program(&self, folder: &Path, place: usize) -> PathBuf {
        let path = folder.join(format!("at-{place}"));
        let binary = binary().unwrap();
        let text = format!(
            "#!/bin/sh\nexec ip netns exec {}-{place} {} \"$@\"\n",
            self.name,
            binary.display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Process `i` of a job at the `i`-th of `places`.
    fn start(&self, launch: &Launch, folder: &Path, places: &[usize]) -> Vec<Engine> {
        let hosts: Vec<_> = places.iter().map(|at| format!("10.213.7.{}:7000", at + 10)).collect();
        let start = |(process, place): (usize, &usize)| {
            let program = Some(self.program(folder, *place));
            let launch = Launch { program, ..member(launch, &hosts, process) };
            Engine::launch(&launch).unwrap()
        };
        let fleet: Vec<_> = places.iter().enumerate().map(start).collect();
        fleet[0].wait_phase(0, LONG, |phase| phase.name == "leading").unwrap();
        fleet
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for place in 0..4 {
            // What is not there need not go.
            let _ = Command::new("ip")
                .args(["netns", "del", &format!("{}-{place}", self.name)])
                .output();
        }
        let _ = Command::new("ip").args(["link", "del", &self.name]).output();
    }
}

fn all_end(fleet: &mut [Engine]) {
    for process in fleet {
        let status = process.wait(LONG).unwrap();
        let told = process.stderr().tail(5);
        assert_eq!(status.code(), Some(1), "{told}");
        assert!(told.contains("of the cluster is lost"), "{told}");
    }
}

#[test]
#[ignore = "needs to be root: ./test cut"]
fn a_process_that_is_cut_off_is_replaced_and_there_is_one_leader_when_the_cut_heals() {
    let directory = tempfile::tempdir().unwrap();
    let (root, input) = (directory.path(), directory.path().join("in.jsonl"));
    let net = Net::new();
    let mut expected = Vec::new();
    let mut write = || {
        let from = expected.len() as u64;
        let (lines, rows): (Vec<_>, Vec<_>) = (from..from + 500).map(bid).unzip();
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&input).unwrap();
        file.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
        expected.extend(rows);
        expected.len()
    };
    let rows = |count: usize| {
        until("the rows", || {
            let found = written(&root.join("out")).len();
            if found >= count { Ok(()) } else { Err(format!("{found} of {count} rows")) }
        });
    };
    let first = write();
    let launch = busy(q1(1, root, &input))
        .set("log.kind", "store")
        .set("source.events.follow", true)
        .set("cluster.heartbeat_limit", "1s");
    let mut fleet = net.start(&launch, root, &[0, 1, 2]);
    rows(first);

    // Both ways: a process that follows.
    net.cut(1);
    let more = write();
    all_end(&mut fleet);
    let mut fleet = net.start(&launch, root, &[0, 3, 2]);
    rows(more);
    net.heal(1);

    // One way: what it says does not arrive, what is said to it does.
    net.silence(3, 0);
    let more = write();
    all_end(&mut fleet);
    let mut fleet = net.start(&launch, root, &[0, 1, 2]);
    rows(more);
    net.unsilence(3, 0);

    // Both ways: the leader, which still has the store.
    net.cut(0);
    let more = write();
    all_end(&mut fleet);
    let mut fleet = net.start(&launch, root, &[3, 1, 2]);
    rows(more);
    net.heal(0);

    let more = write();
    rows(more);
    fleet[0].signal(Signal::Term).unwrap();
    for process in &mut fleet {
        let status = process.wait(LONG).unwrap();
        assert_eq!(status.code(), Some(0), "{}", process.stderr().tail(20));
    }
    let line = fleet[0].wait_for("restored the snapshot", LONG).unwrap();
    assert!(line.contains("generation 4:"), "one generation a start: {line}");
    let found = written(&root.join("out"));
    assert_eq!(found.len(), expected.len());
    assert!(sorted(&found) == sorted(&expected), "rows are not what they should be");
}
