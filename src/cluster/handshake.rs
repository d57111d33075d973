//! The two sides of a handshake over a socket (`doc/formats/cluster.md`). Whom to let in is decided elsewhere.

use super::refusal::Refusal;
use super::secret::{MAC_BYTES, Secret};
use super::wire::{
    Answer, CLAIM_BYTES_MAX, Claim, GREETING_BYTES, Greeting, MAGIC, REASON_BYTES_MAX, VERSION,
};
use crate::random;
use crate::time::clock;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// What the codes of the two sides begin with, so that neither can be sent back as the other.
const DIALER: &[u8; 16] = b"tidemark.dialer\n";
const ACCEPTOR: &[u8; 16] = b"tidemark.answer\n";

/// A socket of which every read and write ends by a moment.
pub(super) struct Timed<'a> {
    stream: &'a TcpStream,
    until: Instant,
}

impl<'a> Timed<'a> {
    /// The socket, for `time_max` from now.
    pub(super) fn new(stream: &'a TcpStream, time_max: Duration) -> Timed<'a> {
        Timed { stream, until: clock::instant() + time_max }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(clock::instant());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }

    /// A peer that sends a byte now and then does not get more time: what is left is asked before each read.
    fn read_exact(&self, mut bytes: &mut [u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.set_read_timeout(self.left()?)?;
            match (&mut &*self.stream).read(bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => bytes = &mut bytes[read..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn read<const N: usize>(&self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// A length of two bytes and so many; `None` if it is beyond `max`.
    fn read_sized(&self, max: usize) -> io::Result<Option<Vec<u8>>> {
        let len = usize::from(u16::from_le_bytes(self.read()?));
        if len > max {
            return Ok(None);
        }
        let mut bytes = vec![0; len];
        self.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// What is written in a handshake fits the buffers of a socket, so one time limit for the whole is enough.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.stream.set_write_timeout(self.left()?)?;
        (&mut &*self.stream).write_all(bytes)
    }
}

/// Makes a socket that has shaken hands ready for what it is for: no delay, no time limit.
pub(super) fn settled(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    stream.set_nodelay(true)
}

/// A claim whose sender has proved the secret.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) claim: Claim,
    /// All bytes before the answer but the dialer's proof.
    transcript: Vec<u8>,
}

/// Hears what a connection wants. Whoever has not proved the secret by the end of it is told "refused" and nothing else.
pub(super) fn hear(io: &Timed<'_>, secret: &Secret) -> Result<Proven, Refusal> {
    let heard = hear_claim(io, secret);
    if let Err(refusal) = heard
        && refusal != Refusal::Silence
    {
        let answer = Answer { code: Answer::REFUSED, reason: String::new() };
        // Whether they read it is their affair.
        let _ = io.write(&[answer.encode(), Answer::NO_PROOF.to_vec()].concat());
    }
    heard
}

fn hear_claim(io: &Timed<'_>, secret: &Secret) -> Result<Proven, Refusal> {
    let silence = |_: io::Error| Refusal::Silence;
    let mut hello = [0; GREETING_BYTES];
    let (magic, rest) = hello.split_at_mut(MAGIC.len());
    // What does not begin right is not waited for.
    io.read_exact(magic).map_err(silence)?;
    if magic != MAGIC {
        return Err(Refusal::Garbage);
    }
    io.read_exact(rest).map_err(silence)?;
    let theirs = Greeting::decode(&hello).ok_or(Refusal::Garbage)?;
    let ours = Greeting { version: VERSION, nonce: random::bytes() }.encode();
    io.write(&ours).map_err(silence)?;
    if theirs.version != VERSION {
        return Err(Refusal::Version);
    }
    let body = io.read_sized(CLAIM_BYTES_MAX).map_err(silence)?.ok_or(Refusal::Garbage)?;
    let proof: [u8; MAC_BYTES] = io.read().map_err(silence)?;
    let len = (body.len() as u16).to_le_bytes();
    let transcript = [&hello[..], &ours, &len, &body].concat();
    if !secret.proves(&[DIALER, &transcript], &proof) {
        return Err(Refusal::Secret);
    }
    let claim = Claim::decode(&body).ok_or(Refusal::Garbage)?;
    Ok(Proven { claim, transcript })
}

/// Answers a proven claim and proves the secret by it.
pub(super) fn answer(
    io: &Timed<'_>,
    secret: &Secret,
    proven: &Proven,
    answer: &Answer,
) -> io::Result<()> {
    let said = answer.encode();
    let proof = secret.mac(&[ACCEPTOR, &proven.transcript, &said]);
    io.write(&[&said[..], &proof].concat())
}

/// Why a dialer was not let in.
#[derive(Debug)]
pub(super) enum Unwelcome {
    /// The connection broke or the time was over.
    Broken(io::Error),
    /// What listens there is not a process of Tidemark.
    Stranger,
    /// It speaks this version of the handshake.
    Version(u16),
    /// It refused without a reason: it has not accepted the proof.
    Secret,
    /// It answered but does not know the secret.
    Impostor,
    /// It refused and said why.
    Refused(String),
}

impl From<io::Error> for Unwelcome {
    fn from(error: io::Error) -> Unwelcome {
        Unwelcome::Broken(error)
    }
}

/// Makes a claim to whoever accepted the connection.
pub(super) fn present(io: &Timed<'_>, secret: &Secret, claim: &Claim) -> Result<(), Unwelcome> {
    let hello = Greeting { version: VERSION, nonce: random::bytes() }.encode();
    io.write(&hello)?;
    let challenge: [u8; GREETING_BYTES] = io.read()?;
    let theirs = Greeting::decode(&challenge).ok_or(Unwelcome::Stranger)?;
    if theirs.version != VERSION {
        return Err(Unwelcome::Version(theirs.version));
    }
    let transcript = [&hello[..], &challenge, &claim.encode()].concat();
    let proof = secret.mac(&[DIALER, &transcript]);
    io.write(&[&transcript[2 * GREETING_BYTES..], &proof].concat())?;
    let [code] = io.read()?;
    let reason = io.read_sized(REASON_BYTES_MAX)?.ok_or(Unwelcome::Stranger)?;
    let proof: [u8; MAC_BYTES] = io.read()?;
    let len = (reason.len() as u16).to_le_bytes();
    if !secret.proves(&[ACCEPTOR, &transcript, &[code], &len, &reason], &proof) {
        return Err(if code == Answer::REFUSED && proof == Answer::NO_PROOF {
            Unwelcome::Secret
        } else {
            Unwelcome::Impostor
        });
    }
    match code {
        Answer::WELCOME => Ok(()),
        _ => Err(Unwelcome::Refused(String::from_utf8_lossy(&reason).into_owned())),
    }
}
