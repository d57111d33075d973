//! Processes that stand still for a while and come back, of a job of three: whatever the others have made of it by then, the old
//! generation commits nothing after the new one has taken a lane over, and its processes end with the reason.
//!
//! `./test halts` makes 20 of them; by default there are few.

use std::time::Duration;
use tidemark_oracle::{Output, Random};
use tidemark_tests::Result;
use tidemark_tests::broker::Broker;
use tidemark_tests::clock::{Deadline, now};
use tidemark_tests::engine::Launch;
use tidemark_tests::fleet::Fleet;
use tidemark_tests::process::Signal;
use tidemark_tests::progress::nothing_behind_a_fence;
use tidemark_tests::proof::DATAFLOW;
use tidemark_tests::proof::run::say;
use tidemark_tests::proof::stage::Stage;

const LONG: Duration = Duration::from_secs(180);
const LIMIT: Duration = Duration::from_secs(1);
const PROCESSES: usize = 3;
/// Events for each halt.
const PART: u64 = 4_000;
const LOOK: Duration = Duration::from_millis(10);

fn start(launch: &Launch) -> Result<Fleet> {
    let fleet = Fleet::launch(launch, PROCESSES)?;
    fleet.leader().wait_phase(0, LONG, |phase| phase.name == "leading")?;
    Ok(fleet)
}

/// How many of the processes but `victim` have ended.
fn ended(fleet: &mut Fleet, victim: usize) -> Result<usize> {
    let mut count = 0;
    for (number, process) in fleet.processes().iter_mut().enumerate() {
        count += usize::from(number != victim && process.ended()?.is_some());
    }
    Ok(count)
}

/// Whether the job makes ticks; if not, all its processes have ended.
fn goes_on(fleet: &mut Fleet) -> Result<bool> {
    let tick = |fleet: &Fleet| -> Option<u64> {
        fleet.leader().get("/api/v1/job").ok()?.json().ok()?["tick"].as_u64()
    };
    let deadline = Deadline::after(LONG);
    let mut first = None;
    while deadline.left().is_some() {
        if ended(fleet, PROCESSES)? > 0 {
            for process in fleet.processes() {
                process.wait(LONG)?;
            }
            return Ok(false);
        }
        let now = tick(fleet);
        first = first.or(now);
        if first.is_some_and(|first| now > Some(first + 20)) {
            return Ok(true);
        }
        std::thread::sleep(LOOK);
    }
    panic!("the job neither goes on nor ends:\n{}", fleet.leader().stderr().tail(40));
}

#[test]
fn who_stood_still_commits_nothing_behind_a_newer_generation_and_ends() -> Result<()> {
    let halts = std::env::var("HALTS").map_or(4, |text| text.parse().expect("a number"));
    let (broker, folder) = (Broker::start()?, tempfile::tempdir()?);
    let mut random = Random::of(21, &[1]);
    let stage = Stage::new(&broker, folder.path(), 21, (PART * (halts + 1), 2_000), true)?;
    let limit = format!("{}ms", LIMIT.as_millis());
    let launch = stage.launch(1).set("cluster.heartbeat_limit", limit);
    let mut fleet = start(&launch)?;
    let (mut replaced, mut slept_through) = (Vec::new(), 0);
    for halt in 1..=halts {
        stage.pacer.allow(PART * halt);
        stage.committed(PART * (halt - 1) + PART / 4, LONG)?;
        if !goes_on(&mut fleet)? {
            // The halt before was at the limit.
            fleet = start(&launch)?;
        }
        let victim = usize::try_from(random.below(PROCESSES as u64)).expect("few processes");
        let time = LIMIT * u32::try_from(50 + random.below(451)).expect("a small number") / 100;
        fleet.processes()[victim].signal(Signal::Stop)?;
        let halted = Deadline::after(time);
        while halted.left().is_some() && ended(&mut fleet, victim)? < PROCESSES - 1 {
            std::thread::sleep(LOOK);
        }
        let next =
            if ended(&mut fleet, victim)? == PROCESSES - 1 { Some(start(&launch)?) } else { None };
        // The halt itself is what is tested.
        std::thread::sleep(halted.left().unwrap_or_default());
        fleet.processes()[victim].signal(Signal::Cont)?;
        let woken = now();
        let Some(next) = next else {
            slept_through += 1;
            say(&format!(
                "halt {halt}: process {victim} for {time:?}; nobody took it for lost by then"
            ));
            continue;
        };
        let old = &mut fleet.processes()[victim];
        let status = old.wait(LONG)?;
        replaced.push(woken.elapsed());
        // A client's threads may log after it.
        let log = old.stderr().since(0);
        let told = log.iter().rfind(|line| line.starts_with("error (")).cloned();
        let told = told.unwrap_or_else(|| panic!("no reason:\n{}", old.stderr().tail(20)));
        say(&format!(
            "halt {halt}: process {victim} for {time:?}; replaced meanwhile, it ended {:?} after it woke: {told}",
            woken.elapsed()
        ));
        assert!(matches!(status.code(), Some(1 | 3)), "{status}: {told}");
        let reasons = ["of the cluster is lost", "leads now", "has it, this is generation"];
        assert!(reasons.iter().any(|reason| told.contains(reason)), "{told}");
        fleet = next;
    }
    if !goes_on(&mut fleet)? {
        fleet = start(&launch)?;
    }
    stage.finish_input(LONG)?;
    let statuses = fleet.terminate(LONG)?;
    assert!(statuses.iter().all(|status| status.success()), "{statuses:?}");
    say(&format!(
        "{halts} halts: {slept_through} went by, {} led to a new generation; at most {:?} from waking to the end",
        replaced.len(),
        replaced.iter().max()
    ));
    assert!(!replaced.is_empty(), "no halt was long enough: choose another seed");
    let marks = nothing_behind_a_fence(&stage.client, DATAFLOW, &Output::ALL.map(Output::sink))?;
    assert!(marks > 0, "no lane was taken over");
    say(&stage.compare(20, LONG)?.to_string());
    Ok(())
}
