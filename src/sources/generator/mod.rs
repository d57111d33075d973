//! Generated records, which cost no set-up: the events of the Nexmark benchmark. Needs nothing outside the process.

pub mod nexmark;
mod reader;

use super::{Partition, Reader, Transport, Waker};
use crate::error::{Error, Result};
use crate::time::EventTime;
use std::time::Duration;

/// Nexmark events as JSON, one [`nexmark::Event`] a record.
///
/// Event number `n` of the whole stream lies in partition `n % partitions` at offset `n / partitions`. What it holds follows from its
/// number, the seed and the settings of event time, and from nothing else: an offset gives the same bytes for ever, without
/// generating what is before it, however fast it is read and whoever reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nexmark {
    partitions: u16,
    events: Option<u64>,
    rate: Option<u64>,
    seed: u64,
    begin: EventTime,
    event_time_rate: u64,
    stragglers_ppm: u32,
    straggler_delay: Duration,
}

impl Default for Nexmark {
    fn default() -> Self {
        Nexmark::new()
    }
}

impl Nexmark {
    /// When the first event is, in milliseconds of event time: 2026-01-01T00:00:00Z.
    const BEGIN_MS: i64 = 1_767_225_600_000;

    /// Endless events, flat out, in 4 partitions, with seed 0, in order of event time, 10,000 for a second of it.
    pub fn new() -> Nexmark {
        Nexmark {
            partitions: 4,
            events: None,
            rate: None,
            seed: 0,
            begin: EventTime::from_millis(Self::BEGIN_MS).expect("the year 2026 is in range"),
            event_time_rate: 10_000,
            stragglers_ppm: 0,
            straggler_delay: Duration::ZERO,
        }
    }

    /// The same in `count` partitions.
    ///
    /// # Errors
    /// `Config` if it is 0.
    pub fn partitions(mut self, count: u16) -> Result<Nexmark> {
        if count == 0 {
            return Err(Error::config("nexmark: partitions = 0: at least 1 is needed"));
        }
        self.partitions = count;
        Ok(self)
    }

    /// The same, ending after the first `count` events over all partitions.
    #[must_use]
    pub fn events(mut self, count: u64) -> Nexmark {
        self.events = Some(count);
        self
    }

    /// The same, with at most `per_second` events a second of the wall clock over all partitions. What a replay reads is not held up.
    /// After a delay events come faster until they have caught up.
    ///
    /// # Errors
    /// `Config` if it is 0.
    pub fn rate(mut self, per_second: u64) -> Result<Nexmark> {
        if per_second == 0 {
            return Err(Error::config("nexmark: rate = 0: at least 1 event a second is needed"));
        }
        self.rate = Some(per_second);
        Ok(self)
    }

    /// The same with other events. Seeds that are equal modulo 65,536 give the same.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Nexmark {
        self.seed = seed;
        self
    }

    /// The same with another distance of events in event time: `per_second` over all partitions. Not their speed; see [`Nexmark::rate`].
    ///
    /// # Errors
    /// `Config` if it is not between 1 and 1,000,000.
    pub fn event_time_rate(mut self, per_second: u64) -> Result<Nexmark> {
        if !(1..=1_000_000).contains(&per_second) {
            return Err(Error::config(format!(
                "nexmark: {per_second} events for a second of event time is not between 1 and 1000000"
            )));
        }
        self.event_time_rate = per_second;
        Ok(self)
    }

    /// The same, where of a million events about `per_million`, chosen by their number and the seed, have an event time `delay` too
    /// early for their place, so that they are late.
    #[must_use]
    pub fn stragglers(mut self, per_million: u32, delay: Duration) -> Nexmark {
        self.stragglers_ppm = per_million;
        self.straggler_delay = delay;
        self
    }

    /// The next offset behind the last event of `partition`.
    fn end(&self, partition: u16) -> u64 {
        let (count, partition) = (u64::from(self.partitions), u64::from(partition));
        self.events.map_or(u64::MAX, |events| events.saturating_sub(partition).div_ceil(count))
    }
}

impl Transport for Nexmark {
    fn describe(&self) -> String {
        "nexmark generator".to_owned()
    }

    fn discover(&self) -> Result<Vec<Partition>> {
        let names = (0..self.partitions).map(|partition| partition.to_string());
        Ok(names.map(|name| Partition { name, start: 0 }).collect())
    }

    fn open(&self, waker: Waker) -> Result<Box<dyn Reader>> {
        Ok(Box::new(reader::EventReader::open(self.clone(), waker)?))
    }
}
