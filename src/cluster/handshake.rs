//! The two sides of a handshake over a socket (`doc/formats/cluster.md`). Whom to let in is decided elsewhere.

use super::hall::Guest;
use super::refusal::Refusal;
use super::secret::{MAC_BYTES, Secret};
use super::socket::Socket;
use super::tls;
use super::wire::{
    Answer, CLAIM_BYTES_MAX, Claim, GREETING_BYTES, Greeting, MAGIC, REASON_BYTES_MAX, VERSION,
};
use crate::random;
use crate::time::clock;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// What the codes of the two sides begin with, so that neither can be sent back as the other.
const DIALER: &[u8; 16] = b"tidemark.dialer\n";
const ACCEPTOR: &[u8; 16] = b"tidemark.answer\n";

/// A socket of which every read and write ends by a moment.
pub(super) struct Timed<'a> {
    stream: &'a Socket,
    until: Instant,
}

impl<'a> Timed<'a> {
    /// The socket, until then.
    pub(super) fn new(stream: &'a Socket, until: Instant) -> Timed<'a> {
        Timed { stream, until }
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

/// Makes a socket that has shaken hands ready for what it is for: blocking, no time limit.
pub(super) fn settled(stream: &Socket) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)
}

/// A claim whose sender has proved the secret.
pub(super) struct Proven {
    pub(super) claim: Claim,
    /// All bytes before the answer but the dialer's proof.
    transcript: Vec<u8>,
}

/// Tells a connection that it is refused, and nothing else. Whether they read it is their affair.
pub(super) fn refuse(mut stream: &Socket) {
    let answer = Answer { code: Answer::REFUSED, reason: String::new() };
    let _ = stream.write_all(&[answer.encode(), Answer::NO_PROOF.to_vec()].concat());
}

/// The acceptor's side up to the claim, which never waits: it goes on when more has come.
pub(super) struct Hearing {
    stream: Socket,
    secret: Secret,
    /// All that has come.
    heard: Vec<u8>,
    /// The greeting of this side, once the other's is whole.
    ours: Option<[u8; GREETING_BYTES]>,
}

/// Bytes up to the length of a claim, with it.
const HEAD_BYTES: usize = GREETING_BYTES + 2;

impl Hearing {
    pub(super) fn new(stream: Socket, secret: &Secret) -> io::Result<Hearing> {
        stream.set_nonblocking(true)?;
        Ok(Hearing { stream, secret: secret.clone(), heard: Vec::new(), ours: None })
    }

    /// The socket, which does not block.
    pub(super) fn into_stream(self) -> Socket {
        self.stream
    }

    /// What is still to come, after what has been heard.
    fn judge(&mut self) -> Result<Wants, Refusal> {
        let len = self.heard.len();
        // What does not begin right is not waited for.
        let begun = len.min(MAGIC.len());
        if self.heard[..begun] != MAGIC[..begun] {
            let encrypts = self.heard[0] == tls::HANDSHAKE;
            return Err(if encrypts { Refusal::Encrypted } else { Refusal::Garbage });
        }
        let Some((hello, rest)) = self.heard.split_first_chunk::<GREETING_BYTES>() else {
            return Ok(Wants::Bytes(GREETING_BYTES - len));
        };
        let ours = match self.ours {
            Some(ours) => ours,
            None => {
                let theirs = Greeting::decode(hello).ok_or(Refusal::Garbage)?;
                let ours = Greeting { version: VERSION, nonce: random::bytes() }.encode();
                // It fits the buffers of a socket on which nothing was sent.
                (&self.stream).write_all(&ours).map_err(|_| Refusal::Silence)?;
                if theirs.version != VERSION {
                    return Err(Refusal::Version);
                }
                *self.ours.insert(ours)
            }
        };
        let Some((size, rest)) = rest.split_first_chunk() else {
            return Ok(Wants::Bytes(HEAD_BYTES - len));
        };
        let size = usize::from(u16::from_le_bytes(*size));
        if size > CLAIM_BYTES_MAX {
            return Err(Refusal::Garbage);
        }
        let Some((body, proof)) = rest.split_at_checked(size) else {
            return Ok(Wants::Bytes(size + MAC_BYTES - rest.len()));
        };
        let Ok(proof) = <&[u8; MAC_BYTES]>::try_from(proof) else {
            return Ok(Wants::Bytes(MAC_BYTES - proof.len()));
        };
        let transcript =
            [&hello[..], &ours, &self.heard[GREETING_BYTES..HEAD_BYTES + size]].concat();
        if !self.secret.proves(&[DIALER, &transcript], proof) {
            return Err(Refusal::Secret);
        }
        let claim = Claim::decode(body).ok_or(Refusal::Garbage)?;
        Ok(Wants::Nothing(Proven { claim, transcript }))
    }
}

impl Guest for Hearing {
    type Proof = Proven;

    fn has_greeted(&self) -> bool {
        self.ours.is_some()
    }

    /// No byte beyond the claim is read.
    fn go_on(&mut self) -> Option<Result<Proven, Refusal>> {
        loop {
            let more = match self.judge() {
                Ok(Wants::Bytes(more)) => more,
                Ok(Wants::Nothing(proven)) => return Some(Ok(proven)),
                Err(refusal) => return Some(Err(refusal)),
            };
            let mut bytes = [0; CLAIM_BYTES_MAX + MAC_BYTES];
            match self.stream.read(&mut bytes[..more]) {
                Ok(0) => return Some(Err(Refusal::Silence)),
                Ok(read) => self.heard.extend(&bytes[..read]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => return Some(Err(Refusal::Silence)),
            }
        }
    }
}

/// What a handshake waits for.
enum Wants {
    /// At most so many bytes.
    Bytes(usize),
    /// The claim is there.
    Nothing(Proven),
}

/// Answers a proven claim and proves the secret by it.
pub(super) fn answer(
    mut stream: &Socket,
    secret: &Secret,
    proven: &Proven,
    answer: &Answer,
) -> io::Result<()> {
    let said = answer.encode();
    let proof = secret.mac(&[ACCEPTOR, &proven.transcript, &said]);
    // It fits the buffers of a socket on which no more than a greeting was sent.
    stream.write_all(&[&said[..], &proof].concat())
}

/// Why a dialer was not let in.
#[derive(Debug)]
pub(super) enum Unwelcome {
    /// The connection broke or the time was over.
    Broken(io::Error),
    /// What listens there is not a process of Tidemark.
    Stranger,
    /// It encrypts its connections, and this process does not.
    Encrypts,
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
    let mut challenge = [0; GREETING_BYTES];
    let (first, rest) = challenge.split_at_mut(1);
    io.read_exact(first)?;
    if first[0] == tls::ALERT {
        return Err(Unwelcome::Encrypts);
    }
    io.read_exact(rest)?;
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
