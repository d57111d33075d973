//! Appends to the log's partition and waits until all in-sync replicas have it. It reads nothing.

use super::Settings;
use crate::kafka::{Deliveries, Heard, failed};
use crate::ticks::counts::Position;
use crate::time::clock;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use std::time::Duration;

/// Where an append has landed, seen from the next offset that is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// Right there, without gaps: nothing stands between, nothing need be read.
    Next,
    /// Further on: what stands before this offset must be read.
    ReadTo(Position),
    /// Before it, which cannot be in one log.
    Behind,
}

/// Judges the offsets of one append, in its order; `next` is the offset after the last record known.
pub(super) fn placed(next: Position, offsets: &[Position]) -> Placed {
    let Some(last) = offsets.last() else { return Placed::Next };
    if offsets.iter().copied().eq(next..next + offsets.len() as u64) {
        Placed::Next
    } else if offsets.iter().all(|offset| *offset >= next) {
        Placed::ReadTo(last + 1)
    } else {
        Placed::Behind
    }
}

/// What became of the records of an append.
#[derive(Default)]
struct Delivered {
    /// Offsets by place in the append; `None` as long as it is not known.
    offsets: Vec<Option<Position>>,
    refused: Option<String>,
}

impl Heard for Delivered {
    fn hear(&mut self, place: usize, outcome: Result<i64, &KafkaError>) {
        match outcome.map(u64::try_from) {
            Ok(Ok(offset)) => self.offsets[place] = Some(offset),
            // So the client says "a repeat that was recognised": it is in the log, the place is not known.
            Ok(Err(_)) => self.refused = Some("acknowledged without an offset".into()),
            Err(error) => self.refused = Some(error.to_string()),
        }
    }
}

/// The producer. After a failed append it must not be used again.
pub(super) struct Appends {
    producer: ThreadedProducer<Deliveries<Delivered>>,
    topic: String,
    limit: Duration,
}

impl Appends {
    pub(super) fn new(settings: &Settings) -> crate::Result<Appends> {
        let timeout_ms = settings.timeout_ms.to_string();
        let size = (super::RECORD_BYTES_MAX + 4096).to_string();
        let config = settings.connection.client(
            &[
                ("client.id", "tidemark"),
                ("linger.ms", "0"),
                ("reconnect.backoff.max.ms", "1000"),
                ("message.timeout.ms", &timeout_ms),
            ],
            &[
                ("enable.idempotence", "true"),
                ("acks", "all"),
                ("message.max.bytes", &size),
                ("allow.auto.create.topics", "false"),
            ],
        )?;
        let producer = config
            .create_with_context(Deliveries::default())
            .map_err(|e| failed(settings.place(), &e))?;
        // The client gives each record up by itself in time; a little more, so that it is the one who says why.
        let limit = settings.timeout() + Duration::from_secs(5);
        Ok(Appends { producer, topic: settings.topic.clone(), limit })
    }

    /// Appends `payloads` in order: their offsets.
    ///
    /// # Errors
    /// Why it is not known that all of them are in the log.
    pub(super) fn append(&self, payloads: &[Vec<u8>]) -> Result<Vec<Position>, String> {
        let deliveries = self.producer.context();
        *deliveries.state() = Delivered { offsets: vec![None; payloads.len()], refused: None };
        for (place, payload) in payloads.iter().enumerate() {
            let record = BaseRecord::<(), _, _>::with_opaque_to(&self.topic, place)
                .partition(0)
                .payload(payload.as_slice());
            self.producer.send(record).map_err(|(e, _)| e.to_string())?;
        }
        let begun = clock::instant();
        let mut state = deliveries.state();
        loop {
            if let Some(why) = &state.refused {
                return Err(format!("{why}{}", deliveries.complaint()));
            }
            if let Some(offsets) = state.offsets.iter().copied().collect::<Option<Vec<_>>>() {
                return Ok(offsets);
            }
            let left = self.limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                let complaint = deliveries.complaint();
                return Err(format!("no answer within {} s{complaint}", self.limit.as_secs()));
            }
            state = deliveries.wait(state, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_append_has_landed() {
        for (next, offsets, expected) in [
            (5, &[][..], Placed::Next),
            (5, &[5], Placed::Next),
            (5, &[5, 6, 7], Placed::Next),
            (5, &[6], Placed::ReadTo(7)),
            (5, &[5, 7], Placed::ReadTo(8)),
            (5, &[4], Placed::Behind),
            (5, &[0, 1], Placed::Behind),
        ] {
            assert_eq!(placed(next, offsets), expected, "{offsets:?} after {next}");
        }
    }
}
