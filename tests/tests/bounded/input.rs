//! Input without an end that is handed out as far as it is allowed: update `n` follows from `n`, so that nothing of it is kept.

use crate::flow::{Update, WINDOW};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tidemark::ids::Inlet;
use tidemark::sources::{Budget, Partition, Polled, Raw, Reader, Transport, Waker};
use tidemark::{EventTime, Result};

/// Update `n` lies in partition `n % PARTITIONS` at offset `n / PARTITIONS`.
pub(crate) const PARTITIONS: u64 = 2;
/// 2026-01-01T00:00:00Z, where a window begins.
const BEGIN_MICROS: i64 = 1_767_225_600_000_000;
const SEED: u64 = 7;

/// Updates of `keys` keys. Clones are the same input.
#[derive(Clone)]
pub(crate) struct Input(Arc<Inner>);

struct Inner {
    keys: u64,
    /// Event time between two updates.
    step_micros: i64,
    allowed: AtomicU64,
    wakers: Mutex<Vec<Waker>>,
}

impl Input {
    /// Updates over `keys` keys, of which `a_window` fall into one window; none is allowed yet.
    pub(crate) fn new(keys: u64, a_window: u64) -> Input {
        let step_micros = i64::try_from(WINDOW.as_micros() / u128::from(a_window)).unwrap();
        let allowed = AtomicU64::new(0);
        Input(Arc::new(Inner { keys, step_micros, allowed, wakers: Mutex::default() }))
    }

    /// Lets the job read the first `updates`, a multiple of the partitions.
    pub(crate) fn allow(&self, updates: u64) {
        self.0.allowed.store(updates, Ordering::Release);
        for waker in self.0.wakers.lock().unwrap().iter() {
            waker();
        }
    }

    /// Updates allowed so far.
    pub(crate) fn allowed(&self) -> u64 {
        self.0.allowed.load(Ordering::Acquire)
    }

    fn update(&self, number: u64) -> Update {
        let drawn = mix(SEED ^ mix(number));
        let micros = BEGIN_MICROS + i64::try_from(number).unwrap() * self.0.step_micros;
        let at = EventTime::from_micros(micros).unwrap();
        Update { key: drawn % self.0.keys, value: mix(drawn) >> 32, at }
    }
}

/// The finaliser of splitmix64.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl Transport for Input {
    fn describe(&self) -> String {
        "updates of a test".to_owned()
    }

    fn discover(&self) -> Result<Vec<Partition>> {
        Ok((0..PARTITIONS).map(|p| Partition { name: p.to_string(), start: 0 }).collect())
    }

    fn open(&self, waker: Waker) -> Result<Box<dyn Reader>> {
        self.0.wakers.lock().unwrap().push(waker);
        Ok(Box::new(Reading { input: self.clone(), places: BTreeMap::new(), json: Vec::new() }))
    }
}

struct Reading {
    input: Input,
    /// Partition and next offset.
    places: BTreeMap<Inlet, (u64, u64)>,
    json: Vec<u8>,
}

impl Reader for Reading {
    fn assign(&mut self, inlet: Inlet, partition: &str, next: u64) -> Result<()> {
        self.places.insert(inlet, (partition.parse().unwrap(), next));
        Ok(())
    }

    fn poll(
        &mut self,
        inlet: Inlet,
        limit: u64,
        budget: Budget,
        each: &mut dyn FnMut(Raw<'_>) -> Result<()>,
    ) -> Result<Polled> {
        let (partition, next) = self.places.get_mut(&inlet).unwrap();
        let end = self.input.allowed() / PARTITIONS;
        for _ in 0..budget.records {
            if *next >= limit {
                return Ok(Polled::Limit);
            }
            if *next >= end {
                return Ok(Polled::CaughtUp);
            }
            self.json.clear();
            let update = self.input.update(*next * PARTITIONS + *partition);
            serde_json::to_writer(&mut self.json, &update).unwrap();
            let (offset, payload) = (*next, Some(&self.json[..]));
            *next += 1;
            each(Raw { offset, next: offset + 1, key: None, payload, timestamp: None })?;
        }
        Ok(Polled::More)
    }

    fn lag(&self, inlet: Inlet) -> Option<u64> {
        let (_, next) = self.places.get(&inlet)?;
        Some((self.input.allowed() / PARTITIONS).saturating_sub(*next))
    }
}
