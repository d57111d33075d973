//! The one port of a process: it accepts whatever comes, lets in what is proved, and seats it by its purpose.

use super::complaints::Complaints;
use super::crowd::{Crowd, Inside};
use super::handshake::{self, Proven, Timed};
use super::lock;
use super::members::Members;
use super::peer::Peer;
use super::refusal::{Refusal, belongs};
use super::seats::Seats;
use super::wire::{Answer, Purpose};
use crate::error::{Error, Result};
use crate::ids::Nonce;
use crate::random;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// After an accept that failed (files run short) the next is not tried at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// The port of this process, open until it is dropped: late strangers are refused all the time.
pub(crate) struct Port {
    pub(super) inner: Arc<Inner>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
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
    crowd: Arc<Crowd>,
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
        let inner = Arc::new(Inner {
            instance: random::nonce(),
            seats: Mutex::new(Seats::new(members.hosts.len())),
            changed: Condvar::new(),
            complaints: Complaints::default(),
            crowd: Crowd::new(members.limits.handshakes_max),
            closing: AtomicBool::new(false),
            members,
        });
        let shared = Arc::clone(&inner);
        let run = move || shared.accept(&listener);
        let thread =
            std::thread::Builder::new().name("cluster:accept".into()).spawn(run).map_err(failed)?;
        Ok(Port { inner, address, thread: Some(thread) })
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
        // An accept that waits ends by a connection only. If there is no way to it, the thread is left to the process's end.
        let woken = TcpStream::connect_timeout(&here, Duration::from_secs(1));
        self.inner.crowd.clear();
        lock(&self.inner.seats).clear();
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            // A panic of it was shown when it happened.
            let _ = thread.join();
        }
    }
}

impl Inner {
    fn accept(self: Arc<Inner>, listener: &TcpListener) {
        loop {
            let accepted = listener.accept();
            if self.closing.load(Ordering::Acquire) {
                return;
            }
            match accepted {
                Ok((stream, from)) => self.meet(stream, from),
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be accepted");
                    std::thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
    }

    /// Gives a connection a thread for its handshake.
    fn meet(self: &Arc<Inner>, stream: TcpStream, from: SocketAddr) {
        let stream = Arc::new(stream);
        let (inside, dropped) = self.crowd.enter(&stream);
        for _ in 0..dropped {
            self.complaints.about(Refusal::Crowd, Some(from), "");
        }
        let shared = Arc::clone(self);
        let greet = move || shared.greet(stream, from, inside);
        if let Err(error) = std::thread::Builder::new().name("cluster:greet".into()).spawn(greet) {
            tracing::debug!(%error, "a connection of the cluster has got no thread and is closed");
        }
    }

    /// The whole handshake of one connection.
    fn greet(&self, stream: Arc<TcpStream>, from: SocketAddr, inside: Inside) {
        let io = Timed::new(&stream, self.members.limits.handshake_time_max);
        match handshake::hear(&io, &self.members.secret) {
            Err(refusal) => self.complaints.about(refusal, Some(from), ""),
            Ok(proven) => {
                if let Err(error) = self.seat(&io, &stream, from, &proven) {
                    tracing::debug!(%error, %from, "a process of the cluster went in mid-handshake");
                }
            }
        }
        drop(inside);
    }

    /// Seats or refuses who has proved the secret.
    fn seat(
        &self,
        io: &Timed<'_>,
        stream: &Arc<TcpStream>,
        address: SocketAddr,
        proven: &Proven,
    ) -> io::Result<()> {
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
            return handshake::answer(io, &self.members.secret, proven, &no);
        }
        let yes = Answer { code: Answer::WELCOME, reason: String::new() };
        let welcomed = handshake::answer(io, &self.members.secret, proven, &yes)
            .and_then(|()| handshake::settled(stream));
        let mut seats = lock(&self.seats);
        if let Err(error) = welcomed {
            seats.release(claim);
            return Err(error);
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
