//! Why a connection is refused: decisions over a claim and what is known. No I/O.

use super::members::Members;
use super::wire::{Answer, Claim, Purpose};
use crate::ids::{Generation, Nonce};

/// What was wrong with a connection. The first eight are found before the other side has proved the secret, and it is told
/// nothing more than that it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// Not the bytes of a handshake.
    Garbage,
    /// The beginning of an encrypted connection, where none are.
    Encrypted,
    /// A handshake without encryption, where there must be some.
    Plain,
    /// No certificate, one that is not of the authority, or no session for another reason.
    Certificate,
    /// Closed, or nothing more said, before the handshake was done.
    Silence,
    /// Dropped in mid-handshake, since many newer ones came.
    Crowd,
    /// Another version of the handshake.
    Version,
    /// Another secret.
    Secret,
    /// Another cluster.
    Cluster,
    /// Another program.
    Program,
    /// Another number of processes.
    Processes,
    /// Another number of workers.
    Workers,
    /// Not a number that may dial this process, or meant for another one.
    Number,
    /// That process is here already.
    Taken,
    /// Heartbeats of a process that has no connection for messages.
    Early,
    /// A mesh before this process knows the generation. Try again.
    Later,
    /// Another generation.
    Generation,
}

impl Refusal {
    /// As it stands in an answer.
    pub(super) fn code(self) -> u8 {
        match self {
            Refusal::Garbage
            | Refusal::Encrypted
            | Refusal::Plain
            | Refusal::Certificate
            | Refusal::Silence
            | Refusal::Crowd
            | Refusal::Version
            | Refusal::Secret => Answer::REFUSED,
            Refusal::Cluster => 2,
            Refusal::Program => 3,
            Refusal::Processes => 4,
            Refusal::Workers => 5,
            Refusal::Number => 6,
            Refusal::Taken => 7,
            Refusal::Early => 8,
            Refusal::Later => 9,
            Refusal::Generation => 10,
        }
    }

    /// As the log names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Refusal::Garbage => "not a handshake",
            Refusal::Encrypted => "encrypted, which this process is not told to do",
            Refusal::Plain => "not encrypted",
            Refusal::Certificate => "no session of TLS",
            Refusal::Silence => "closed or silent in mid-handshake",
            Refusal::Crowd => "dropped for newer ones in mid-handshake",
            Refusal::Version => "another version of the handshake",
            Refusal::Secret => "another secret",
            Refusal::Cluster => "another cluster",
            Refusal::Program => "another program",
            Refusal::Processes => "another number of processes",
            Refusal::Workers => "another number of workers",
            Refusal::Number => "the wrong process",
            Refusal::Taken => "the process is here already",
            Refusal::Early => "heartbeats without messages",
            Refusal::Later => "the generation is not known yet",
            Refusal::Generation => "another generation",
        }
    }
}

/// A refusal with its reason in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) what: Refusal,
    pub(super) reason: String,
}

impl Refused {
    fn because(what: Refusal, reason: String) -> Result<(), Refused> {
        Err(Refused { what, reason })
    }
}

/// Whether a claim is one of a process of this cluster, meant for this process.
pub(super) fn belongs(claim: &Claim, members: &Members) -> Result<(), Refused> {
    let differs = |what: Refusal, thing: &str, theirs: &str, ours: &str| {
        let me = members.process;
        Refused::because(what, format!("process {me} has {thing} {ours}, the caller {theirs}"))
    };
    if claim.cluster != members.cluster {
        let [theirs, ours] = [&claim.cluster, &members.cluster].map(|name| format!("{name:?}"));
        return differs(Refusal::Cluster, "the cluster name", &theirs, &ours);
    }
    if claim.program != members.program {
        let [theirs, ours] = [&claim.program, &members.program].map(|name| format!("{name:?}"));
        return differs(Refusal::Program, "the program", &theirs, &ours);
    }
    let counts = [
        (Refusal::Processes, "the number of processes", claim.processes, members.hosts.len()),
        (Refusal::Workers, "the number of workers", claim.workers, members.workers),
    ];
    for (what, thing, theirs, ours) in counts {
        if usize::from(theirs) != ours {
            return differs(what, thing, &theirs.to_string(), &ours.to_string());
        }
    }
    let (from, to, me) = (usize::from(claim.from), usize::from(claim.to), members.process);
    if to != me {
        let reason = format!("this is process {me}, not {to}: the lists of hosts differ");
        return Refused::because(Refusal::Number, reason);
    }
    // The higher number dials the lower one, and messages and heartbeats go to process 0 only.
    let dials = from > me && from < members.hosts.len();
    if !dials || (claim.purpose != Purpose::Mesh && me != 0) {
        let reason = format!("process {from} has no reason to dial process {me}");
        return Refused::because(Refusal::Number, reason);
    }
    Ok(())
}

/// What sits in the place of a process on process 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sitting {
    /// Nobody.
    Nobody,
    /// Its connection for messages; `gone` if that is closed again.
    Half { instance: Nonce, beating: bool, gone: bool },
    /// Both connections; `gone` if it was lost again before all had joined.
    Whole { gone: bool },
}

/// Whether a connection for messages or heartbeats may sit down. One that is gone makes room for the next.
pub(super) fn may_sit(claim: &Claim, sitting: Sitting) -> Result<(), Refused> {
    let from = claim.from;
    let taken = || Refused::because(Refusal::Taken, format!("process {from} is here already"));
    let gone = match sitting {
        Sitting::Nobody => true,
        Sitting::Half { gone, .. } | Sitting::Whole { gone } => gone,
    };
    if claim.purpose == Purpose::Control {
        return if gone { Ok(()) } else { taken() };
    }
    match sitting {
        Sitting::Half { instance, beating: false, .. } if instance.0 == claim.nonce => Ok(()),
        Sitting::Half { instance, .. } if instance.0 == claim.nonce => taken(),
        Sitting::Whole { gone: false } => taken(),
        _ => {
            let reason = format!("process {from} has no connection for messages here");
            Refused::because(Refusal::Early, reason)
        }
    }
}

/// Whether a connection for timely may be taken, given the generation of this process and whether there is one already.
pub(super) fn may_mesh(
    claim: &Claim,
    ours: Option<(Generation, Nonce)>,
    taken: bool,
) -> Result<(), Refused> {
    let from = claim.from;
    match ours {
        None => Refused::because(Refusal::Later, "the generation is not known yet".into()),
        Some((generation, nonce)) if (generation.0, nonce.0) != (claim.generation, claim.nonce) => {
            let reason = format!(
                "this is generation {generation} ({nonce}), not {} ({})",
                claim.generation,
                Nonce(claim.nonce)
            );
            Refused::because(Refusal::Generation, reason)
        }
        Some(_) if taken => {
            Refused::because(Refusal::Taken, format!("process {from} is here already"))
        }
        Some(_) => Ok(()),
    }
}
