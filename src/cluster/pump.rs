//! The encryption of one connection. Who uses a connection reads and writes it from different threads, which a TLS session does not
//! allow; so they have one end of a socket pair, and two threads carry bytes between the other end and TCP.
//!
//! ```text
//! user  <-- pair -->  inward  <- open records  <-  TCP
//!                     outward -> sealed records -> TCP
//! ```
//! Neither thread holds the session while it waits, so a direction in which nobody reads does not hold up the other one. The inward
//! thread never writes to TCP: what the session has to say goes with the next bytes outward. A direction that ends, ends at the other
//! side of the pump too, as it would without one.

use super::lock;
use super::socket::Socket;
use crate::time::clock;
use rustls::Connection;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Bytes that are carried at a time; a session takes twice as many.
const CHUNK_BYTES: usize = 32 << 10;

/// What is known of a connection that is encrypted.
#[derive(Debug)]
pub(super) struct Pump {
    stream: TcpStream,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The user has ended what it sends.
    hung_up: bool,
    /// Nothing more goes out.
    sent: bool,
    /// The user reads no more either.
    gone: bool,
    /// The first thing that went wrong.
    broken: Option<String>,
}

impl Pump {
    /// The user sends no more; what it has sent is to go out.
    pub(super) fn hang_up(&self) {
        lock(&self.state).hung_up = true;
    }

    /// What went wrong first, if something did.
    pub(super) fn broken(&self) -> Option<String> {
        lock(&self.state).broken.clone()
    }

    fn breaks(&self, why: &io::Error) {
        lock(&self.state).broken.get_or_insert_with(|| why.to_string());
    }

    /// The user has gone: once what it has sent is out, nothing is waited for any more.
    pub(super) fn leave(&self) {
        let mut state = lock(&self.state);
        (state.hung_up, state.gone) = (true, true);
        self.end_if_done(&state);
    }

    fn sent(&self) {
        let mut state = lock(&self.state);
        state.sent = true;
        self.end_if_done(&state);
        self.changed.notify_all();
    }

    fn end_if_done(&self, state: &State) {
        if state.sent && state.gone {
            // The inward thread may wait for a peer that says nothing. It fails if the connection has ended.
            let _ = self.stream.shutdown(Shutdown::Read);
        }
    }

    fn wait_sent(&self, time_max: Duration) {
        let sending = |state: &mut State| state.hung_up && !state.sent;
        let waited = self.changed.wait_timeout_while(lock(&self.state), time_max, sending);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// All pumps of a process.
#[derive(Default)]
pub(super) struct Pumps(Mutex<Vec<Weak<Pump>>>);

impl Pumps {
    /// Encrypts `stream`, on which `session` has shaken hands; gives the end for the plain bytes.
    ///
    /// # Errors
    /// If a thread or the pair can't be had.
    pub(super) fn start(
        &self,
        stream: TcpStream,
        session: impl Into<Connection>,
    ) -> io::Result<Socket> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(None)?;
        let (user, end) = UnixStream::pair()?;
        let pump = Arc::new(Pump { stream, state: Mutex::default(), changed: Condvar::new() });
        let side =
            Arc::new(Side { session: Mutex::new(session.into()), end, pump: Arc::clone(&pump) });
        let inward = Arc::clone(&side);
        // If the other thread can't be started, this one ends with the user's end.
        let thread = |what: &str| std::thread::Builder::new().name(format!("cluster:{what}"));
        thread("open").spawn(move || inward.carry_in())?;
        thread("seal").spawn(move || side.carry_out())?;
        let mut all = lock(&self.0);
        all.retain(|pump| pump.strong_count() > 0);
        all.push(Arc::downgrade(&pump));
        Ok(Socket::pumped(user, pump))
    }

    /// Waits until what was sent before a direction was ended has gone out, in all for at most `time_max`: it would be lost with the
    /// process.
    pub(super) fn drain(&self, time_max: Duration) {
        let until = clock::instant() + time_max;
        let all: Vec<_> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        for pump in all {
            pump.wait_sent(until.saturating_duration_since(clock::instant()));
        }
    }
}

/// What the two threads of a pump share.
struct Side {
    session: Mutex<Connection>,
    end: UnixStream,
    pump: Arc<Pump>,
}

/// A direction that has come to its end as it should, or not.
type Ended = io::Result<()>;

impl Side {
    fn carry_in(&self) {
        match self.open_all() {
            // The user reads to the end, and may go on to send.
            Ok(()) => drop(self.end.shutdown(Shutdown::Write)),
            Err(error) => self.cut(&error),
        }
    }

    fn carry_out(&self) {
        if let Err(error) = self.seal_all() {
            self.cut(&error);
        }
        self.pump.sent();
    }

    /// Ends everything. What it does fails where the other side was quicker.
    fn cut(&self, why: &io::Error) {
        tracing::debug!(error = %why, "an encrypted connection broke");
        self.pump.breaks(why);
        let _ = self.end.shutdown(Shutdown::Both);
        let _ = self.pump.stream.shutdown(Shutdown::Both);
    }

    /// Opens records until TCP or the session is closed.
    fn open_all(&self) -> Ended {
        let mut sealed = vec![0; CHUNK_BYTES];
        let mut plain = Vec::new();
        // Bytes may have come together with the last ones of the handshake.
        let mut open = self.open(&[], &mut plain)?;
        loop {
            if (&self.end).write_all(&plain).is_err() {
                // The user has gone, and may have sent its last words: they go out.
                let _ = self.end.shutdown(Shutdown::Read);
                return Ok(());
            }
            plain.clear();
            if !open {
                return Ok(());
            }
            match (&self.pump.stream).read(&mut sealed) {
                // Without a word of the session it may have been cut short by anybody; to the user it is the end that it would be without
                // encryption, and what a message of its own says is whole or not.
                Ok(0) => return Ok(()),
                Ok(read) => open = self.open(&sealed[..read], &mut plain)?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Adds what these bytes complete; whether more may come.
    fn open(&self, mut sealed: &[u8], plain: &mut Vec<u8>) -> io::Result<bool> {
        let mut session = lock(&self.session);
        loop {
            let state = session.process_new_packets().map_err(io::Error::other)?;
            let at = plain.len();
            plain.resize(at + state.plaintext_bytes_to_read(), 0);
            if plain.len() > at {
                session.reader().read_exact(&mut plain[at..])?;
            }
            if state.peer_has_closed() {
                return Ok(false);
            }
            if sealed.is_empty() {
                return Ok(true);
            }
            session.read_tls(&mut sealed)?;
        }
    }

    /// Seals what the user sends until it ends that.
    fn seal_all(&self) -> Ended {
        let mut plain = vec![0; CHUNK_BYTES];
        let mut sealed = Vec::new();
        loop {
            let read = match (&self.end).read(&mut plain) {
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            sealed.clear();
            self.seal(&plain[..read], &mut sealed)?;
            (&self.pump.stream).write_all(&sealed)?;
            if read == 0 {
                // It fails if the other side was quicker.
                let _ = self.pump.stream.shutdown(Shutdown::Write);
                return Ok(());
            }
        }
    }

    /// Adds the records of these bytes; of none, the record that says that no more come.
    fn seal(&self, plain: &[u8], sealed: &mut Vec<u8>) -> Ended {
        let mut session = lock(&self.session);
        if plain.is_empty() {
            session.send_close_notify();
        }
        session.writer().write_all(plain)?;
        while session.wants_write() {
            session.write_tls(sealed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
