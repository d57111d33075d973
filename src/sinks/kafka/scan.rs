//! Reads a lane's progress partition up to one's own mark, with a consumer of its own. Blocks, within a time limit.

use super::progress::{Entry, Mark, parse};
use super::settings::Settings;
use super::settle::{Settled, settle, windows};
use crate::kafka::{self, Context, failed};
use crate::time::clock;
use crate::{Error, Kind, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use std::time::{Duration, Instant};

/// A reader of progress topics, and of what the broker says about topics.
pub(super) struct Scanner {
    pub(super) consumer: BaseConsumer<Context>,
    limit: Duration,
}

impl Scanner {
    pub(super) fn new(settings: &Settings, place: &str) -> Result<Scanner> {
        let committed = [("isolation.level", "read_committed")];
        let consumer = kafka::consumer(&settings.connection, place, &committed)?;
        Ok(Scanner { consumer, limit: settings.timeout() })
    }

    /// What the partition of `mark`'s lane says up to `mark`, which was committed at offset `at`.
    ///
    /// # Errors
    /// `Retry` if it can't be read in time, `Corrupt` if a record is not one of ours.
    pub(super) fn settled(&self, topic: &str, mark: &Mark, at: u64) -> Result<Settled> {
        let until = clock::instant() + self.limit;
        let partition = i32::from(mark.lane.0);
        let place = format!("progress topic {topic} partition {partition}");
        let (low, _) = self
            .consumer
            .fetch_watermarks(topic, partition, self.limit)
            .map_err(|error| self.retry(&place, &error))?;
        let mut settled = Settled::Unmarked;
        for from in windows(u64::try_from(low).unwrap_or(0), at) {
            let entries = self.read(topic, partition, from, at, until, &place)?;
            settled = settle(&entries, mark);
            if settled != Settled::Own(None) {
                break;
            }
        }
        Ok(settled)
    }

    /// The records in `from..=at`. Nothing readable may lie at `at` yet: it is waited for, whatever end the broker tells.
    fn read(
        &self,
        topic: &str,
        partition: i32,
        from: u64,
        at: u64,
        until: Instant,
        place: &str,
    ) -> Result<Vec<Entry>> {
        kafka::read_from(&self.consumer, topic, partition, from)
            .map_err(|error| self.retry(place, &error))?;
        let mut entries = Vec::new();
        loop {
            let left = until.saturating_duration_since(clock::instant());
            if left.is_zero() {
                let complaint = self.consumer.context().complaint();
                return Err(Error::new(
                    Kind::Retry,
                    format!(
                        "{place}: one's own mark at offset {at} could not be read in time{complaint}"
                    ),
                ));
            }
            let message = kafka::next(&self.consumer, left.min(Duration::from_millis(500)))
                .map_err(|error| self.retry(place, &error))?;
            let Some(message) = message else { continue };
            let offset = u64::try_from(message.offset()).unwrap_or(0);
            if let Some(payload) = message.payload().filter(|_| offset <= at) {
                let entry = parse(payload).map_err(|reason| {
                    Error::corrupt(format!(
                        "{place} offset {offset}: not a progress record: {reason}"
                    ))
                })?;
                entries.push(entry);
            }
            if offset >= at {
                return Ok(entries);
            }
        }
    }

    fn retry(&self, place: &str, error: &KafkaError) -> Error {
        let error = failed(place, error);
        // The partition is ours and its mark is committed: what is missing now is there when it is asked for again.
        let kind = if error.kind() == Kind::SourceChanged { Kind::Retry } else { error.kind() };
        Error::new(kind, format!("{}{}", error.message(), self.consumer.context().complaint()))
    }
}
