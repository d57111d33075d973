//! The one port of a process: it accepts whatever comes, lets in what is proved, and seats it by its purpose.

use super::complaints::Complaints;
use super::entrance::{Entrance, Leaves};
use super::handshake::{self, Proven};
use super::lock;
use super::members::Members;
use super::peer::Peer;
use super::pump::Pumps;
use super::refusal::{Refusal, belongs};
use super::seats::Seats;
use super::socket::Socket;
use super::wire::{Answer, Purpose};
use crate::error::{Error, Result};
use crate::ids::Nonce;
use crate::random;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// After an accept that failed (files run short) the next is not tried at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// How often those who have not greeted yet are looked at.
const LOOK: Duration = Duration::from_millis(1);

/// The port of this process, open until it is dropped: late strangers are refused all the time.
pub(crate) struct Port {
    pub(super) inner: Arc<Inner>,
    address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

/// What the port's threads share.
pub(super) struct Inner {
    pub(super) members: Members,
    /// Drawn at the start: the two connections of a process to process 0 have the same.
    pub(super) instance: Nonce,
    pub(super) seats: Mutex<Seats>,
    /// Somebody has sat down.
    pub(super) changed: Condvar,
    pub(super) complaints: Complaints,
    pub(super) pumps: Arc<Pumps>,
    entrance: Mutex<Entrance>,
    /// Somebody is in the entrance.
    entered: Condvar,
    closing: AtomicBool,
}

impl Port {
    /// Listens where `members` says.
    ///
    /// # Errors
    /// `Config` if a field of `members` is out of range or the address can't be listened on.
    pub(crate) fn open(members: Members) -> Result<Port> {
        members.check()?;
        let address = members.listen.as_ref().unwrap_or(&members.hosts[members.process]);
        let listener = TcpListener::bind(address).map_err(|e| {
            let process = members.process;
            Error::config(format!(
                "process {process} of the cluster can't listen on {address}: {e}"
            ))
        })?;
        Port::open_on(listener, members)
    }

    /// Accepts on a listener that there is already.
    pub(super) fn open_on(listener: TcpListener, members: Members) -> Result<Port> {
        members.check()?;
        let failed =
            |e: io::Error| Error::internal(format!("the cluster's port can't be served: {e}"));
        let address = listener.local_addr().map_err(failed)?;
        let pumps = Arc::new(Pumps::default());
        let inner = Arc::new(Inner {
            instance: random::nonce(),
            seats: Mutex::new(Seats::new(members.hosts.len())),
            changed: Condvar::new(),
            complaints: Complaints::default(),
            entrance: Mutex::new(Entrance::new(&members, Arc::clone(&pumps))),
            pumps,
            entered: Condvar::new(),
            closing: AtomicBool::new(false),
            members,
        });
        let (accepting, ushering) = (Arc::clone(&inner), Arc::clone(&inner));
        let thread = |what: &str| std::thread::Builder::new().name(format!("cluster:{what}"));
        // Made first: if the other can't be started, it ends with this.
        let mut port = Port { inner, address, threads: Vec::new() };
        port.threads.push(thread("usher").spawn(move || ushering.usher()).map_err(failed)?);
        let accept = move || accepting.accept(&listener);
        port.threads.push(thread("accept").spawn(accept).map_err(failed)?);
        Ok(port)
    }

    /// Waits until what was sent on connections that were ended since has left this process, for at most `time_max`.
    pub(crate) fn drain(&self, time_max: Duration) {
        self.inner.pumps.drain(time_max);
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Port {
    /// Closes the port and all connections with other processes but those given away for timely.
    fn drop(&mut self) {
        self.inner.closing.store(true, Ordering::Release);
        let mut here = self.address;
        if here.ip().is_unspecified() {
            here.set_ip(match here.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        // An accept that waits ends by a connection only. If there is no way to it, the threads are left to the process's end.
        let woken = TcpStream::connect_timeout(&here, Duration::from_secs(1));
        // Under its lock, so that the usher does not miss it.
        drop(lock(&self.inner.entrance));
        self.inner.entered.notify_all();
        lock(&self.inner.seats).clear();
        if woken.is_ok() {
            for thread in self.threads.drain(..) {
                // A panic of it was shown when it happened.
                let _ = thread.join();
            }
        }
    }
}

impl Inner {
    /// Accepts, and does nothing that waits, so that the queue of the listener does not run over.
    fn accept(&self, listener: &TcpListener) {
        loop {
            let accepted = listener.accept();
            if self.closing.load(Ordering::Acquire) {
                return;
            }
            match accepted {
                Ok((stream, from)) => {
                    let leaves = lock(&self.entrance).enter(stream, from);
                    self.entered.notify_one();
                    self.part_with(leaves);
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be accepted");
                    std::thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
    }

    /// Goes on with the handshakes of those who were let in.
    fn usher(&self) {
        let idle =
            |entrance: &mut Entrance| entrance.is_empty() && !self.closing.load(Ordering::Acquire);
        while !self.closing.load(Ordering::Acquire) {
            let waited = self.entered.wait_while(lock(&self.entrance), idle);
            let leaves = waited.unwrap_or_else(PoisonError::into_inner).look();
            self.part_with(leaves);
            std::thread::sleep(LOOK);
        }
    }

    fn part_with(&self, leaves: Vec<Leaves>) {
        for leaves in leaves {
            match leaves {
                Leaves::Proven(socket, from, proven) => {
                    if let Err(error) = self.seat(&Arc::new(socket), from, &proven) {
                        tracing::debug!(%error, %from, "a process of the cluster went at once");
                    }
                }
                Leaves::Refused(socket, from, refusal) => {
                    if refusal != Refusal::Silence {
                        handshake::refuse(&socket);
                    }
                    self.complaints.about(refusal, Some(from), "");
                }
                Leaves::Unsealed(from, refusal, why) => {
                    self.complaints.about(refusal, Some(from), &why);
                }
            }
        }
    }

    /// Seats or refuses who has proved the secret.
    fn seat(&self, stream: &Arc<Socket>, address: SocketAddr, proven: &Proven) -> io::Result<()> {
        let claim = &proven.claim;
        let from = usize::from(claim.from);
        let reserved =
            belongs(claim, &self.members).and_then(|()| lock(&self.seats).reserve(claim, stream));
        if let Err(refused) = reserved {
            if refused.what != Refusal::Later {
                self.complaints.about(refused.what, Some(address), &refused.reason);
                lock(&self.seats).refused(from, &refused.reason);
            }
            let no = Answer { code: refused.what.code(), reason: refused.reason };
            return handshake::answer(stream, &self.members.secret, proven, &no);
        }
        let yes = Answer { code: Answer::WELCOME, reason: String::new() };
        let welcomed = handshake::answer(stream, &self.members.secret, proven, &yes)
            .and_then(|()| handshake::settled(stream));
        let mut seats = lock(&self.seats);
        if welcomed.is_err() || self.closing.load(Ordering::Acquire) {
            seats.release(claim);
            return welcomed;
        }
        match claim.purpose {
            // It has sat since before the welcome, so that the heartbeats find it.
            Purpose::Control => {}
            Purpose::Heartbeat => {
                if let Some(control) = seats.control(claim) {
                    let limit = self.members.limits.heartbeat_limit;
                    seats.sit(from, Peer::start(from, control, Arc::clone(stream), limit)?);
                }
            }
            Purpose::Mesh => seats.put_mesh(from, stream.try_clone()?),
        }
        self.changed.notify_all();
        Ok(())
    }
}
