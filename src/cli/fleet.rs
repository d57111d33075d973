//! `tidemark cluster`: the processes of a job on this machine. Starts them, starts all again when one ends, and ends with them.
//!
//! It knows nothing of ticks: which ticks count, and who leads, the processes settle among themselves at every start.

mod child;

use self::child::Child;
use super::args::{Cluster, ConfigArguments};
use super::exit::Exit;
use super::signals::{self, Urgency};
use crate::config::{Origin, Resolved};
use crate::error::{Error, Kind, Result};
use crate::random;
use crate::time::clock;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// How often the processes are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// The pause before the first new start; it doubles with each until one has run for a while.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A start that held for so long was a good one.
const STEADY: Duration = Duration::from_secs(60);
/// How much longer than the limit of heartbeats the others have to end when one has ended.
const GRACE: Duration = Duration::from_secs(5);

/// What is run.
pub(super) struct Fleet {
    program: PathBuf,
    /// What follows `run`, but for the place in the cluster.
    arguments: Vec<String>,
    processes: usize,
    secret: String,
    /// How long the others may take to end once one has ended.
    patience: Duration,
    /// How long a clean end may take.
    stop_time_max: Duration,
}

impl Fleet {
    /// The processes that the command line asks for.
    ///
    /// # Errors
    /// `Config` if they can't be one job, `Retry` if the program's own file can't be found.
    pub(super) fn new(
        cluster: &Cluster,
        resolved: &Resolved,
        log: Option<String>,
    ) -> Result<Fleet> {
        let settings = resolved.settings();
        if !settings.cluster.hosts.is_empty() {
            return Err(Error::config(
                "cluster.hosts is set: `tidemark cluster` chooses the addresses of its processes itself; start processes that are on \
                 several machines with `tidemark run --process I`",
            ));
        }
        let program = std::env::current_exe().map_err(|e| {
            Error::new(Kind::Retry, format!("the program's own file can't be found: {e}"))
        })?;
        let mut arguments = vec![cluster.dataflow.clone()];
        arguments
            .extend(cluster.drop_state.iter().flat_map(|u| ["--drop-state".into(), u.clone()]));
        arguments.extend(of_config(&cluster.config));
        arguments.extend(log.into_iter().flat_map(|filter| ["--log".to_owned(), filter]));
        let said = resolved.value("log.kind").map(|(_, origin)| origin);
        if matches!(said, Some(Origin::Default)) && cluster.processes > 1 {
            arguments.extend(["-D".to_owned(), "log.kind=store".to_owned()]);
        }
        let bytes: [u8; 32] = random::bytes();
        Ok(Fleet {
            program,
            arguments,
            processes: usize::from(cluster.processes),
            secret: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            patience: settings.cluster.heartbeat_limit + GRACE,
            stop_time_max: settings.limits.stop_time_max + GRACE,
        })
    }

    /// Starts all processes, at addresses that are free now.
    fn start(&self) -> Result<Vec<Child>> {
        let hosts = free_addresses(self.processes)?;
        let start = |process: usize| {
            let mut arguments = self.arguments.clone();
            if self.processes > 1 {
                arguments.extend(["--process".into(), process.to_string()]);
                arguments.extend(["--hosts".into(), hosts.join(",")]);
            }
            Child::start(&self.program, &arguments, process, &self.secret)
        };
        (0..self.processes).map(start).collect()
    }
}

/// The same arguments again.
fn of_config(config: &ConfigArguments) -> Vec<String> {
    let file = config.config.as_ref().map(|file| file.display().to_string());
    let flags = [
        ("--workers", &config.workers),
        ("--state", &config.state),
        ("--http", &config.http),
        ("--config", &file),
    ];
    let flags = flags.into_iter().filter_map(|(flag, value)| Some([flag.into(), value.clone()?]));
    let defined = config.define.iter().map(|define| ["-D".to_owned(), define.clone()]);
    flags.chain(defined).flatten().collect()
}

/// Free addresses of the loopback interface. Taken together, so that they differ.
fn free_addresses(count: usize) -> Result<Vec<String>> {
    let failed =
        |e| Error::new(Kind::Retry, format!("no free port of the loopback interface: {e}"));
    let bind = |_| TcpListener::bind("127.0.0.1:0").map_err(failed);
    let listeners = (0..count).map(bind).collect::<Result<Vec<_>>>()?;
    let address = |l: &TcpListener| l.local_addr().map(|a| a.to_string()).map_err(failed);
    listeners.iter().map(address).collect()
}

/// How a start of all processes ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    /// All of them as they were told or because the input has ended.
    Cleanly,
    /// At least one otherwise: the code that says most, and of which process.
    Otherwise(usize, u8),
    /// Told to end at once.
    Cut,
}

/// What is to be done after it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    Done,
    /// Starting again would end in the same way.
    GiveUp(usize, u8),
    Again,
}

fn next(ended: &Ended, told_to_stop: bool) -> Next {
    match ended {
        Ended::Cleanly | Ended::Cut => Next::Done,
        Ended::Otherwise(process, code) if *code != Exit::Failed as u8 && !told_to_stop => {
            Next::GiveUp(*process, *code)
        }
        Ended::Otherwise(process, code) if told_to_stop => Next::GiveUp(*process, *code),
        Ended::Otherwise(..) => Next::Again,
    }
}

/// The code that says most of why processes ended: a reason that a person must look at, else a failure; `None` if there was none.
fn telling(codes: &[u8]) -> Option<(usize, u8)> {
    let lasting = |code: u8| (Exit::Usage as u8..=Exit::Changed as u8).contains(&code);
    let all = || codes.iter().copied().enumerate();
    all().find(|(_, code)| lasting(*code)).or_else(|| {
        // One that was killed, or has failed: the others may only follow it.
        all().find(|(_, code)| *code != 0).map(|(process, _)| (process, Exit::Failed as u8))
    })
}

/// The pause before start `count`, counted from 1, after a row of failures.
fn pause(count: u32) -> Duration {
    PAUSE_MIN.saturating_mul(1 << count.saturating_sub(1).min(16)).min(PAUSE_MAX)
}

/// Runs the processes until the job has ended, was stopped, or can't go on.
///
/// # Errors
/// What can't be helped by another start; the processes have said more.
pub(super) fn supervise(fleet: &Fleet) -> Result<()> {
    // How many signals have come.
    let signals = Arc::new(AtomicU8::new(0));
    let count = Arc::clone(&signals);
    signals::watch(move |urgency| {
        let number = match urgency {
            Urgency::Clean => 1,
            Urgency::AtOnce => 2,
        };
        count.fetch_max(number, Ordering::AcqRel);
    })?;
    let mut failures = 0;
    loop {
        let since = clock::instant();
        let mut children = fleet.start()?;
        let pids: Vec<_> = children.iter().map(|child| child.pid().to_string()).collect();
        tracing::info!("{} processes started (pids {})", children.len(), pids.join(", "));
        let ended = attend(fleet, &mut children, &signals);
        drop(children);
        match next(&ended, signals.load(Ordering::Acquire) > 0) {
            Next::Done => return Ok(()),
            Next::GiveUp(process, code) => return Err(given_up(process, code)),
            Next::Again => {}
        }
        failures = if clock::instant() - since > STEADY { 1 } else { failures + 1 };
        let pause = pause(failures);
        tracing::warn!("all processes are started again in {pause:?}");
        let until = clock::instant() + pause;
        while clock::instant() < until {
            if signals.load(Ordering::Acquire) > 0 {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn given_up(process: usize, code: u8) -> Error {
    let kind = match code {
        c if c == Exit::Usage as u8 => Kind::Config,
        c if c == Exit::Fenced as u8 => Kind::Fenced,
        c if c == Exit::Input as u8 => Kind::Input,
        c if c == Exit::Changed as u8 => Kind::Corrupt,
        _ => Kind::Retry,
    };
    Error::new(
        kind,
        format!(
            "process {process} has ended with exit code {code}; its last line says why, and starting again would not help"
        ),
    )
}

/// Waits for the end of all, which the end of one brings about; passes signals on.
fn attend(fleet: &Fleet, children: &mut [Child], signals: &AtomicU8) -> Ended {
    let mut until: Option<Instant> = None;
    let mut told = false;
    loop {
        let signal = signals.load(Ordering::Acquire);
        if signal > 1 {
            // Dropped, they are killed.
            return Ended::Cut;
        }
        if signal == 1 && !std::mem::replace(&mut told, true) {
            // Process 0 decides at which tick; the others end with it.
            children[0].ask_to_end();
            until = Some(clock::instant() + fleet.stop_time_max);
        }
        let running =
            children.iter_mut().filter_map(|child| child.is_running().then_some(())).count();
        if running == 0 {
            break;
        }
        if running < children.len() && !told && until.is_none() {
            until = Some(clock::instant() + fleet.patience);
        }
        if until.is_some_and(|until| clock::instant() >= until) {
            tracing::warn!("{running} processes have not ended in time; they are killed");
            children.iter_mut().for_each(Child::kill);
            until = None;
        }
        std::thread::sleep(LOOK);
    }
    let codes: Vec<u8> = children.iter().map(Child::code).collect();
    match telling(&codes) {
        None => Ended::Cleanly,
        // Who was not running yet when all were told to end has nothing to end cleanly.
        Some(_) if told && codes[0] == 0 => Ended::Cleanly,
        Some((process, code)) => Ended::Otherwise(process, code),
    }
}

#[cfg(test)]
mod tests;
