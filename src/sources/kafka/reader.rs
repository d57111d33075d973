//! A worker's hold on its partitions: polls queues that librdkafka's threads fill. Never blocks, save to word the error that ends it.

use super::start::{gone, lost};
use super::transport::Shared;
use crate::hash::Map;
use crate::ids::{Inlet, Pos};
use crate::kafka::{Context, cached_watermarks, failed, kind_of, passes};
use crate::sources::{Budget, Polled, Raw, Reader, Waker};
use crate::{Error, Kind, Result};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedMessage, Timestamp};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;

/// How long the last words of a reader may take: the question for earliest and latest offset.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How many events of the client itself one poll serves.
const EVENTS: usize = 8;

pub(super) struct KafkaReader {
    shared: Arc<Shared>,
    // Before the consumer, which they point into.
    parts: Map<Inlet, Part>,
    consumer: Arc<BaseConsumer<Context>>,
    waker: Waker,
}

struct Part {
    partition: i32,
    queue: PartitionQueue<Context>,
    /// The next offset.
    next: u64,
    /// The end of a bounded partition.
    end: Option<u64>,
    /// The broker has said that nothing readable follows at present.
    at_end: bool,
    /// A record that was polled and did not fit.
    kept: Option<OwnedMessage>,
    /// Said again at each poll: after an error of a partition librdkafka may go on behind records that it left out.
    failed: Option<Error>,
}

impl KafkaReader {
    pub(super) fn new(shared: Arc<Shared>, waker: Waker) -> Result<KafkaReader> {
        let settings = &shared.settings;
        let group = settings.group.as_deref().unwrap_or("tidemark");
        let mut config = settings.connection.client(
            &[
                ("client.id", "tidemark"),
                // Per partition, since each has its own queue.
                ("queued.max.messages.kbytes", "4096"),
                // A full queue would otherwise rest for a second, the end of a partition be known half a second late.
                ("fetch.queue.backoff.ms", "5"),
                ("fetch.wait.max.ms", "100"),
                ("reconnect.backoff.max.ms", "1000"),
            ],
            &[
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("enable.partition.eof", "true"),
                ("auto.offset.reset", "error"),
                ("isolation.level", settings.isolation.option()),
            ],
        )?;
        config.set("group.id", group);
        let consumer = config
            .create_with_context(Context::default())
            .map_err(|error| failed(shared.describe(), &error))?;
        let consumer = Arc::new(consumer);
        Ok(KafkaReader { shared, parts: Map::default(), consumer, waker })
    }

    /// Serves the client's own events: log lines, and errors that no partition has. Only a fatal one is ours.
    fn serve(&self) -> Result<()> {
        for _ in 0..EVENTS {
            match self.consumer.poll(Duration::ZERO) {
                None => break,
                Some(Ok(record)) => {
                    return Err(Error::internal(format!(
                        "{} partition {}: offset {} came outside of its partition's queue",
                        self.shared.describe(),
                        record.partition(),
                        record.offset()
                    )));
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                    return Err(failed(self.shared.describe(), &error));
                }
                Some(Err(error)) => tracing::debug!("{}: {error}", self.shared.describe()),
            }
        }
        Ok(())
    }
}

impl Part {
    /// The offset below which records may be given, and what to say once everything below it was.
    fn bound(&self, limit: u64) -> (u64, Polled) {
        match self.end {
            Some(end) if end <= limit => (end, Polled::Finished),
            _ => (limit, Polled::Limit),
        }
    }

    /// What to say when the queue is empty. The end of a bounded partition may lie behind records that no reader sees
    /// (aborted ones, the marks of transactions): then it is reached when the broker says that nothing follows.
    fn empty(&self) -> Polled {
        match (self.at_end, self.end) {
            (false, _) => Polled::Waiting,
            (true, None) => Polled::CaughtUp,
            (true, Some(_)) => Polled::Finished,
        }
    }
}

impl KafkaReader {
    /// The error that ends a partition, with what the broker holds where that explains it.
    fn ended(shared: &Shared, partition: i32, next: u64, error: &KafkaError) -> Error {
        let code = error.rdkafka_error_code();
        if let Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) = code {
            return gone(
                &shared.settings.topic,
                partition,
                next,
                shared.held(partition, LAST_WORDS).ok(),
            );
        }
        let hint = match code.map(kind_of) {
            Some(Kind::SourceChanged) => ": the topic was deleted, made anew or cut",
            Some(Kind::Input) => {
                ": a batch of records can't be read; librdkafka here knows the compressions gzip, snappy and lz4"
            }
            _ => "",
        };
        let place = format!("{} partition {partition} at offset {next}", shared.describe());
        let error = failed(place, error);
        Error::new(error.kind(), format!("{}{hint}", error.message()))
    }
}

impl Reader for KafkaReader {
    fn assign(&mut self, inlet: Inlet, partition: &str, next: u64) -> Result<()> {
        let (shared, topic) = (&self.shared, &self.shared.settings.topic);
        let number: i32 = partition.parse().map_err(|_| {
            Error::corrupt(format!(
                "{}: partition {partition:?} is not a number",
                shared.describe()
            ))
        })?;
        let seen = shared.seen(number);
        if let Some(held) = seen.filter(|held| lost(next, *held)) {
            return Err(gone(topic, number, next, Some(held)));
        }
        // The queue is split off first, so that no record comes elsewhere.
        let mut queue = self.consumer.split_partition_queue(topic, number).ok_or_else(|| {
            Error::config(format!(
                "{} partition {number}: not a partition's name",
                shared.describe()
            ))
        })?;
        let waker = Arc::clone(&self.waker);
        queue.set_nonempty_callback(move || waker());
        let offset = i64::try_from(next).map_err(|_| gone(topic, number, next, seen))?;
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, number, Offset::Offset(offset))
            .and_then(|()| self.consumer.incremental_assign(&list))
            .map_err(|error| failed(format!("{} partition {number}", shared.describe()), &error))?;
        let end = shared.settings.bounded.then(|| seen.map(|held| held.high)).flatten();
        let part =
            Part { partition: number, queue, next, end, at_end: false, kept: None, failed: None };
        self.parts.insert(inlet, part);
        Ok(())
    }

    fn poll(
        &mut self,
        inlet: Inlet,
        limit: u64,
        budget: Budget,
        each: &mut dyn FnMut(Raw<'_>) -> Result<()>,
    ) -> Result<Polled> {
        self.serve()?;
        let shared = &self.shared;
        let part = self.parts.get_mut(&inlet).ok_or_else(|| {
            Error::internal(format!("{}: inlet {} was never assigned", shared.describe(), inlet.0))
        })?;
        if let Some(error) = &part.failed {
            return Err(error.clone());
        }
        let (bound, reached) = part.bound(limit);
        let mut room = Room { budget, records: 0, bytes: 0 };
        loop {
            if part.next >= bound {
                return Ok(reached);
            }
            if room.records >= budget.records {
                return Ok(Polled::More);
            }
            if let Some(kept) = part.kept.take() {
                match room.fits(&kept, bound) {
                    Fit::Give(record) => {
                        part.next = record.next;
                        each(record)?;
                        continue;
                    }
                    Fit::Keep(polled) => {
                        part.kept = Some(kept);
                        return Ok(polled.unwrap_or(reached));
                    }
                    Fit::Refuse => return Err(part.fail(too_far(shared, part.partition, &kept))),
                }
            }
            match part.queue.poll(Duration::ZERO) {
                None => return Ok(part.empty()),
                Some(Ok(message)) => {
                    part.at_end = false;
                    match room.fits(&message, bound) {
                        Fit::Give(record) => {
                            part.next = record.next;
                            each(record)?;
                        }
                        Fit::Keep(polled) => {
                            part.kept = Some(message.detach());
                            return Ok(polled.unwrap_or(reached));
                        }
                        Fit::Refuse => {
                            let error = too_far(shared, part.partition, &message);
                            drop(message);
                            return Err(part.fail(error));
                        }
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => part.at_end = true,
                Some(Err(error)) if error.rdkafka_error_code().is_some_and(passes) => {
                    tracing::debug!("{} partition {}: {error}", shared.describe(), part.partition);
                }
                Some(Err(error)) => {
                    let error = Self::ended(shared, part.partition, part.next, &error);
                    return Err(part.fail(error));
                }
            }
        }
    }

    fn lag(&self, inlet: Inlet) -> Option<u64> {
        let part = self.parts.get(&inlet)?;
        let topic = &self.shared.settings.topic;
        let (_, high) = cached_watermarks(self.consumer.client(), topic, part.partition)?;
        Some(if part.at_end { 0 } else { high.saturating_sub(part.next) })
    }
}

impl Part {
    fn fail(&mut self, error: Error) -> Error {
        self.failed = Some(error.clone());
        error
    }
}

/// What of a poll's budget is used up.
struct Room {
    budget: Budget,
    records: usize,
    bytes: usize,
}

/// What to do with a record.
enum Fit<'a> {
    Give(Raw<'a>),
    /// Keep it; say this, or that the bound is reached.
    Keep(Option<Polled>),
    /// Its offset does not fit a position.
    Refuse,
}

impl Room {
    fn fits<'a, M: Message>(&mut self, message: &'a M, bound: u64) -> Fit<'a> {
        let Some(record) = raw(message) else { return Fit::Refuse };
        if record.offset >= bound {
            return Fit::Keep(None);
        }
        let bytes = record.payload.map_or(0, <[u8]>::len);
        if self.records > 0 && self.bytes + bytes > self.budget.bytes {
            return Fit::Keep(Some(Polled::More));
        }
        self.records += 1;
        self.bytes += bytes;
        Fit::Give(record)
    }
}

fn too_far<M: Message>(shared: &Shared, partition: i32, message: &M) -> Error {
    Error::new(
        Kind::Input,
        format!(
            "{} partition {partition}: offset {} is beyond the greatest that a position holds, {}",
            shared.describe(),
            message.offset(),
            Pos::OFFSET_MAX - 1
        ),
    )
}

/// A record as the contract gives it; `None` if its offset does not fit a position.
fn raw<M: Message>(message: &M) -> Option<Raw<'_>> {
    let offset = u64::try_from(message.offset()).ok()?;
    let timestamp = match message.timestamp() {
        Timestamp::NotAvailable => None,
        Timestamp::CreateTime(millis) | Timestamp::LogAppendTime(millis) => {
            millis.checked_mul(1000)
        }
    };
    (offset < Pos::OFFSET_MAX).then(|| Raw {
        offset,
        next: offset + 1,
        key: message.key(),
        payload: message.payload(),
        timestamp,
    })
}
