//! Children that die with this process, and signals to them. Knows neither Kafka nor the engine.
#![expect(unsafe_code, reason = "two system calls that the standard library does not wrap")]

use crate::lines::{Found, Lines};
use crate::{Failure, Result};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// A signal that tests send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ends at once, without a chance to tidy up.
    Kill,
    /// Asks to end.
    Term,
    /// As Ctrl-C.
    Int,
    /// Halts until [`Signal::Cont`]; sockets stay open.
    Stop,
    /// Goes on.
    Cont,
}

/// Sends `signal` to the process `pid`.
///
/// # Errors
/// If there is no such process.
pub fn signal(pid: u32, signal: Signal) -> Result<()> {
    let number = match signal {
        Signal::Kill => libc::SIGKILL,
        Signal::Term => libc::SIGTERM,
        Signal::Int => libc::SIGINT,
        Signal::Stop => libc::SIGSTOP,
        Signal::Cont => libc::SIGCONT,
    };
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 1);
    let pid = pid.ok_or_else(|| Failure::new("not the id of a child"))?;
    // SAFETY: kill takes two integers and touches no memory of ours; the id is that of one process, never a group.
    match unsafe { libc::kill(pid, number) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}

/// Starts a server and waits for the line by which it says that it serves; `what` is its name for messages. Gives it with all that it
/// prints.
///
/// # Errors
/// If it does not say so within `limit`; it is ended then, and the message has the end of its log.
pub fn serve(
    what: &str,
    mut command: Command,
    ready: &str,
    limit: Duration,
) -> Result<(Child, Lines)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command)?;
    let lines = Lines::new();
    lines.follow(child.stdout.take().expect("is piped"));
    lines.follow(child.stderr.take().expect("is piped"));
    let end = match lines.wait_for(ready, limit) {
        Found::Line(..) => return Ok((child, lines)),
        Found::Ended => "ended",
        Found::TimedOut => "was not ready in time",
    };
    // It has ended, or hangs; either way nobody will use it.
    drop(child.kill());
    child.wait()?;
    Err(Failure(format!("{what} {end} at start:\n{}", lines.tail(60))))
}

type Request = (Command, Sender<std::io::Result<Child>>);

/// Starts `command`; the kernel kills the child when this process ends in any way.
///
/// That order is bound to the *thread* that forks, and a test's thread ends with its test, so one thread that lives as long as
/// the process starts all children.
///
/// # Errors
/// If the program can't be started.
pub fn spawn(mut command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<Sender<Request>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (send, receive) = channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, reply) in receive {
                // A requester that is gone has no use for the child: dropped, it runs on until this process ends.
                drop(reply.send(command.spawn()));
            }
        });
        send
    });
    let parent = std::process::id();
    // SAFETY: between fork and exec only prctl and getppid are called; both are async-signal-safe and allocate nothing.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            if libc::getppid().cast_unsigned() != parent {
                return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let (send, receive) = channel();
    spawner.send((command, send)).expect("the spawner lives as long as the process");
    let child = receive.recv().expect("the spawner answers every request");
    child.map_err(|error| Failure::from(error).at(format!("cannot start {program}")))
}
