//! A worker's hold on generated partitions.

use super::Nexmark;
use super::nexmark::{Event, Events};
use crate::error::{Error, Result};
use crate::formats::encode_json_into;
use crate::hash::Map;
use crate::ids::{Inlet, Pos};
use crate::sources::ticker::Ticker;
use crate::sources::{Budget, Polled, Raw, Reader, Waker};
use crate::time::clock;
use std::time::{Duration, Instant};

pub(super) struct EventReader {
    settings: Nexmark,
    partitions: Map<Inlet, Generated>,
    _ticker: Option<Ticker>,
}

struct Generated {
    events: Events,
    /// The offset of the next record.
    next: u64,
    /// The next record, if it was generated already and did not fit a budget.
    ready: Option<Vec<u8>>,
    end: u64,
    /// Since when the rate counts, and the offset at that moment.
    paced: Option<(Instant, u64)>,
}

impl EventReader {
    pub(super) fn open(settings: Nexmark, waker: Waker) -> Result<EventReader> {
        let ticker = settings.rate.map(|rate| {
            let one_event = Duration::from_secs_f64(f64::from(settings.partitions) / rate as f64);
            let every = one_event.clamp(Duration::from_millis(1), Duration::from_secs(1));
            Ticker::start("generator-pace", every, move || waker())
        });
        let _ticker = ticker.transpose()?;
        Ok(EventReader { settings, partitions: Map::default(), _ticker })
    }
}

impl Reader for EventReader {
    fn assign(&mut self, inlet: Inlet, partition: &str, next: u64) -> Result<()> {
        let number: u16 = match partition.parse() {
            Ok(number) if number < self.settings.partitions => number,
            _ => {
                return Err(Error::config(format!(
                    "nexmark generator: partition {partition} is not one of {}: the job began with another number of \
                     partitions; set it back, or start with a new state",
                    self.settings.partitions
                )));
            }
        };
        let end = self.settings.end(number).min(Pos::OFFSET_MAX);
        let events = Events::new(&self.settings, number, next);
        self.partitions.insert(inlet, Generated { events, next, ready: None, end, paced: None });
        Ok(())
    }

    fn poll(
        &mut self,
        inlet: Inlet,
        limit: u64,
        budget: Budget,
        each: &mut dyn FnMut(Raw<'_>) -> Result<()>,
    ) -> Result<Polled> {
        let generated = self.partitions.get_mut(&inlet).ok_or_else(|| {
            Error::internal(format!("inlet {} was polled before it was assigned", inlet.0))
        })?;
        let stop = Stop::of(generated, &self.settings, limit);
        let (mut records, mut bytes, mut spare) = (0, 0, Vec::new());
        while generated.next < stop.at {
            if records == budget.records.max(1) {
                return Ok(Polled::More);
            }
            let payload = match generated.ready.take() {
                Some(payload) => payload,
                None => generated.generate(std::mem::take(&mut spare))?,
            };
            if records > 0 && bytes + payload.len() > budget.bytes {
                generated.ready = Some(payload);
                return Ok(Polled::More);
            }
            records += 1;
            bytes += payload.len();
            let offset = generated.next;
            generated.next += 1;
            let payload_ref = Some(&payload[..]);
            each(Raw {
                offset,
                next: offset + 1,
                key: None,
                payload: payload_ref,
                timestamp: None,
            })?;
            spare = payload;
        }
        Ok(stop.why)
    }

    fn lag(&self, inlet: Inlet) -> Option<u64> {
        let generated = self.partitions.get(&inlet)?;
        let reach = generated.due(&self.settings)?.min(generated.end);
        (reach < Pos::OFFSET_MAX).then(|| reach.saturating_sub(generated.next))
    }
}

/// Where a poll stops, and what that means.
struct Stop {
    at: u64,
    why: Polled,
}

impl Stop {
    fn of(generated: &mut Generated, settings: &Nexmark, limit: u64) -> Stop {
        let end = Stop { at: generated.end, why: Polled::Finished };
        let limit = Stop { at: limit, why: Polled::Limit };
        if limit.at <= end.at && limit.at < Pos::OFFSET_MAX {
            return limit;
        }
        if settings.rate.is_some() {
            generated.paced.get_or_insert_with(|| (clock::instant(), generated.next));
        }
        match generated.due(settings) {
            Some(due) if due < end.at => Stop { at: due, why: Polled::CaughtUp },
            _ => end,
        }
    }
}

impl Generated {
    /// The payload of the next event, written into `payload`.
    fn generate(&mut self, mut payload: Vec<u8>) -> Result<Vec<u8>> {
        let event: Option<Event> = self.events.next();
        let event = event.ok_or_else(|| Error::internal("the nexmark generator has ended"))?;
        payload.clear();
        encode_json_into(&event, &mut payload)?;
        Ok(payload)
    }

    /// The next offset behind what the rate allows by now; `None` while a replay is not held up.
    fn due(&self, settings: &Nexmark) -> Option<u64> {
        let Some(rate) = settings.rate else {
            return Some(u64::MAX);
        };
        let (since, from) = self.paced?;
        Some(from.saturating_add(allowed(
            clock::instant().duration_since(since),
            rate,
            settings.partitions,
        )))
    }
}

/// How many events of one of `partitions` partitions `rate` a second over all allows in a time.
fn allowed(elapsed: Duration, rate: u64, partitions: u16) -> u64 {
    let events = elapsed.as_nanos().saturating_mul(u128::from(rate))
        / (1_000_000_000 * u128::from(partitions));
    u64::try_from(events).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
