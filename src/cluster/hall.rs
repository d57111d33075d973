//! Where connections are in mid-handshake. None has a thread: who says nothing or garbage costs a place here for a while, and
//! those who have greeted, as every process does at once, are not driven out by those who have not.

use super::refusal::Refusal;
use crate::time::clock;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A connection in mid-handshake.
pub(super) trait Guest {
    /// What it has once it is through.
    type Proof;

    /// Hears what has come, and never waits: how it ends, if that is known now.
    fn go_on(&mut self) -> Option<Result<Self::Proof, Refusal>>;

    /// Whether it has begun as it should.
    fn has_greeted(&self) -> bool;
}

/// Connections in a handshake.
pub(super) struct Hall<G> {
    silent: VecDeque<Waiting<G>>,
    greeted: VecDeque<Waiting<G>>,
    /// Of each kind.
    max: usize,
    time_max: Duration,
}

struct Waiting<G> {
    guest: G,
    from: SocketAddr,
    until: Instant,
}

/// A connection that leaves the hall, and with what.
pub(super) struct Leaves<G: Guest> {
    pub(super) guest: G,
    pub(super) from: SocketAddr,
    pub(super) outcome: Result<G::Proof, Refusal>,
}

impl<G: Guest> Hall<G> {
    /// For `max` silent and as many greeted ones at a time, each of which has `time_max` for the whole handshake.
    pub(super) fn new(max: usize, time_max: Duration) -> Hall<G> {
        Hall { silent: VecDeque::new(), greeted: VecDeque::new(), max, time_max }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.silent.is_empty() && self.greeted.is_empty()
    }

    /// Lets one in and hears what it has said already. Where too many are, the oldest leaves. Never waits.
    pub(super) fn enter(&mut self, guest: G, from: SocketAddr) -> Vec<Leaves<G>> {
        let until = clock::instant() + self.time_max;
        let mut leaves = Vec::new();
        leaves.extend(self.hear(Waiting { guest, from, until }, None));
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
    pub(super) fn look(&mut self) -> Vec<Leaves<G>> {
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
    fn hear(&mut self, mut one: Waiting<G>, must_go: Option<Refusal>) -> Option<Leaves<G>> {
        let outcome = one.guest.go_on().or(must_go.map(Err));
        let Some(outcome) = outcome else {
            let line = if one.guest.has_greeted() { &mut self.greeted } else { &mut self.silent };
            line.push_back(one);
            return None;
        };
        Some(Leaves { guest: one.guest, from: one.from, outcome })
    }
}

#[cfg(test)]
mod tests;
