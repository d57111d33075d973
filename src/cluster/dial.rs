//! Dialling another process, again and again until it lets this one in or the time is over.

use super::handshake::{self, Timed, Unwelcome};
use super::port::Inner;
use super::socket::Socket;
use super::tls::NoSession;
use super::wire::{Claim, Purpose};
use crate::error::{Error, Kind, Result};
use crate::ids::{Generation, Nonce};
use crate::random;
use crate::time::clock;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The greatest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The first pause.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// A try that came to nothing.
#[derive(Debug)]
pub(super) struct NotYet {
    /// `Config` if the other process is there and refuses, `Retry` if it can't be reached.
    pub(super) kind: Kind,
    pub(super) why: String,
}

/// Dials process `to` once.
pub(super) fn dial(
    inner: &Inner,
    to: usize,
    purpose: Purpose,
    (generation, nonce): (Generation, Nonce),
) -> Result<Socket, NotYet> {
    let members = &inner.members;
    let claim = Claim {
        purpose,
        // All are in the range of a u16: `Members::check`.
        from: members.process as u16,
        to: to as u16,
        processes: members.hosts.len() as u16,
        workers: members.workers as u16,
        generation: generation.0,
        nonce: nonce.0,
        cluster: members.cluster.clone(),
        program: members.program.clone(),
    };
    let time_max = members.limits.handshake_time_max;
    let away =
        |e: io::Error| NotYet { kind: Kind::Retry, why: format!("it can't be reached: {e}") };
    let until = clock::instant() + time_max;
    let stream = connect(&members.hosts[to], time_max).map_err(away)?;
    let socket = match &members.tls {
        None => Socket::plain(stream).map_err(away)?,
        Some(tls) => {
            tls.dial(stream, &members.hosts[to], until, &inner.pumps).map_err(no_session)?
        }
    };
    let presented = handshake::present(&Timed::new(&socket, until), &members.secret, &claim);
    presented.map_err(|unwelcome| match (unwelcome, socket.broken()) {
        // That a certificate is not taken is said only after the session is there.
        (Unwelcome::Broken(_), Some(why)) => {
            NotYet { kind: Kind::Config, why: format!("it has ended the encrypted session: {why}") }
        }
        (unwelcome, _) => not_yet(&unwelcome),
    })?;
    handshake::settled(&socket).map_err(away)?;
    Ok(socket)
}

/// What it means that there is no session.
fn no_session(why: NoSession) -> NotYet {
    match why {
        NoSession::Broken(error) => NotYet {
            kind: Kind::Retry,
            why: format!("the connection broke before it was encrypted: {error}"),
        },
        NoSession::Plain => NotYet {
            kind: Kind::Config,
            why: "it does not encrypt: cluster.tls_* must be set for all processes or none".into(),
        },
        NoSession::Refused(why) => {
            NotYet { kind: Kind::Config, why: format!("no encrypted session with it: {why}") }
        }
    }
}

fn connect(address: &str, time_max: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, time_max) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// What a refusal means to the one who dialled.
fn not_yet(unwelcome: &Unwelcome) -> NotYet {
    let (kind, why) = match unwelcome {
        Unwelcome::Broken(error) => (Kind::Retry, format!("the handshake broke: {error}")),
        Unwelcome::Stranger => {
            (Kind::Config, "what listens there is no process of this kind of cluster".into())
        }
        Unwelcome::Encrypts => (
            Kind::Config,
            "it encrypts its connections: cluster.tls_* must be set for all processes or none"
                .into(),
        ),
        Unwelcome::Version(theirs) => {
            (Kind::Config, format!("it speaks version {theirs} of the handshake"))
        }
        Unwelcome::Secret => (Kind::Config, "it has another secret".into()),
        Unwelcome::Impostor => (Kind::Config, "it does not know the secret of the cluster".into()),
        Unwelcome::Refused(reason) => (Kind::Config, format!("it refuses: {reason}")),
    };
    NotYet { kind, why }
}

/// Tries `step` until it comes to something, for at most `time_max`; `what` names what is tried, for messages. All refusals are
/// tried again, since in a rolling change the others may follow.
///
/// # Errors
/// Of the last try, `Config` if there was a refusal in any; or of `given_up`, asked before each pause.
pub(super) fn keep_trying<T>(
    what: &str,
    time_max: Duration,
    given_up: impl Fn() -> Result<()>,
    mut step: impl FnMut() -> Result<T, NotYet>,
) -> Result<T> {
    let until = clock::instant() + time_max;
    let mut pause = PAUSE_MIN;
    let mut told = String::new();
    let mut refused = None;
    loop {
        let NotYet { kind, why } = match step() {
            Ok(done) => return Ok(done),
            Err(not_yet) => not_yet,
        };
        given_up()?;
        let left = until.saturating_duration_since(clock::instant());
        if left.is_zero() {
            // Who refuses often goes itself soon after, and what it said is worth more than that it is gone.
            return Err(match refused {
                Some(refusal) if kind != Kind::Config => Error::config(format!(
                    "{what}: {why} (after {time_max:?}; it was there before: {refusal})"
                )),
                _ => Error::new(kind, format!("{what}: {why} (after {time_max:?})")),
            });
        }
        if told != why {
            if kind == Kind::Config {
                tracing::warn!("{what}: {why}; it is tried again for {left:.0?}");
                refused = Some(why.clone());
            } else {
                tracing::info!("{what}: {why}; it is tried again for {left:.0?}");
            }
            told = why;
        }
        std::thread::sleep(jittered(pause, random::nonce()).min(left));
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Between half and all of `pause`, so that processes that began together do not come together again.
fn jittered(pause: Duration, drawn: Nonce) -> Duration {
    pause / 2 + pause / 2 * (drawn.0 % 1024) as u32 / 1024
}

#[cfg(test)]
mod tests;
