//! One run of the proof: broker, input, engine, kills, and the judgement. Prints what it does.

use super::PARTITIONS;
use super::aim::{self, Evidence, Spot, Tally};
use super::check::Compared;
use super::queries::{self, Clients, Judged};
use super::stage::Stage;
use crate::broker::{Broker, free_port};
use crate::clock::{self, Deadline, wall_ms};
use crate::engine::Engine;
use crate::fleet::Fleet;
use crate::follow::Follower;
use crate::lines::Found;
use crate::phase::{Phase, TARGET};
use crate::ticklog::Counted;
use crate::transactions::{self, Step};
use crate::{Failure, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use tidemark_oracle::{Random, Rules};

/// A start, or the end of the work, takes seconds; this is when it is given up.
const LONG: Duration = Duration::from_secs(180);
/// How long a moment is waited for. If it does not come, the kill happens anyway and hits what it hits.
const MOMENT: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides input and kills.
    pub seed: u64,
    /// Events over all partitions.
    pub events: u64,
    /// Events a second.
    pub per_second: u64,
    /// Kills.
    pub kills: usize,
    /// How many of them must have hit what.
    pub quota: Tally,
    /// Whether too few fail the run. What a kill hits is a matter of microseconds on the machine; a short run aims, and tells.
    pub quota_is_due: bool,
    /// How many recoveries must have begun at a snapshot. Those that are killed themselves do not count.
    pub from_snapshots: usize,
    /// At how many ticks, drawn by the seed, components are compared, beside the ticks around each restart.
    pub component_ticks: usize,
    /// How often the broker is killed and started again beside, evenly over the kills of the engine.
    pub broker_kills: usize,
    /// Clients that ask views all the while, and what they must have seen at least; none ask if there is nothing to see.
    pub queries: Option<(usize, Judged)>,
    /// Whether the tick log is a topic of the broker; else it is a file.
    pub log_on_kafka: bool,
    /// As how many processes the job runs at each start, in turn. Several need the tick log on the broker.
    pub processes: Vec<usize>,
    /// Further `-D` settings.
    pub settings: Vec<(String, String)>,
}

impl Plan {
    /// The whole proof: 1 M events, 30 kills.
    pub fn whole(seed: u64) -> Plan {
        let quota = Tally { transaction: 10, snapshot: 5, recovery: 3, elsewhere: 0 };
        let (events, per_second, kills) = (1_000_000, 5_000, 30);
        let seen =
            Judged { asked: 10_000, right: 9_000, ticks: 1_000, after_a_kill: 100, as_of: 1 };
        Plan {
            seed,
            events,
            per_second,
            kills,
            quota,
            quota_is_due: true,
            from_snapshots: kills / 2,
            component_ticks: 200,
            broker_kills: 0,
            queries: Some((8, seen)),
            log_on_kafka: false,
            processes: vec![1],
            settings: Vec::new(),
        }
    }

    /// A short one of the same kind, for an unoptimised engine on a machine that does other things too: 30,000 events, 6 kills.
    pub fn short(seed: u64) -> Plan {
        let quota = Tally { transaction: 2, snapshot: 1, recovery: 1, elsewhere: 0 };
        let (events, per_second, kills, component_ticks) = (30_000, 3_000, 6, 20);
        // How many answers there are is a matter of the machine; that not one of them is wrong is not.
        let seen = Judged { asked: 50, right: 15, ticks: 10, after_a_kill: 10, as_of: 0 };
        let queries = Some((2, seen));
        Plan {
            events,
            per_second,
            kills,
            quota,
            quota_is_due: false,
            from_snapshots: 1,
            component_ticks,
            queries,
            ..Plan::whole(seed)
        }
    }
}

/// What a run showed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the kills hit.
    pub tally: Tally,
    /// What was compared.
    pub compared: Compared,
    /// What the clients saw.
    pub judged: Judged,
    /// For each recovery that came to lead: records replayed, and records of the input up to there.
    pub replays: Vec<(u64, u64)>,
}

/// A kill and what is known of it.
struct Kill {
    aim: Spot,
    /// The phase at whose line it came; `None`: any.
    moment: Option<&'static str>,
    at_ms: i64,
    evidence: Evidence,
}

struct Running<'a> {
    plan: &'a Plan,
    broker: &'a Broker,
    http: u16,
    clients: Option<Clients>,
    random: Random,
    stage: Stage,
    /// The log as it was before the engine was started.
    before: Counted,
    steps: Follower<Step>,
    kills: Vec<Kill>,
    replays: Vec<(u64, u64)>,
}

/// Runs `plan` against `broker`, with state in `folder`, and judges it.
///
/// # Errors
/// Everything that is wrong: an output that differs from the oracle, an engine that ended by itself or logged an error, fewer
/// kills inside something than the plan wants, a recovery that replayed from the start.
pub fn run(plan: &Plan, broker: &Broker, folder: &Path) -> Result<Outcome> {
    say(&format!(
        "seed {}, {} events, {} kills, about {} s of input",
        plan.seed,
        plan.events,
        plan.kills,
        plan.events / plan.per_second.max(1)
    ));
    let begun = clock::now();
    let pace = (plan.events, plan.per_second);
    let stage = Stage::new(broker, folder, plan.seed, pace, plan.log_on_kafka)?;
    let http = free_port()?;
    let auctions = plan.events * 3 / 50;
    let mut running = Running {
        plan,
        broker,
        http,
        clients: plan.queries.map(|(count, _)| Clients::start(http, count, plan.seed, auctions)),
        random: Random::of(plan.seed, &[1]),
        steps: transactions::follow(&stage.client)?,
        stage,
        before: Counted::default(),
        kills: Vec::new(),
        replays: Vec::new(),
    };
    running.through_all_kills()?;
    let seen = running.clients.take().map(Clients::finish).transpose()?.unwrap_or_default();
    say(&format!(
        "all input is written and committed after {:.0} s",
        begun.elapsed().as_secs_f64()
    ));
    let tally = running.tally()?;
    running.say_hits();
    say(&tally.to_string());
    let compared = running.stage.compare(plan.component_ticks, LONG)?;
    say(&compared.to_string());
    let replayed: u64 = running.replays.iter().map(|(replayed, _)| replayed).sum();
    let from_zero: u64 = running.replays.iter().map(|(_, all)| all).sum();
    say(&format!(
        "{} recoveries replayed {replayed} records; from the start it would have been {from_zero}",
        running.replays.len()
    ));
    // That each replayed exactly what lies behind its snapshot was looked at when it led; the first may have had none.
    let from_snapshots = running.replays.iter().filter(|(replayed, all)| replayed < all).count();
    if from_snapshots < plan.from_snapshots {
        return Err(Failure(format!(
            "recovery does not replay from snapshots: only {from_snapshots} began at one, wanted {}",
            plan.from_snapshots
        )));
    }
    if plan.quota_is_due && !tally.reaches(&plan.quota) {
        return Err(Failure(format!(
            "too few kills hit what they must: {tally}; wanted {}",
            plan.quota
        )));
    }
    let event = |partition, offset| running.stage.event(partition, offset);
    let judged = queries::judge(Rules::default(), event, &seen)?;
    say(&judged.to_string());
    if let Some((_, wanted)) = plan.queries
        && !judged.reaches(&wanted)
    {
        return Err(Failure(format!("the clients saw too little: {judged}; wanted {wanted}")));
    }
    Ok(Outcome { tally, compared, judged, replays: running.replays })
}

impl Running<'_> {
    /// Starts the engine, kills it and starts it again until the plan's kills are done, then lets it come to the end of the input.
    fn through_all_kills(&mut self) -> Result<()> {
        let mut fleet = self.launch()?;
        while self.kills.len() < self.plan.kills {
            let left = self.plan.kills - self.kills.len();
            let mut aim = aim::next(&self.tally()?, &self.plan.quota, left, &mut self.random);
            // Without a snapshot there is nothing that a recovery could restore.
            if aim == Spot::Recovery && !self.has_snapshot()? {
                aim = Spot::Elsewhere;
            }
            if aim != Spot::Recovery {
                self.lead(fleet.leader())?;
                self.let_input_come()?;
                self.let_snapshot_come()?;
            }
            self.kill(&mut fleet, aim)?;
            drop(fleet);
            fleet = self.launch()?;
        }
        self.lead(fleet.leader())?;
        self.stage.finish_input(LONG)?;
        if fleet.len() > 1 {
            self.all_have_read(fleet.leader())?;
        }
        let statuses = fleet.terminate(LONG)?;
        for (process, status) in fleet.processes().iter().zip(statuses) {
            if !status.success() {
                let tail = process.stderr().tail(40);
                return Err(Failure(format!("a process ended with {status}:\n{tail}")));
            }
        }
        no_errors(&mut fleet)
    }

    /// Waits until it is told that every worker that has a partition has read of it.
    fn all_have_read(&self, engine: &Engine) -> Result<()> {
        let until = clock::now() + LONG;
        loop {
            let body = engine.get("/metrics")?.body;
            let workers = body.lines().filter(|l| l.starts_with("worker_records_total{"));
            let read: Vec<_> = workers.map(|line| !line.ends_with(" 0")).collect();
            let reading = read.iter().filter(|read| **read).count();
            if reading == read.len().min(PARTITIONS) && read.len() > 1 {
                say(&format!("{reading} of {} workers have read", read.len()));
                return Ok(());
            }
            if clock::now() > until {
                return Err(Failure(format!("only {reading} workers have read:\n{body}")));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The next engine; its number of workers is never that of the one before.
    fn launch(&mut self) -> Result<Fleet> {
        self.before = self.stage.counted()?;
        let start = self.kills.len();
        let processes = self.plan.processes[start % self.plan.processes.len()];
        // A process more has workers of its own.
        let workers = if processes == 1 { start % 3 + 1 } else { start % 2 + 1 };
        let mut launch = self.stage.launch(workers);
        launch.http = self.http;
        launch.settings.extend(self.plan.settings.iter().cloned());
        Fleet::launch(&launch, processes)
    }

    /// Waits until the engine leads, and notes what its recovery replayed.
    fn lead(&mut self, engine: &Engine) -> Result<()> {
        engine.wait_phase(0, LONG, |phase| phase.name == "leading")?;
        let lines = engine.stderr().since(0);
        let mut phases = lines.iter().rev().filter_map(|line| Phase::parse(line));
        let replay = phases.find(|phase| phase.name == "recovery-replay");
        let replay = replay.as_ref().and_then(|p| Some((p.number("from")?, p.number("to")?)));
        let (restored, end) = replay.ok_or_else(|| {
            Failure::new("an engine leads that did not say from where to where it replayed")
        })?;
        // What was there before the start as well: an engine that leads may have cut the log by now.
        let counted = self.stage.counted()?.after(&self.before);
        let expected = counted.records_between(restored + 1, end).ok_or_else(|| {
            Failure(format!("a tick from {restored} to {end} is not in the log, which is replayed"))
        })?;
        let replayed = metric(engine, "replayed_records_total")?;
        if replayed != expected {
            return Err(Failure(format!(
                "a recovery from tick {restored} to {end} replayed {replayed} records; the log has {expected}"
            )));
        }
        self.replays.push((replayed, counted.records_until(end)));
        Ok(())
    }

    /// Lets the input go on into the part that belongs to the next kill, and some way through it.
    fn let_input_come(&mut self) -> Result<()> {
        let part = self.plan.events / (self.plan.kills as u64 + 1);
        let begin = part * self.kills.len() as u64;
        self.stage.pacer.allow(begin + part);
        self.stage.pacer.wait(begin + part * (100 + self.random.below(400)) / 1_000)?;
        let due = |kills: usize| kills * self.plan.broker_kills / self.plan.kills.max(1);
        if due(self.kills.len() + 1) > due(self.kills.len()) {
            say("the broker is killed and started again");
            self.broker.kill()?;
            self.broker.restart()?;
        }
        Ok(())
    }

    /// Whether a snapshot counts. The log is read only until one is known.
    fn has_snapshot(&self) -> Result<bool> {
        Ok(!self.before.snapshots.is_empty() || !self.stage.counted()?.snapshots.is_empty())
    }

    /// The first kill comes when it comes; every other finds a snapshot, however slow the machine is, and so does each recovery after.
    fn let_snapshot_come(&self) -> Result<()> {
        let deadline = Deadline::after(LONG);
        while !self.kills.is_empty() && !self.has_snapshot()? {
            if deadline.left().is_none() {
                return Err(Failure::new("no snapshot came to count before the next kill"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Which processes a kill takes: each as likely as all of them; but mostly process 0 or all in a transaction, since process 0
    /// has the sinks, and ends what it has begun when another process goes.
    fn victims(&mut self, processes: usize, aim: Spot) -> Vec<usize> {
        let all: Vec<_> = (0..processes).collect();
        if aim == Spot::Transaction && self.random.chance(750) {
            return if self.random.chance(500) { vec![0] } else { all };
        }
        let dice = self.random.below(processes as u64 + 1);
        all.iter().copied().find(|process| *process as u64 == dice).map_or(all, |one| vec![one])
    }

    /// Kills a process, or all, at the moment for `aim` in process 0.
    fn kill(&mut self, fleet: &mut Fleet, aim: Spot) -> Result<()> {
        let victims = self.victims(fleet.len(), aim);
        let engine = fleet.leader();
        let from = if aim == Spot::Recovery { 0 } else { engine.stderr().next() };
        let moment = aim::moment(aim, &mut self.random);
        let found = engine.stderr().wait_from(from, MOMENT, |line| {
            let phase = line.contains(TARGET).then(|| Phase::parse(line)).flatten();
            phase.is_some_and(|phase| moment.is_none_or(|moment| phase.name == moment))
        });
        let at_ms = wall_ms();
        if found == Found::Ended {
            let tail = engine.stderr().tail(40);
            return Err(Failure(format!("the engine ended by itself:\n{tail}")));
        }
        fleet.kill(&victims, LONG)?;
        no_errors(fleet)?;
        let lines = fleet.leader().stderr().since(0);
        let phases: BTreeSet<String> =
            lines.iter().filter_map(|line| Phase::parse(line)).map(|phase| phase.name).collect();
        let evidence = Evidence {
            recovering: phases.iter().any(|name| name.starts_with("recovery-")),
            led: phases.contains("leading"),
            aborted: Vec::new(),
            uncounted_segments: self.stage.counted()?.uncounted_segments(&self.stage.state)?,
        };
        say(&format!(
            "kill {}: process {victims:?} of {}, aimed at {aim:?} ({}), {} events in",
            self.kills.len() + 1,
            fleet.len(),
            moment.unwrap_or("at any line"),
            self.stage.pacer.sent()
        ));
        self.kills.push(Kill { aim, moment, at_ms, evidence });
        Ok(())
    }

    /// Says of each moment at which kills were aimed what they hit.
    fn say_hits(&self) {
        let mut hits: BTreeMap<&str, Tally> = BTreeMap::new();
        for kill in &self.kills {
            let of = hits.entry(kill.moment.unwrap_or("any line")).or_default();
            of.add(aim::judge(kill.aim, &kill.evidence));
        }
        for (moment, tally) in hits {
            say(&format!("at {moment}: {tally}"));
        }
    }

    /// What the kills hit, as far as the broker has told by now.
    fn tally(&mut self) -> Result<Tally> {
        let steps = self.steps.since(0)?;
        let mut tally = Tally::default();
        for kill in &mut self.kills {
            kill.evidence.aborted = transactions::aborted_over(&steps, kill.at_ms);
            tally.add(aim::judge(kill.aim, &kill.evidence));
        }
        Ok(tally)
    }
}

/// The value of a metric, summed over its labels.
fn metric(engine: &Engine, name: &str) -> Result<u64> {
    let body = engine.get("/metrics")?.body;
    let values = body.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let of = series.split('{').next()?;
        (of == name || of.strip_prefix("tidemark_") == Some(name))
            .then(|| value.parse::<f64>().ok())?
    });
    let values: Vec<f64> = values.collect();
    if values.is_empty() {
        return Err(Failure(format!("there is no metric {name}")));
    }
    Ok(values.iter().sum::<f64>() as u64)
}

fn no_errors(fleet: &mut Fleet) -> Result<()> {
    for process in fleet.processes() {
        let lines = process.stderr().since(0);
        if let Some(line) = lines.iter().find(|line| line.contains(" ERROR ")) {
            return Err(Failure(format!("the engine logged an error: {line}")));
        }
    }
    Ok(())
}

/// Says where a long run is: not by a macro, whose text a test holds back.
pub fn say(line: &str) {
    // Nobody may be listening.
    drop(writeln!(std::io::stderr(), "proof: {line}"));
}
