//! What is between the listener and a seat: first the session of TLS, where connections are encrypted, then the handshake.

use super::hall::{self, Hall};
use super::handshake::{Hearing, Proven};
use super::members::Members;
use super::pump::Pumps;
use super::refusal::Refusal;
use super::secret::Secret;
use super::socket::Socket;
use super::tls::{Sealing, Tls};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

/// All connections that have not made their claim.
pub(super) struct Entrance {
    tls: Option<Tls>,
    sealing: Hall<Sealing>,
    hearing: Hall<Hearing>,
    secret: Secret,
    pumps: Arc<Pumps>,
}

/// A connection that leaves.
pub(super) enum Leaves {
    /// It has proved the secret, and waits for an answer.
    Proven(Socket, SocketAddr, Proven),
    /// It is refused, and may be told so.
    Refused(Socket, SocketAddr, Refusal),
    /// It is refused before there was a session, with the reason in words.
    Unsealed(SocketAddr, Refusal, String),
}

impl Entrance {
    pub(super) fn new(members: &Members, pumps: Arc<Pumps>) -> Entrance {
        let (max, time_max) = (members.limits.handshakes_max, members.limits.handshake_time_max);
        Entrance {
            tls: members.tls.clone(),
            sealing: Hall::new(max, time_max),
            hearing: Hall::new(max, time_max),
            secret: members.secret.clone(),
            pumps,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sealing.is_empty() && self.hearing.is_empty()
    }

    /// Lets one in and hears what it has said already. Never waits.
    pub(super) fn enter(&mut self, stream: TcpStream, from: SocketAddr) -> Vec<Leaves> {
        let entered = match &self.tls {
            None => Socket::plain(stream).and_then(|socket| self.hear(socket, from)),
            Some(tls) => tls.accept(stream).map(|sealing| {
                let through = self.sealing.enter(sealing, from);
                self.sealed(through)
            }),
        };
        entered.unwrap_or_else(|error| {
            tracing::debug!(%error, %from, "a connection broke at once");
            Vec::new()
        })
    }

    /// Hears what has come. Never waits.
    pub(super) fn look(&mut self) -> Vec<Leaves> {
        let sealed = self.sealing.look();
        let mut leaves = self.sealed(sealed);
        leaves.extend(self.hearing.look().into_iter().map(Leaves::of));
        leaves
    }

    fn hear(&mut self, socket: Socket, from: SocketAddr) -> io::Result<Vec<Leaves>> {
        let hearing = Hearing::new(socket, &self.secret)?;
        Ok(self.hearing.enter(hearing, from).into_iter().map(Leaves::of).collect())
    }

    /// Who has a session goes on to the handshake.
    fn sealed(&mut self, through: Vec<hall::Leaves<Sealing>>) -> Vec<Leaves> {
        let mut leaves = Vec::new();
        for hall::Leaves { guest, from, outcome } in through {
            if let Err(refusal) = outcome {
                leaves.push(Leaves::Unsealed(from, refusal, guest.why().to_owned()));
                continue;
            }
            match guest.into_socket(&self.pumps).and_then(|socket| self.hear(socket, from)) {
                Ok(more) => leaves.extend(more),
                Err(error) => tracing::debug!(%error, %from, "a session broke at once"),
            }
        }
        leaves
    }
}

impl Leaves {
    fn of(left: hall::Leaves<Hearing>) -> Leaves {
        let socket = left.guest.into_stream();
        match left.outcome {
            Ok(proven) => Leaves::Proven(socket, left.from, proven),
            Err(refusal) => Leaves::Refused(socket, left.from, refusal),
        }
    }
}
