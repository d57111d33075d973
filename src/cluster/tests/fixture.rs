//! Processes of a cluster in one test.

use super::super::dial::{NotYet, dial};
use super::super::port::Inner;
use super::super::socket::Socket;
use super::super::wire::Purpose;
use super::super::*;
use crate::ids::{Generation, Nonce};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than anything that should come takes.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// Listeners on free ports, and the members that have them.
pub(super) fn members(processes: usize) -> Vec<(TcpListener, Members)> {
    let listeners: Vec<_> =
        (0..processes).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let hosts: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap().to_string()).collect();
    let member = |process| Members {
        hosts: hosts.clone(),
        process,
        listen: None,
        workers: 2,
        cluster: "shop".into(),
        secret: Secret::new(b"a secret of sixteen bytes").unwrap(),
        tls: None,
        program: "visits-5a".into(),
        limits: Limits { join_time_max: LONG, ..Limits::default() },
    };
    listeners.into_iter().enumerate().map(|(p, listener)| (listener, member(p))).collect()
}

/// As [`members`], each changed.
pub(super) fn members_with(
    processes: usize,
    change: impl Fn(&mut Members),
) -> Vec<(TcpListener, Members)> {
    let mut all = members(processes);
    all.iter_mut().for_each(|(_, members)| change(members));
    all
}

/// A process that has joined.
pub(super) struct Joined {
    pub(super) port: Port,
    pub(super) control: Control<String>,
    pub(super) events: Receiver<Event<String>>,
}

impl Joined {
    /// The next event in short: `0 says hello` or `0 is lost: why`.
    pub(super) fn hears(&self) -> String {
        shown(&self.events.recv_timeout(LONG).expect("something is heard"))
    }

    /// Ends the process as a crash would: no message is sent and nobody is told.
    pub(super) fn crash(self) {
        drop(self.control);
        drop(self.port);
    }
}

pub(super) fn shown(event: &Event<String>) -> String {
    match event {
        Event::Message { from, message, .. } => format!("{from} says {message}"),
        Event::Lost { process, why } => format!("{process} is lost: {why}"),
    }
}

/// Opens a port and joins.
pub(super) fn join((listener, members): (TcpListener, Members)) -> crate::Result<Joined> {
    join_from(Port::open_on(listener, members).unwrap())
}

pub(super) fn join_from(port: Port) -> crate::Result<Joined> {
    let (sender, events) = channel();
    let on_event = move |event| {
        // A test that has heard enough has dropped the other end.
        let _ = sender.send(event);
    };
    let control = port.join(on_event)?;
    Ok(Joined { port, control, events })
}

/// All of them, joined.
pub(super) fn join_all(all: Vec<(TcpListener, Members)>) -> Vec<Joined> {
    let threads: Vec<_> =
        all.into_iter().map(|one| std::thread::spawn(move || join(one).unwrap())).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// Something that dials as `members` says, without a port that anybody knows.
pub(super) fn dialer(members: &Members) -> Port {
    Port::open_on(TcpListener::bind("127.0.0.1:0").unwrap(), members.clone()).unwrap()
}

/// Dials once.
pub(super) fn dial_as(
    inner: &Inner,
    to: usize,
    purpose: Purpose,
    nonce: u64,
) -> Result<Socket, NotYet> {
    dial(inner, to, purpose, (Generation(1), Nonce(nonce)))
}
