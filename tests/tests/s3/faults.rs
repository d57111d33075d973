//! A job and a network that cuts and delays: it says so, goes on, and every row is there once.

use crate::{LONG, configured, rows, stored};
use std::path::Path;
use tidemark_tests::bids::{sorted, write, written};
use tidemark_tests::engine::Engine;
use tidemark_tests::phase::Phase;
use tidemark_tests::proof::run::say;
use tidemark_tests::s3::Server;
use tidemark_tests::s3::proxy::{Harm, Plan, Proxy};

/// Reads are tried again within a call for longer than harm ever lasts.
const PATIENT: &str = "retry_time = \"1m\"\n";
/// A read that fails once has failed: the engine hears of all that happens.
const IMPATIENT: &str = "retry_time = \"0s\"\n";

struct Stage {
    root: tempfile::TempDir,
    proxy: Proxy,
    config: std::path::PathBuf,
    bucket: String,
    expected: Vec<String>,
}

impl Stage {
    fn new(seed: u64, more: &str) -> Stage {
        say(&format!("seed {seed}"));
        let (root, server) = (tempfile::tempdir().unwrap(), Server::shared());
        let proxy = Proxy::start(&server.address(), seed).unwrap();
        let config = configured(root.path(), &proxy.endpoint(), more);
        Stage { root, proxy, config, bucket: server.bucket().unwrap(), expected: Vec::new() }
    }

    fn root(&self) -> &Path {
        self.root.path()
    }

    fn launch(&self, workers: usize) -> Engine {
        let launch = stored(workers, self.root(), &self.config, &self.bucket);
        Engine::launch(&launch.set("source.events.follow", true)).unwrap()
    }

    fn write(&mut self, count: u64) {
        let from = self.expected.len() as u64;
        self.expected.extend(write(&self.root().join("in.jsonl"), from, count).unwrap());
    }

    fn rows(&self, engine: &Engine) {
        rows(engine, self.root(), self.expected.len());
    }

    /// Lets it work until so many kinds of harm were done to creates and to other requests.
    fn until_all_were_done(&mut self, engine: &Engine, kinds: usize) {
        let done = |proxy: &Proxy| proxy.creates().len().min(proxy.others().len());
        let mut first = true;
        while std::mem::take(&mut first) || done(&self.proxy) < kinds {
            self.write(100);
            self.rows(engine);
        }
        let (creates, others) = (self.proxy.creates(), self.proxy.others());
        say(&format!("harm to creates {creates:?}, to others {others:?}"));
    }

    /// Ends it cleanly over a whole network; every row is there once.
    fn finish(&self, mut engine: Engine) {
        self.rows(&engine);
        self.proxy.follow(Plan::default());
        engine.wait_phase(0, LONG, |phase| phase.name == "leading").unwrap();
        assert!(engine.terminate(LONG).unwrap().success(), "{}", engine.stderr().tail(20));
        assert_eq!(sorted(&written(&self.root().join("out"))), sorted(&self.expected));
    }
}

/// Everything at once, over kills.
#[test]
fn every_row_is_there_once_over_all_kinds_of_harm_and_kills() {
    for seed in [5, 6] {
        let mut stage = Stage::new(seed, PATIENT);
        stage.proxy.follow(Plan { percent: 25, harms: Harm::ALL.to_vec(), ..Plan::default() });
        stage.write(500);
        let mut engine = stage.launch(2);
        for workers in [1, 2] {
            engine.wait_phase(0, LONG, |phase| phase.name == "leading").unwrap();
            stage.rows(&engine);
            stage.write(1_000);
            let next = engine.stderr().next();
            engine.wait_phase(next, LONG, |phase| phase.name == "snapshot-begin").unwrap();
            engine.kill().unwrap();
            stage.write(500);
            engine = stage.launch(workers);
        }
        stage.until_all_were_done(&engine, Harm::ALL.len());
        assert!(engine.ended().unwrap().is_none(), "{}", engine.stderr().tail(20));
        stage.finish(engine);
    }
}

/// One request of five fails and none is tried again unseen: each step of the start, and each append, is tried until it is answered.
#[test]
fn a_start_and_a_log_outlast_failures_of_every_step() {
    let mut stage = Stage::new(10, IMPATIENT);
    let harms = vec![Harm::Busy, Harm::CutBefore, Harm::CutAfter, Harm::Failed];
    stage.proxy.follow(Plan { percent: 20, harms, ..Plan::default() });
    stage.write(300);
    for workers in [1, 2] {
        let mut engine = stage.launch(workers);
        stage.rows(&engine);
        stage.until_all_were_done(&engine, 4);
        engine.kill().unwrap();
    }
    stage.proxy.follow(Plan::default());
    let engine = stage.launch(1);
    stage.finish(engine);
}

/// No create is ever answered, though the store does them all: each is read back.
#[test]
fn a_job_whose_creates_are_never_answered_goes_on() {
    for harm in [Harm::CutAfter, Harm::Failed] {
        let mut stage = Stage::new(7, PATIENT);
        stage.write(300);
        let engine = stage.launch(1);
        stage.rows(&engine);
        stage.proxy.follow(Plan {
            percent: 100,
            harms: vec![harm],
            creates_only: true,
            ..Plan::default()
        });
        for _ in 0..5 {
            stage.write(300);
            stage.rows(&engine);
        }
        let done = stage.proxy.creates();
        assert!(done[&harm] > 5, "{done:?}");
        stage.finish(engine);
    }
}

/// The store is away: the log says that it is held up, and the same generation goes on when it is back.
#[test]
fn a_store_that_is_away_holds_the_job_up_and_nothing_is_lost() {
    let mut stage = Stage::new(8, IMPATIENT);
    stage.write(300);
    // At the start it is waited for.
    stage.proxy.follow(Plan { away: true, ..Plan::default() });
    let engine = stage.launch(2);
    let line = engine.wait_for("opening the state store is tried again in", LONG).unwrap();
    assert!(line.contains(&stage.proxy.endpoint()) && line.contains(&stage.bucket), "{line}");
    stage.proxy.follow(Plan::default());
    stage.rows(&engine);
    for _ in 0..2 {
        stage.proxy.follow(Plan { away: true, ..Plan::default() });
        let from = engine.stderr().next();
        stage.write(300);
        let held = |line: &str| line.contains("is held up, no tick is released meanwhile");
        let found = engine.stderr().wait_from(from, LONG, held).line();
        assert!(found.is_some(), "{}", engine.stderr().tail(40));
        stage.proxy.follow(Plan::default());
        stage.rows(&engine);
    }
    let leads = |line: &&String| Phase::parse(line).is_some_and(|phase| phase.name == "leading");
    assert_eq!(engine.stderr().since(0).iter().filter(leads).count(), 1, "one generation");
    stage.finish(engine);
}

/// A leader that the store does not answer is deposed by one that it answers; what it had under way does not count.
#[test]
fn who_is_cut_off_is_deposed_and_repeats_nothing() {
    let mut stage = Stage::new(9, IMPATIENT);
    stage.write(300);
    let mut old = stage.launch(2);
    stage.rows(&old);
    stage.proxy.follow(Plan { away: true, ..Plan::default() });
    let from = old.stderr().next();
    stage.write(300);
    let held = |line: &str| line.contains("is held up, no tick is released meanwhile");
    assert!(old.stderr().wait_from(from, LONG, held).line().is_some(), "{}", old.stderr().tail(40));

    // Another way to the same store.
    let other = tempfile::tempdir().unwrap();
    let config = configured(other.path(), &Server::shared().endpoint(), "");
    let launch = stored(1, stage.root(), &config, &stage.bucket).set("source.events.follow", true);
    let new = Engine::launch(&launch).unwrap();
    stage.rows(&new);
    stage.proxy.follow(Plan::default());
    assert!(!old.wait(LONG).unwrap().success());
    let said = old.stderr().since(0).join("\n");
    let reasons = ["generation 2 leads now", "was fenced by generation 2"];
    assert!(reasons.iter().any(|reason| said.contains(reason)), "{said}");
    stage.write(300);
    stage.finish(new);
}
