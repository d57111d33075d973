//! `tidemark cluster`: the processes of a job on this machine. Starts them, starts all again when one ends, changes their number
//! or program when it is asked to, and ends with them.
//!
//! It knows nothing of ticks: which ticks count, and who leads, the processes settle among themselves at every start.

mod child;
pub(super) mod post;

use self::child::Child;
use self::post::{Asked, Message, Post, Told, Wanted};
use super::args::{Cluster, ConfigArguments};
use super::exit::Exit;
use super::signals::{self, Urgency};
use crate::config::{Origin, Resolved};
use crate::error::{Error, Kind, Result};
use crate::random;
use crate::time::clock;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// By which process 0 is told where its supervisor listens.
pub(crate) const SUPERVISOR_VARIABLE: &str = "TIDEMARK_SUPERVISOR";

/// How often the processes are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// The pause before the first new start; it doubles with each until one has run for a while.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// So many starts after a change may fail before it is taken back.
const TRIALS: u32 = 5;
/// A start that held for so long was a good one.
const STEADY: Duration = Duration::from_secs(60);
/// How much longer than the limit of heartbeats the others have to end when one has ended.
const GRACE: Duration = Duration::from_secs(5);

/// What is run, whatever its size.
pub(super) struct Fleet {
    shape: Shape,
    dataflow: String,
    /// What follows the dataflow, but for the size and the place in the cluster.
    arguments: Vec<String>,
    secret: String,
    /// How long the others may take to end once one has ended.
    patience: Duration,
    /// How long a clean end may take.
    stop_time_max: Duration,
}

/// What a change changes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    program: PathBuf,
    processes: usize,
    /// As it is said on the command line; as the configuration says if absent.
    workers: Option<String>,
}

impl Shape {
    fn with(&self, wanted: &Wanted) -> Shape {
        Shape {
            program: wanted.program.clone().unwrap_or_else(|| self.program.clone()),
            processes: wanted.processes.unwrap_or(self.processes),
            workers: wanted.workers.map(|n| n.to_string()).or_else(|| self.workers.clone()),
        }
    }
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
        let mut arguments = Vec::new();
        let uids = cluster.drop_state.iter();
        arguments.extend(uids.flat_map(|uid| ["--drop-state".to_owned(), uid.clone()]));
        arguments.extend(of_config(&cluster.config));
        arguments.extend(log.into_iter().flat_map(|filter| ["--log".to_owned(), filter]));
        let said = resolved.value("log.kind").map(|(_, origin)| origin);
        if matches!(said, Some(Origin::Default)) {
            // A log in a file would serve one process only, for ever.
            arguments.extend(["-D".to_owned(), "log.kind=store".to_owned()]);
        }
        if settings.http.addr.ends_with(":0") {
            // The same at every start, so that who asks the job finds it again.
            let [addr] = &free_addresses(1)?[..] else { unreachable!("one was asked for") };
            arguments.extend(["-D".to_owned(), format!("http.addr={addr}")]);
        }
        let bytes: [u8; 32] = random::bytes();
        Ok(Fleet {
            shape: Shape {
                program,
                processes: usize::from(cluster.processes),
                workers: cluster.config.workers.clone(),
            },
            dataflow: cluster.dataflow.clone(),
            arguments,
            secret: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            patience: settings.cluster.heartbeat_limit + GRACE,
            stop_time_max: settings.limits.stop_time_max + GRACE,
        })
    }

    /// Dataflow and configuration in this shape.
    fn arguments(&self, shape: &Shape) -> Vec<String> {
        let mut arguments = vec![self.dataflow.clone()];
        arguments.extend(self.arguments.iter().cloned());
        let workers = shape.workers.iter();
        arguments.extend(workers.flat_map(|workers| ["--workers".to_owned(), workers.clone()]));
        arguments
    }

    /// Starts all processes, at addresses that are free now.
    fn start(&self, shape: &Shape, post: &Post) -> Result<Vec<Child>> {
        let hosts = free_addresses(shape.processes)?;
        let start = |process: usize| {
            let mut arguments = self.arguments(shape);
            if shape.processes > 1 {
                arguments.extend(["--process".into(), process.to_string()]);
                arguments.extend(["--hosts".into(), hosts.join(",")]);
            }
            Child::start(&shape.program, &arguments, process, &self.secret, post.path())
        };
        (0..shape.processes).map(start).collect()
    }

    /// Whether the program takes dataflow and configuration in this shape; why not.
    fn check(&self, shape: &Shape) -> Result<(), String> {
        let place = shape.program.display();
        // What is given up is given up by `run` only.
        let arguments = self.arguments(shape);
        let checked = Command::new(&shape.program)
            .args(["config", "check"])
            .args(without_drops(&arguments))
            .env("TIDEMARK_CLUSTER__SECRET", &self.secret)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("{place} can't be started: {e}"))?;
        if checked.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&checked.stderr).trim().to_owned();
        Err(format!("{place} refuses the dataflow or its configuration: {said}"))
    }
}

/// The arguments that `config check` takes too.
fn without_drops(arguments: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut all = arguments.iter();
    while let Some(argument) = all.next() {
        if argument == "--drop-state" {
            all.next();
        } else {
            kept.push(argument.clone());
        }
    }
    kept
}

/// The same arguments again, but for the number of workers.
fn of_config(config: &ConfigArguments) -> Vec<String> {
    let file = config.config.as_ref().map(|file| file.display().to_string());
    let flags = [("--state", &config.state), ("--http", &config.http), ("--config", &file)];
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

/// Why they were told to end, if they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// They were not.
    Untold,
    /// The job ends.
    ToStop,
    /// Others follow.
    ToChange,
}

/// What is to be done after it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    Done,
    /// Starting again would end in the same way.
    GiveUp(usize, u8),
    /// As it was.
    Again,
    /// As it was asked for.
    Changed,
    /// As it was before the change.
    Back(u8),
}

/// `trial`: which start after a change it was, counted from 1, if nobody has found the change good yet.
fn next(ended: &Ended, why: Why, trial: Option<u32>) -> Next {
    match (ended, why) {
        (Ended::Cut, _) | (Ended::Cleanly, Why::Untold | Why::ToStop) => Next::Done,
        (Ended::Cleanly, Why::ToChange) => Next::Changed,
        (Ended::Otherwise(process, code), Why::ToStop) => Next::GiveUp(*process, *code),
        (Ended::Otherwise(_, code), _) if *code == Exit::Failed as u8 => match trial {
            Some(start) if start >= TRIALS => Next::Back(*code),
            _ => Next::Again,
        },
        (Ended::Otherwise(_, code), _) if trial.is_some() => Next::Back(*code),
        (Ended::Otherwise(process, code), _) => Next::GiveUp(*process, *code),
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
    let (shape, post) = (fleet.shape.clone(), Post::open()?);
    Supervisor { fleet, signals, post, shape, before: None, asked: None }.run()
}

struct Supervisor<'a> {
    fleet: &'a Fleet,
    signals: Arc<AtomicU8>,
    post: Post,
    shape: Shape,
    /// What was before a change that nobody has found good yet.
    before: Option<Shape>,
    /// Who asked for the last change.
    asked: Option<Asked>,
}

impl Supervisor<'_> {
    fn run(&mut self) -> Result<()> {
        let mut failures = 0;
        loop {
            let since = clock::instant();
            let mut children = self.fleet.start(&self.shape, &self.post)?;
            let pids: Vec<_> = children.iter().map(|child| child.pid().to_string()).collect();
            tracing::info!("{} processes started (pids {})", children.len(), pids.join(", "));
            if self.before.is_some() {
                self.tell(Told::Started);
            }
            let (ended, why) = self.attend(&mut children);
            drop(children);
            match next(&ended, why, self.before.as_ref().map(|_| failures + 1)) {
                Next::Done => return Ok(()),
                Next::GiveUp(process, code) => return Err(given_up(process, code)),
                Next::Changed => {
                    self.change();
                    failures = 0;
                    continue;
                }
                Next::Back(code) => {
                    self.go_back(code, failures + 1);
                    failures = 0;
                    continue;
                }
                Next::Again if why == Why::ToChange => {
                    let text =
                        "the job has not ended cleanly; it goes on as it was, and nothing is lost";
                    self.tell(Told::Refused(text.to_owned()));
                    self.asked = None;
                }
                Next::Again => {}
            }
            failures = if clock::instant() - since > STEADY { 1 } else { failures + 1 };
            let pause = pause(failures);
            tracing::warn!("all processes are started again in {pause:?}");
            let until = clock::instant() + pause;
            while clock::instant() < until {
                if self.signal() > 0 {
                    return Ok(());
                }
                std::thread::sleep(LOOK);
            }
        }
    }

    fn signal(&self) -> u8 {
        self.signals.load(Ordering::Acquire)
    }

    fn tell(&self, told: Told) {
        if let Some(asked) = &self.asked {
            asked.tell(&told);
        }
    }

    /// All have ended cleanly: the next start is as it was asked for.
    fn change(&mut self) {
        let Some(asked) = &self.asked else { return };
        let shape = self.shape.with(&asked.wanted);
        asked.tell(&Told::Stopped);
        tracing::info!(
            "the job goes on as {} processes of {}",
            shape.processes,
            shape.program.display()
        );
        self.before = Some(std::mem::replace(&mut self.shape, shape));
    }

    /// The start after a change has ended with a code that another start would not help, or `starts` of them have failed.
    fn go_back(&mut self, code: u8, starts: u32) {
        let Some(before) = self.before.take() else { return };
        let what = match starts {
            1 => "the start after the change".to_owned(),
            _ => format!("start {starts} after the change, like those before it,"),
        };
        tracing::warn!("{what} ended with exit code {code}; the job goes on as it was before");
        self.shape = before;
        self.tell(Told::Back(format!(
            "{what} ended with exit code {code}, as the log of `tidemark cluster` says; the job goes on as it was before"
        )));
        self.asked = None;
    }

    /// Takes a change that is asked for, or says why not. Whether it begins.
    fn takes(&mut self, asked: Asked, told: bool) -> bool {
        if told || self.before.is_some() {
            asked
                .tell(&Told::Refused("another change, or the end of the job, is under way".into()));
            return false;
        }
        let shape = self.shape.with(&asked.wanted);
        if shape == self.shape {
            asked.tell(&Told::Refused("the job is so already".into()));
            return false;
        }
        if let Err(why) = self.fleet.check(&shape) {
            asked.tell(&Told::Refused(why));
            return false;
        }
        asked.tell(&Told::Checked);
        self.asked = Some(asked);
        true
    }

    /// Waits for the end of all, which the end of one brings about; passes signals on, and ends them for a change.
    fn attend(&mut self, children: &mut [Child]) -> (Ended, Why) {
        let mut until: Option<Instant> = None;
        let mut why = Why::Untold;
        loop {
            let signal = self.signal();
            if signal > 1 {
                // Dropped, they are killed.
                return (Ended::Cut, why);
            }
            let message = self.post.next();
            if matches!(message, Some(Message::Good)) {
                self.before = None;
            }
            if let Some(Message::Wanted(asked)) = message
                && self.takes(asked, why != Why::Untold)
            {
                why = Why::ToChange;
                until = Some(self.ask_to_end(children));
            }
            if signal == 1 && why != Why::ToStop {
                if why == Why::Untold {
                    until = Some(self.ask_to_end(children));
                }
                why = Why::ToStop;
            }
            let running = children.iter_mut().map(Child::is_running).filter(|runs| *runs).count();
            if running == 0 {
                break;
            }
            if running < children.len() && until.is_none() {
                until = Some(clock::instant() + self.fleet.patience);
            }
            if until.is_some_and(|until| clock::instant() >= until) {
                tracing::warn!("{running} processes have not ended in time; they are killed");
                children.iter_mut().for_each(Child::kill);
                until = None;
            }
            std::thread::sleep(LOOK);
        }
        let codes: Vec<u8> = children.iter().map(Child::code).collect();
        let ended = match telling(&codes) {
            None => Ended::Cleanly,
            // Who was not running yet when all were told to end has nothing to end cleanly.
            Some(_) if why == Why::ToStop && codes[0] == 0 => Ended::Cleanly,
            Some((process, code)) => Ended::Otherwise(process, code),
        };
        (ended, why)
    }

    /// Asks for a clean end; until when it may take. Process 0 decides at which tick, and the others end with it.
    fn ask_to_end(&self, children: &mut [Child]) -> Instant {
        children[0].ask_to_end();
        clock::instant() + self.fleet.stop_time_max
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

#[cfg(test)]
mod tests;
