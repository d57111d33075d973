//! A broker that is away: at the start, and in the middle of everything. The engine waits, says so, and goes on.

use std::time::Duration;
use tidemark_oracle::Output;
use tidemark_tests::Result;
use tidemark_tests::broker::Broker;
use tidemark_tests::engine::{Engine, Launch};
use tidemark_tests::proof::run::say;
use tidemark_tests::proof::stage::Stage;

const LONG: Duration = Duration::from_secs(180);
const EVENTS: u64 = 8_000;

/// With sinks that lose patience soon, so that the test need not wait half a minute for the first word.
fn impatient(launch: Launch) -> Launch {
    let sinks = Output::ALL.into_iter();
    sinks
        .fold(launch, |launch, output| launch.set(&format!("sink.{}.timeout", output.sink()), "2s"))
}

fn away_at_the_start(log_on_kafka: bool, word: &str) -> Result<()> {
    let (broker, folder) = (Broker::start()?, tempfile::tempdir()?);
    let stage = Stage::new(&broker, folder.path(), 1, (EVENTS, 4_000), log_on_kafka)?;
    broker.kill()?;
    let mut engine = Engine::launch(&impatient(stage.launch(2)))?;
    say(&engine.wait_for(word, LONG)?);
    broker.restart()?;
    engine.wait_phase(0, LONG, |phase| phase.name == "leading")?;
    stage.finish_input(LONG)?;
    assert!(engine.terminate(LONG)?.success(), "{}", engine.stderr().tail(20));
    say(&stage.compare(5, LONG)?.to_string());
    Ok(())
}

#[test]
fn sinks_that_are_away_at_the_start_are_waited_for() -> Result<()> {
    away_at_the_start(false, "is tried again in")
}

#[test]
fn a_tick_log_that_is_away_at_the_start_is_waited_for() -> Result<()> {
    away_at_the_start(true, "opening the tick log is tried again in")
}

#[test]
fn a_broker_that_comes_back_is_gone_on_with_by_the_same_generation() -> Result<()> {
    let (broker, folder) = (Broker::start()?, tempfile::tempdir()?);
    let stage = Stage::new(&broker, folder.path(), 2, (EVENTS, 2_000), true)?;
    let mut engine = Engine::launch(&stage.launch(2))?;
    engine.wait_phase(0, LONG, |phase| phase.name == "leading")?;
    for half in 1..=2 {
        stage.pacer.allow(EVENTS / 2 * half);
        stage.committed(EVENTS / 4 * (2 * half - 1), LONG)?;
        let next = engine.stderr().next();
        engine.wait_phase(next, LONG, |phase| phase.name.starts_with("sink-transaction"))?;
        broker.kill()?;
        broker.restart()?;
    }
    stage.finish_input(LONG)?;
    assert!(engine.terminate(LONG)?.success(), "{}", engine.stderr().tail(20));
    let facts = stage.facts(LONG)?;
    assert!(facts.values().all(|facts| facts.generation == 1), "nobody took over");
    say(&stage.compare(10, LONG)?.to_string());
    Ok(())
}
