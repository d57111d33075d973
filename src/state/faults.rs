//! Faults of a store, drawn from a seed. It decides what fails; it does no I/O.

use std::sync::Mutex;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Reading an object or a part of it.
    Get,
    /// Listing.
    List,
    /// Making or replacing an object.
    Put,
    /// Deleting.
    Delete,
}

impl Op {
    /// Whether the call changes the store.
    pub fn changes(self) -> bool {
        matches!(self, Op::Put | Op::Delete)
    }
}

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It works.
    None,
    /// It fails and nothing was done.
    Before,
    /// It is done and the answer is lost.
    After,
}

/// Which calls fail. The same seed and the same calls give the same faults.
#[derive(Debug)]
pub struct Faults(Mutex<State>);

#[derive(Debug)]
struct State {
    random: u64,
    percent: u64,
    /// Changes that still work before the process "dies": later calls all fail with nothing done.
    changes_left: Option<u64>,
    calls: u64,
}

impl Faults {
    /// About `percent` of all calls fail, half of them after they were done.
    pub fn seeded(seed: u64, percent: u64) -> Faults {
        Faults(Mutex::new(State { random: seed, percent, changes_left: None, calls: 0 }))
    }

    /// The first `changes` calls that change the store work; then nothing does, as after a crash.
    pub fn crash_after(changes: u64) -> Faults {
        Faults(Mutex::new(State { random: 0, percent: 0, changes_left: Some(changes), calls: 0 }))
    }

    /// From now on `changes` calls that change the store work; then nothing does.
    pub fn crash_in(&self, changes: u64) {
        self.0.lock().expect("no panic while it is held").changes_left = Some(changes);
    }

    /// Lets everything work again.
    pub fn heal(&self) {
        let mut state = self.0.lock().expect("no panic while it is held");
        state.percent = 0;
        state.changes_left = None;
    }

    /// How many calls were seen.
    pub fn calls(&self) -> u64 {
        self.0.lock().expect("no panic while it is held").calls
    }

    /// What happens to the next call.
    pub fn next(&self, op: Op, _name: &str) -> Fault {
        let mut state = self.0.lock().expect("no panic while it is held");
        state.calls += 1;
        match state.changes_left {
            Some(0) => return Fault::Before,
            Some(left) if op.changes() => state.changes_left = Some(left - 1),
            _ => {}
        }
        // SplitMix64: every seed, also 0, gives a good sequence.
        state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = state.random;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        match (x % 100 < state.percent, x >> 63) {
            (false, _) => Fault::None,
            (true, 0) => Fault::Before,
            (true, _) => Fault::After,
        }
    }
}
