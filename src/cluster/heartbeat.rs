//! Whether the other process lives: a byte now and then in both directions, by a thread that does nothing else. How long a
//! tick takes is not known here.

use super::members::BEATS;
use super::socket::Socket;
use crate::time::clock;
use std::fmt;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// The byte of a beat. Any byte that comes is taken for one.
const BEAT: u8 = b'.';

/// Why nothing is heard any more.
#[derive(Debug)]
pub(super) enum Silence {
    /// Nothing came for the limit.
    TooLong(Duration),
    /// The other side has closed.
    Closed,
    /// The connection broke.
    Broken(io::Error),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Silence::TooLong(limit) => write!(f, "nothing was heard of it for {limit:?}"),
            Silence::Closed => f.write_str("it has closed its connections"),
            Silence::Broken(error) => write!(f, "the connection for heartbeats broke: {error}"),
        }
    }
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Beat,
    /// Listen for at most so long.
    Listen(Duration),
}

/// Beats as often as is due, and listens until the next beat or the limit, whichever is sooner.
fn step(now: Instant, beat_at: Instant, silent_at: Instant) -> Step {
    if now >= beat_at {
        return Step::Beat;
    }
    let next = beat_at.min(silent_at).saturating_duration_since(now);
    Step::Listen(next.max(Duration::from_millis(1)))
}

/// Beats and listens until the other side is silent for `limit`, closes, or breaks.
pub(super) fn beat(stream: &Socket, limit: Duration) -> Silence {
    let interval = limit / BEATS;
    let mut beat_at = clock::instant();
    let mut silent_at = beat_at + limit;
    loop {
        match step(clock::instant(), beat_at, silent_at) {
            Step::Beat => {
                beat_at = clock::instant() + interval;
                if let Err(error) = send(stream, interval) {
                    return Silence::Broken(error);
                }
            }
            Step::Listen(time) => match listen(stream, time) {
                Ok(Some(0)) => return Silence::Closed,
                Ok(Some(_)) => silent_at = clock::instant() + limit,
                // Judged only after there was nothing to read: when this process itself stood still, beats are waiting.
                Ok(None) if clock::instant() >= silent_at => return Silence::TooLong(limit),
                Ok(None) => {}
                Err(error) => return Silence::Broken(error),
            },
        }
    }
}

/// A beat for which there is no room is left out: the other side reads nothing, and its own beats tell whether it lives.
fn send(mut stream: &Socket, time_max: Duration) -> io::Result<()> {
    stream.set_write_timeout(Some(time_max))?;
    match stream.write(&[BEAT]) {
        Ok(_) => Ok(()),
        Err(e) if is_passing(&e) => Ok(()),
        Err(e) => Err(e),
    }
}

/// The bytes that came, none if nothing did in that time.
fn listen(mut stream: &Socket, time_max: Duration) -> io::Result<Option<usize>> {
    stream.set_read_timeout(Some(time_max))?;
    match stream.read(&mut [0; 64]) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if is_passing(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

#[cfg(test)]
mod tests;
