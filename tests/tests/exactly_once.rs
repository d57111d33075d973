//! Exactly once under kills, in short: the whole of it is `./test proof`.

use tidemark_tests::Result;
use tidemark_tests::broker::Broker;
use tidemark_tests::certificates::encrypted;
use tidemark_tests::engine::Launch;
use tidemark_tests::proof::aim::Tally;
use tidemark_tests::proof::run::{Plan, run};

#[test]
fn killed_in_transactions_snapshots_and_recovery_everything_is_there_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let outcome = run(&Plan::short(7), &Broker::start()?, folder.path())?;
    assert!(outcome.compared.retractions > 0 && outcome.compared.late > 0, "{outcome:?}");
    Ok(())
}

#[test]
fn with_the_broker_killed_too_and_the_tick_log_on_it_everything_is_there_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let plan = Plan {
        events: 24_000,
        kills: 2,
        broker_kills: 2,
        quota: Tally::default(),
        from_snapshots: 0,
        log_on_kafka: true,
        ..Plan::short(11)
    };
    run(&plan, &Broker::start()?, folder.path()).map(drop)
}

/// What goes between the processes is encrypted.
#[test]
fn as_several_processes_of_which_any_is_killed_everything_is_there_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let plan = Plan {
        events: 30_000,
        kills: 5,
        quota: Tally::default(),
        log_on_kafka: true,
        processes: vec![2, 1, 3],
        settings: encrypted(&Launch::default(), folder.path())?.settings,
        ..Plan::short(13)
    };
    run(&plan, &Broker::start()?, folder.path()).map(drop)
}
