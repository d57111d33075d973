//! Two engines for one job: the halted leader that comes back, and two starts at once. One leads; the other harms nothing and ends
//! with the reason.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;
use tidemark_oracle::{Output, Rules};
use tidemark_tests::broker::Broker;
use tidemark_tests::clock::{Deadline, now};
use tidemark_tests::engine::{Engine, Launch};
use tidemark_tests::process::Signal;
use tidemark_tests::progress;
use tidemark_tests::proof::queries::{self, Clients};
use tidemark_tests::proof::run::say;
use tidemark_tests::proof::stage::Stage;
use tidemark_tests::proof::{DATAFLOW, facts::Facts};
use tidemark_tests::{Failure, Result};

const LONG: Duration = Duration::from_secs(180);
const EVENTS: u64 = 12_000;
/// As short as the configuration takes it: a halt must be longer.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(3);

fn lead(engine: &Engine) -> Result<()> {
    engine.wait_phase(0, LONG, |phase| phase.name == "leading").map(drop)
}

/// Halts `engine` while rows of an open transaction are with the broker.
fn halt_in_a_transaction(engine: &Engine) -> Result<()> {
    let next = engine.stderr().next();
    engine.wait_phase(next, LONG, |phase| phase.name == "sink-transaction-rows")?;
    engine.signal(Signal::Stop)
}

fn launch(stage: &Stage, workers: usize) -> Launch {
    let timeout = format!("{}s", TRANSACTION_TIMEOUT.as_secs());
    let launch = stage.launch(workers);
    Output::ALL.into_iter().fold(launch, |launch, output| {
        launch.set(&format!("sink.{}.transaction_time_max", output.sink()), &timeout)
    })
}

#[test]
fn a_leader_that_was_halted_while_another_took_over_harms_nothing_and_says_why_it_ends()
-> Result<()> {
    let (broker, folder) = (Broker::start()?, tempfile::tempdir()?);
    let stage = Stage::new(&broker, folder.path(), 5, (EVENTS, 1_500), true)?;
    let mut old = Engine::launch(&launch(&stage, 2))?;
    lead(&old)?;
    let clients = Clients::start(old.http(), 2, 5, 500);
    stage.pacer.allow(EVENTS / 2);
    stage.committed(EVENTS / 8, LONG)?;
    halt_in_a_transaction(&old)?;
    let halted = Deadline::after(TRANSACTION_TIMEOUT * 2);

    let mut new = Engine::launch(&launch(&stage, 1))?;
    lead(&new)?;
    let restored = new.wait_phase(0, LONG, |phase| phase.name == "recovery-restore")?.1;
    let end = restored.number("end").unwrap();
    stage.committed(EVENTS / 2, LONG)?;
    // The halt itself is what is tested: it lasts beyond the transactions' time.
    std::thread::sleep(halted.left().unwrap_or_default());

    let begun = now();
    old.signal(Signal::Cont)?;
    let status = old.wait(LONG)?;
    say(&format!(
        "the old leader came back after {:?} and ended {:?} later",
        halted.limit(),
        begun.elapsed()
    ));
    assert!(!status.success(), "{status}");
    let reason = old.stderr().tail(40);
    // By the open that it reads, or by the cut that the new leader has made before that.
    let whys = ["generation 2 leads now", "another generation leads now"];
    assert!(whys.iter().any(|why| reason.contains(why)), "{reason}");
    let seen = clients.finish()?;

    stage.finish_input(LONG)?;
    assert!(new.terminate(LONG)?.success());
    say(&stage.compare(20, LONG)?.to_string());
    let marks =
        progress::nothing_behind_a_fence(&stage.client, DATAFLOW, &Output::ALL.map(Output::sink))?;
    assert!(marks > 0, "no lane was fenced");

    // Every answer of the old leader is of a tick that counts, as it was counted.
    let facts: BTreeMap<u64, Facts> = stage.facts(LONG)?;
    for answer in &seen.answers {
        assert_eq!(answer.generation, 1, "{answer:?}");
        assert!(answer.tick <= end, "{answer:?} is beyond {end}, the last that counts");
    }
    for (tick, told) in &seen.ticks {
        let Some(counted) = facts.get(tick) else { continue };
        assert_eq!(
            (&told.offsets, told.watermark),
            (&counted.offsets, counted.watermark),
            "{tick}"
        );
    }
    let event = |partition, offset| stage.event(partition, offset);
    let judged = queries::judge(Rules::default(), event, &seen)?;
    say(&format!("of the old leader: {judged}"));
    assert!(judged.right > 0);
    Ok(())
}

#[test]
fn a_halt_within_the_transactions_time_is_only_a_pause() -> Result<()> {
    let (broker, folder) = (Broker::start()?, tempfile::tempdir()?);
    let stage = Stage::new(&broker, folder.path(), 6, (EVENTS, 3_000), true)?;
    // A minute, as it is by default.
    let mut engine = Engine::launch(&stage.launch(2))?;
    lead(&engine)?;
    for eighth in 1..4 {
        stage.pacer.allow(EVENTS / 8 * (eighth + 1));
        stage.committed(EVENTS / 8 * eighth, LONG)?;
        halt_in_a_transaction(&engine)?;
        std::thread::sleep(Duration::from_secs(1));
        engine.signal(Signal::Cont)?;
    }
    stage.finish_input(LONG)?;
    assert!(engine.terminate(LONG)?.success());
    let facts = stage.facts(LONG)?;
    assert!(facts.values().all(|facts| facts.generation == 1), "nobody took over");
    say(&stage.compare(10, LONG)?.to_string());
    Ok(())
}

#[test]
fn of_two_starts_on_one_file_the_second_refuses_and_names_the_first() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let first = Engine::launch(&Launch::new("hot-items", 1, &state))?;
    lead(&first)?;
    let mut second = Engine::launch(&Launch::new("hot-items", 1, &state))?;
    let status = second.wait(LONG)?;
    let reason = second.stderr().tail(40);
    assert!(!status.success(), "{status}: {reason}");
    assert!(reason.contains(&format!("process {} holds it", first.pid())), "{reason}");
    assert_eq!(first.get("/healthz")?.status, 200, "the first goes on");
    Ok(())
}

#[test]
fn of_two_starts_at_once_on_one_topic_one_leads_and_the_other_ends() -> Result<()> {
    let (broker, folder) = (Broker::start()?, tempfile::tempdir()?);
    let stage = Stage::new(&broker, folder.path(), 8, (EVENTS / 2, 2_000), true)?;
    stage.pacer.allow(EVENTS / 4);
    let mut pair = [Engine::launch(&stage.launch(1))?, Engine::launch(&stage.launch(2))?];
    let deadline = Deadline::after(LONG);
    let loser = loop {
        if let Some(loser) = first_ended(&mut pair)? {
            break loser;
        }
        if deadline.left().is_none() {
            return Err(Failure::new("both run on"));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let [first, second] = pair;
    let (mut ended, mut other) = if loser == 0 { (first, second) } else { (second, first) };
    let status = ended.wait(LONG)?;
    let reason = ended.stderr().tail(40);
    let why = ["leads now", "was overtaken", "has it", "is at work"];
    let named = why.iter().any(|why| reason.contains(why));
    assert!(!status.success() && named, "{status}: {reason}");
    say(&format!("of two starts number {} ended: {}", loser + 1, ended.stderr().tail(1)));
    lead(&other)?;
    stage.finish_input(LONG)?;
    assert!(other.terminate(LONG)?.success());
    say(&stage.compare(10, LONG)?.to_string());
    Ok(())
}

fn first_ended(pair: &mut [Engine; 2]) -> Result<Option<usize>> {
    for (number, engine) in pair.iter_mut().enumerate() {
        if engine.ended()?.is_some() {
            return Ok(Some(number));
        }
    }
    Ok(None)
}
