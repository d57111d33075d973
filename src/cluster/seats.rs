//! Where proven connections sit until they are asked for. It decides by `refusal` and knows no thread.

use super::peer::Peer;
use super::refusal::{Refused, Sitting, may_mesh, may_sit};
use super::socket::Socket;
use super::wire::{Claim, Purpose};
use crate::ids::{Generation, Nonce};
use std::sync::Arc;

/// The places of all processes.
pub(super) struct Seats {
    /// By process: its connections for messages and heartbeats.
    pairs: Vec<Pair>,
    mesh: Option<Mesh>,
    /// By process: why it was last refused.
    refused: Vec<Option<String>>,
}

enum Pair {
    Nobody,
    Half { instance: Nonce, control: Arc<Socket>, beating: bool },
    Whole(Arc<Peer>),
}

struct Mesh {
    generation: Generation,
    nonce: Nonce,
    sockets: Vec<Place>,
}

enum Place {
    Awaited,
    /// Being welcomed, there, or taken away.
    Taken(Option<Socket>),
}

impl Seats {
    pub(super) fn new(processes: usize) -> Seats {
        Seats {
            pairs: (0..processes).map(|_| Pair::Nobody).collect(),
            mesh: None,
            refused: vec![None; processes],
        }
    }

    /// Keeps the place of a claim before it is welcomed, so that two can't be.
    pub(super) fn reserve(&mut self, claim: &Claim, stream: &Arc<Socket>) -> Result<(), Refused> {
        let from = usize::from(claim.from);
        match claim.purpose {
            Purpose::Mesh => {
                let ours = self.mesh.as_ref().map(|mesh| (mesh.generation, mesh.nonce));
                let taken = self.mesh.as_ref().map(|mesh| &mesh.sockets[from]);
                may_mesh(claim, ours, matches!(taken, Some(Place::Taken(_))))?;
                if let Some(mesh) = &mut self.mesh {
                    mesh.sockets[from] = Place::Taken(None);
                }
            }
            Purpose::Control => {
                may_sit(claim, self.pairs[from].sitting())?;
                self.pairs[from] = Pair::Half {
                    instance: Nonce(claim.nonce),
                    control: Arc::clone(stream),
                    beating: false,
                };
            }
            Purpose::Heartbeat => {
                may_sit(claim, self.pairs[from].sitting())?;
                if let Pair::Half { beating, .. } = &mut self.pairs[from] {
                    *beating = true;
                }
            }
        }
        self.refused[from] = None;
        Ok(())
    }

    /// Gives a reserved place up: the welcome could not be sent.
    pub(super) fn release(&mut self, claim: &Claim) {
        let from = usize::from(claim.from);
        if claim.purpose != Purpose::Mesh {
            // Another one may have taken the place since.
            if self.control(claim).is_some() {
                self.pairs[from] = Pair::Nobody;
            }
        } else if let Some(mesh) = &mut self.mesh {
            mesh.sockets[from] = Place::Awaited;
        }
    }

    /// The connection for messages of the process that makes this claim; `None` if it has left its place.
    pub(super) fn control(&self, claim: &Claim) -> Option<Arc<Socket>> {
        match &self.pairs[usize::from(claim.from)] {
            Pair::Half { instance, control, .. } if instance.0 == claim.nonce => {
                Some(Arc::clone(control))
            }
            _ => None,
        }
    }

    /// Both connections of a process are there.
    pub(super) fn sit(&mut self, process: usize, peer: Arc<Peer>) {
        self.pairs[process] = Pair::Whole(peer);
    }

    /// The welcomed socket of `process` for timely.
    pub(super) fn put_mesh(&mut self, process: usize, stream: Socket) {
        if let Some(mesh) = &mut self.mesh {
            mesh.sockets[process] = Place::Taken(Some(stream));
        }
    }

    /// From here on sockets of this generation are taken; `false` if a generation is known already.
    pub(super) fn begin_mesh(&mut self, generation: Generation, nonce: Nonce) -> bool {
        let sockets = (0..self.pairs.len()).map(|_| Place::Awaited).collect();
        let first = self.mesh.is_none();
        self.mesh.get_or_insert(Mesh { generation, nonce, sockets });
        first
    }

    /// Takes the socket of `process` for timely, if it is there.
    pub(super) fn take_mesh(&mut self, process: usize) -> Option<Socket> {
        match &mut self.mesh.as_mut()?.sockets[process] {
            Place::Taken(stream) => stream.take(),
            Place::Awaited => None,
        }
    }

    /// The peer at `process` if it is there and was not lost again.
    pub(super) fn peer(&self, process: usize) -> Option<&Arc<Peer>> {
        match &self.pairs[process] {
            Pair::Whole(peer) if peer.ended().is_none() => Some(peer),
            _ => None,
        }
    }

    /// A peer that was there and is lost, and why.
    pub(super) fn lost(&self) -> Option<(usize, String)> {
        let lost = |(process, pair): (usize, &Pair)| match pair {
            Pair::Whole(peer) => Some((process, peer.ended()?)),
            _ => None,
        };
        self.pairs.iter().enumerate().find_map(lost)
    }

    /// Remembers why a process was refused, for who waits for it.
    pub(super) fn refused(&mut self, process: usize, reason: &str) {
        if let Some(last) = self.refused.get_mut(process) {
            *last = Some(reason.to_owned());
        }
    }

    /// Why a process was last refused, if it was not let in since.
    pub(super) fn refusal(&self, process: usize) -> Option<&str> {
        self.refused[process].as_deref()
    }

    /// Ends all that sits.
    pub(super) fn clear(&mut self) {
        for pair in &mut self.pairs {
            if let Pair::Whole(peer) = pair {
                peer.leave();
            }
            *pair = Pair::Nobody;
        }
    }
}

impl Pair {
    fn sitting(&self) -> Sitting {
        match self {
            Pair::Nobody => Sitting::Nobody,
            Pair::Half { instance, control, beating } => {
                Sitting::Half { instance: *instance, beating: *beating, gone: control.is_closed() }
            }
            Pair::Whole(peer) => Sitting::Whole { gone: peer.is_gone() },
        }
    }
}
