//! Where connections are in mid-handshake. None has a thread: who says nothing or garbage costs a place here for a while, and
//! those who have greeted, as every process does at once, are not driven out by those who have not.

use super::handshake::{Hearing, Proven};
use super::refusal::Refusal;
use super::secret::Secret;
use crate::time::clock;
use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Connections in a handshake.
pub(super) struct Hall {
    silent: VecDeque<Waiting>,
    greeted: VecDeque<Waiting>,
    secret: Secret,
    /// Of each kind.
    max: usize,
    time_max: Duration,
}

struct Waiting {
    hearing: Hearing,
    from: SocketAddr,
    until: Instant,
}

/// A connection that leaves the hall, and with what.
pub(super) struct Leaves {
    pub(super) stream: TcpStream,
    pub(super) from: SocketAddr,
    pub(super) outcome: Result<Proven, Refusal>,
}

impl Hall {
    /// For `max` silent and as many greeted ones at a time, each of which has `time_max` for the whole handshake.
    pub(super) fn new(secret: Secret, max: usize, time_max: Duration) -> Hall {
        Hall { silent: VecDeque::new(), greeted: VecDeque::new(), secret, max, time_max }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.silent.is_empty() && self.greeted.is_empty()
    }

    /// Lets one in and hears what it has said already. Where too many are, the oldest leaves. Never waits.
    pub(super) fn enter(&mut self, stream: TcpStream, from: SocketAddr) -> Vec<Leaves> {
        let until = clock::instant() + self.time_max;
        let mut leaves = Vec::new();
        match Hearing::new(stream) {
            Ok(hearing) => leaves.extend(self.hear(Waiting { hearing, from, until }, None)),
            Err(error) => tracing::debug!(%error, %from, "a connection broke at once"),
        }
        let mut oldest = Vec::new();
        for line in [&mut self.silent, &mut self.greeted] {
            if line.len() > self.max {
                oldest.extend(line.pop_front());
            }
        }
        // It may have said meanwhile what was waited for.
        leaves.extend(oldest.into_iter().filter_map(|one| self.hear(one, Some(Refusal::Crowd))));
        leaves
    }

    /// Hears what has come: those leave that have made their claim, are wrong, or have had their time. Never waits.
    pub(super) fn look(&mut self) -> Vec<Leaves> {
        let now = clock::instant();
        let greeted = std::mem::take(&mut self.greeted);
        let silent = std::mem::take(&mut self.silent);
        let all = greeted.into_iter().chain(silent);
        all.filter_map(|one| {
            let late = (now >= one.until).then_some(Refusal::Silence);
            self.hear(one, late)
        })
        .collect()
    }

    /// Hears one, which then leaves or stays; if it would stay but must go for a reason, it leaves for that.
    fn hear(&mut self, mut one: Waiting, must_go: Option<Refusal>) -> Option<Leaves> {
        let outcome = one.hearing.go_on(&self.secret).or(must_go.map(Err));
        let Some(outcome) = outcome else {
            let line = if one.hearing.has_greeted() { &mut self.greeted } else { &mut self.silent };
            line.push_back(one);
            return None;
        };
        Some(Leaves { stream: one.hearing.into_stream(), from: one.from, outcome })
    }
}

#[cfg(test)]
mod tests;
