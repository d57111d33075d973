//! The bytes of a handshake (`doc/formats/cluster.md`). It reads and writes no socket and judges nothing.

use super::secret::MAC_BYTES;

/// The version of the handshake that this program speaks.
pub(super) const VERSION: u16 = 1;
/// What both sides begin with.
pub(super) const MAGIC: &[u8; 8] = b"TIDECLU\n";
/// Bytes of a random number that is used once.
pub(super) const NONCE_BYTES: usize = 32;
/// Bytes of a greeting: magic, version, nonce.
pub(super) const GREETING_BYTES: usize = MAGIC.len() + 2 + NONCE_BYTES;
/// Bytes of a claim without its length and its code.
pub(super) const CLAIM_BYTES_MAX: usize = 1024;
/// Bytes of a reason.
pub(super) const REASON_BYTES_MAX: usize = 1024;

/// What each side sends first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) version: u16,
    pub(super) nonce: [u8; NONCE_BYTES],
}

impl Greeting {
    pub(super) fn encode(&self) -> [u8; GREETING_BYTES] {
        let mut bytes = [0; GREETING_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&self.version.to_le_bytes());
        bytes[10..].copy_from_slice(&self.nonce);
        bytes
    }

    /// `None` if it is not one.
    pub(super) fn decode(bytes: &[u8; GREETING_BYTES]) -> Option<Greeting> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (version, nonce) = rest.split_first_chunk()?;
        Some(Greeting { version: u16::from_le_bytes(*version), nonce: nonce.try_into().ok()? })
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Messages between a process and process 0.
    Control,
    /// Heartbeats between a process and process 0.
    Heartbeat,
    /// timely, between any two processes.
    Mesh,
}

impl Purpose {
    const ALL: [Purpose; 3] = [Purpose::Control, Purpose::Heartbeat, Purpose::Mesh];

    fn code(self) -> u8 {
        match self {
            Purpose::Control => 1,
            Purpose::Heartbeat => 2,
            Purpose::Mesh => 3,
        }
    }
}

/// Who dials, whom, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) purpose: Purpose,
    /// The process that dials.
    pub(super) from: u16,
    /// The process that it means to reach.
    pub(super) to: u16,
    pub(super) processes: u16,
    /// Of each process.
    pub(super) workers: u16,
    /// Of the job for a mesh, else 0.
    pub(super) generation: u64,
    /// The generation's for a mesh; else drawn once by the dialling process, so that its two connections belong together.
    pub(super) nonce: u64,
    pub(super) cluster: String,
    pub(super) program: String,
}

impl Claim {
    /// With its length before it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = vec![self.purpose.code()];
        for number in [self.from, self.to, self.processes, self.workers] {
            body.extend(number.to_le_bytes());
        }
        body.extend(self.generation.to_le_bytes());
        body.extend(self.nonce.to_le_bytes());
        for name in [&self.cluster, &self.program] {
            let name = &name.as_bytes()[..name.len().min(usize::from(u8::MAX))];
            body.push(name.len() as u8);
            body.extend(name);
        }
        let mut bytes = (body.len() as u16).to_le_bytes().to_vec();
        bytes.extend(body);
        bytes
    }

    /// From the bytes after the length; `None` if they are no claim.
    pub(super) fn decode(bytes: &[u8]) -> Option<Claim> {
        let (code, rest) = bytes.split_first()?;
        let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.code() == *code)?;
        let mut rest = rest;
        let [from, to, processes, workers] =
            [u16_of(&mut rest)?, u16_of(&mut rest)?, u16_of(&mut rest)?, u16_of(&mut rest)?];
        let [generation, nonce] = [u64_of(&mut rest)?, u64_of(&mut rest)?];
        let [cluster, program] = [name_of(&mut rest)?, name_of(&mut rest)?];
        let claim =
            Claim { purpose, from, to, processes, workers, generation, nonce, cluster, program };
        rest.is_empty().then_some(claim)
    }
}

fn u16_of(rest: &mut &[u8]) -> Option<u16> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u16::from_le_bytes(*number))
}

fn u64_of(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*number))
}

fn name_of(rest: &mut &[u8]) -> Option<String> {
    let (len, after) = rest.split_first()?;
    let (name, after) = after.split_at_checked(usize::from(*len))?;
    *rest = after;
    String::from_utf8(name.to_vec()).ok()
}

/// What the acceptor says to a claim: code and reason, without the proof that follows.
///
/// The code is 0 for a welcome, else that of a [`super::refusal::Refusal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: u8,
    pub(super) reason: String,
}

impl Answer {
    /// The code of a welcome.
    pub(super) const WELCOME: u8 = 0;
    /// The code of a refusal that says nothing, since the secret was not proved.
    pub(super) const REFUSED: u8 = 1;
    /// What stands in the place of a proof when the other side has none to expect.
    pub(super) const NO_PROOF: [u8; MAC_BYTES] = [0; MAC_BYTES];

    /// Code, length and reason; a reason beyond the limit is cut.
    pub(super) fn encode(&self) -> Vec<u8> {
        let end = self.reason.floor_char_boundary(REASON_BYTES_MAX);
        let mut bytes = vec![self.code];
        bytes.extend((end as u16).to_le_bytes());
        bytes.extend(&self.reason.as_bytes()[..end]);
        bytes
    }
}

#[cfg(test)]
mod tests;
