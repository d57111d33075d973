//! A connection between every two processes of a generation, for timely, which then has them for itself.

use super::dial::{dial, keep_trying};
use super::lock;
use super::port::{Inner, Port};
use super::seats::Seats;
use super::socket::Socket;
use super::wire::Purpose;
use crate::error::{Error, Kind, Result};
use crate::ids::{Generation, Nonce};
use crate::time::clock;
use std::sync::PoisonError;
use std::time::Duration;

/// How often one that waits looks whether a process was lost meanwhile.
const LOOK: Duration = Duration::from_millis(50);

impl Port {
    /// The sockets of this generation: by process, `None` for this one, blocking and without delay, as
    /// `timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets` takes them. The higher
    /// number dials the lower one. Call it once, after [`Port::join`].
    ///
    /// # Errors
    /// `Retry` as soon as a process is lost that this one has joined, or after [`super::Limits::join_time_max`]; `Config` if
    /// until then one refuses; `Internal` if it was called before.
    pub(crate) fn mesh(&self, generation: Generation, nonce: Nonce) -> Result<Vec<Option<Socket>>> {
        let inner = &self.inner;
        if !lock(&inner.seats).begin_mesh(generation, nonce) {
            return Err(Error::internal("the mesh of this process was made before"));
        }
        let members = &inner.members;
        let (me, time_max) = (members.process, members.limits.join_time_max);
        let until = clock::instant() + time_max;
        let dialled = (0..me).map(|process| {
            let what = format!("meshing with {}", members.called(process));
            let left = until.saturating_duration_since(clock::instant());
            let lost = || none_lost(&lock(&inner.seats));
            let step = || dial(inner, process, Purpose::Mesh, (generation, nonce));
            keep_trying(&what, left, lost, step).map(Some)
        });
        let mut sockets = dialled.collect::<Result<Vec<_>>>()?;
        sockets.push(None);
        for process in me + 1..members.hosts.len() {
            let left = until.saturating_duration_since(clock::instant());
            sockets.push(Some(inner.await_mesh(process, left)?));
        }
        Ok(sockets)
    }
}

impl Inner {
    /// Waits for the socket of a higher process.
    fn await_mesh(&self, process: usize, time_max: Duration) -> Result<Socket> {
        let until = clock::instant() + time_max;
        let mut seats = lock(&self.seats);
        loop {
            if let Some(stream) = seats.take_mesh(process) {
                return Ok(stream);
            }
            none_lost(&seats)?;
            let left = until.saturating_duration_since(clock::instant());
            if left.is_zero() {
                let called = self.members.called(process);
                return Err(match seats.refusal(process) {
                    Some(refusal) => Error::config(format!("{called} was refused ({refusal})")),
                    None => Error::new(Kind::Retry, format!("{called} did not mesh in time")),
                });
            }
            let waited = self.changed.wait_timeout(seats, left.min(LOOK));
            seats = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn none_lost(seats: &Seats) -> Result<()> {
    match seats.lost() {
        None => Ok(()),
        Some((process, why)) => {
            Err(Error::new(Kind::Retry, format!("process {process} of the cluster is lost: {why}")))
        }
    }
}
