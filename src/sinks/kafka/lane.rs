//! A lane's producer: taken over, then used as long as each commit is answered positively (PROTOCOL 9). All calls block, each within
//! a time limit.

use super::progress::{Mark, PROGRESS_KEY, TICK_HEADER, mark_bytes, progress_bytes};
use super::settings::Settings;
use crate::ids::{Lane, Tick};
use crate::kafka::{Deliveries, Heard, failed};
use crate::sinks::{Progress, Row};
use crate::time::clock;
use crate::{Error, Kind, Result};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, PurgeConfig, ThreadedProducer};
use std::time::{Duration, Instant};

/// What was being done when something failed; it decides what the failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The lane is taken over; nothing was sent.
    Init,
    /// Rows are sent; no commit was asked for.
    Send,
    /// The commit was asked for.
    Commit,
}

impl Step {
    /// What a failure with `code` is to the caller. Once the commit was asked for, no failure says that it did not happen: a repeat
    /// of a lost answer can be refused although the first request was carried out.
    fn kind(self, code: Option<Code>) -> Kind {
        match (self, code) {
            (Step::Commit, _) => Kind::Undecided,
            (Step::Send, Some(Code::MessageSizeTooLarge | Code::InvalidRecord)) => Kind::Input,
            (
                _,
                Some(
                    Code::TransactionalIdAuthorizationFailed
                    | Code::ClusterAuthorizationFailed
                    | Code::TopicAuthorizationFailed
                    | Code::InvalidTransactionTimeout
                    | Code::UnsupportedFeature
                    | Code::SaslAuthenticationFailed
                    | Code::UnknownTopic
                    | Code::UnknownPartition,
                ),
            ) => Kind::Config,
            _ => Kind::Retry,
        }
    }

    fn doing(self) -> &'static str {
        match self {
            Step::Init => "taking the lane over",
            Step::Send => "sending rows (they are not committed)",
            Step::Commit => "committing (it may have happened)",
        }
    }
}

/// What became of the records of a lane.
#[derive(Default)]
struct Delivered {
    /// Records of which the fate is known.
    records: u64,
    /// The first that was refused.
    refused: Option<KafkaError>,
    /// The offset of the last record of the progress topic.
    progress: Option<u64>,
}

/// What a record is, handed through librdkafka.
const ROW: usize = 0;
const PROGRESS: usize = 1;

impl Heard for Delivered {
    fn hear(&mut self, what: usize, outcome: std::result::Result<i64, &KafkaError>) {
        self.records += 1;
        match outcome {
            Ok(offset) if what == PROGRESS => self.progress = u64::try_from(offset).ok(),
            Ok(_) => {}
            Err(error) => {
                self.refused.get_or_insert_with(|| error.clone());
            }
        }
    }
}

/// The producer of one lane.
pub(super) struct LaneProducer {
    place: String,
    producer: ThreadedProducer<Deliveries<Delivered>>,
    lane: Lane,
    topic: String,
    progress_topic: String,
    limit: Duration,
    /// Records handed to librdkafka.
    sent: u64,
}

impl LaneProducer {
    /// Takes the lane over: whoever had the transactional id `id` can commit nothing from now on, and what it left open is decided.
    ///
    /// # Errors
    /// `Retry` if the broker does not answer in time, `Config` if it refuses.
    pub(super) fn init(
        settings: &Settings,
        place: String,
        id: &str,
        progress_topic: &str,
        lane: Lane,
    ) -> Result<LaneProducer> {
        let timeout_ms = settings.transaction_timeout_ms.to_string();
        let config = settings.connection.client(
            &[
                ("client.id", "tidemark"),
                // A commit waits for all rows anyhow; what is sent while others are on their way goes together.
                ("linger.ms", "0"),
                ("queue.buffering.max.kbytes", "65536"),
                ("reconnect.backoff.max.ms", "1000"),
            ],
            &[
                ("transactional.id", id),
                ("transaction.timeout.ms", &timeout_ms),
                ("enable.idempotence", "true"),
                ("acks", "all"),
            ],
        )?;
        let producer: ThreadedProducer<Deliveries<Delivered>> = config
            .create_with_context(Deliveries::default())
            .map_err(|error| failed(&place, &error))?;
        let lane = LaneProducer {
            place,
            producer,
            lane,
            topic: settings.topic.clone(),
            progress_topic: progress_topic.to_owned(),
            limit: settings.timeout(),
            sent: 0,
        };
        lane.producer
            .init_transactions(lane.limit)
            .map_err(|error| lane.failed(Step::Init, &error))?;
        Ok(lane)
    }

    /// Commits `mark` and gives its offset.
    ///
    /// # Errors
    /// `Retry`, also when the commit is undecided: a mark that nobody waits for harms nobody. `Config` as for [`LaneProducer::init`].
    pub(super) fn commit_mark(&mut self, mark: &Mark) -> Result<u64> {
        let until = self.deadline();
        self.begin()?;
        self.send_progress_record(&mark.key(), &mark_bytes(mark), until)?;
        self.flush(until)?;
        let committed = self.commit().map_err(|error| match error.kind() {
            Kind::Undecided => Error::new(Kind::Retry, error.message()),
            _ => error,
        });
        committed?;
        self.producer.context().state().progress.ok_or_else(|| {
            Error::internal(format!("{}: the mark was committed without an offset", self.place))
        })
    }

    pub(super) fn begin(&self) -> Result<()> {
        self.producer.begin_transaction().map_err(|error| self.failed(Step::Send, &error))
    }

    /// The time at which a step that begins now must be done.
    pub(super) fn deadline(&self) -> Instant {
        clock::instant() + self.limit
    }

    /// Hands over a row of `tick` for `partition`; waits while the buffer is full.
    pub(super) fn send_row(
        &mut self,
        row: &Row,
        tick: Tick,
        partition: i32,
        until: Instant,
    ) -> Result<()> {
        let tick_text = tick.to_string();
        let header = Header { key: TICK_HEADER, value: Some(&tick_text) };
        let record = BaseRecord::<[u8], [u8], usize> {
            topic: &self.topic,
            partition: Some(partition),
            payload: row.value.as_deref(),
            key: row.key.as_deref(),
            timestamp: None,
            headers: Some(OwnedHeaders::new_with_capacity(1).insert(header)),
            delivery_opaque: ROW,
        };
        self.hand_over(record, until).map_err(|(error, size)| {
            self.refused(&error, size, format_args!("a row of tick {tick}"))
        })?;
        self.sent += 1;
        Ok(())
    }

    /// Hands over the progress record that belongs to the rows before it.
    pub(super) fn send_progress(&mut self, progress: &Progress, until: Instant) -> Result<()> {
        self.send_progress_record(PROGRESS_KEY, &progress_bytes(progress), until)
    }

    fn send_progress_record(&mut self, key: &str, value: &[u8], until: Instant) -> Result<()> {
        let record = BaseRecord::<[u8], [u8], usize> {
            topic: &self.progress_topic,
            partition: Some(i32::from(self.lane.0)),
            payload: Some(value),
            key: Some(key.as_bytes()),
            timestamp: None,
            headers: None,
            delivery_opaque: PROGRESS,
        };
        self.hand_over(record, until)
            .map_err(|(error, size)| self.refused(&error, size, format_args!("progress")))?;
        self.sent += 1;
        Ok(())
    }

    fn hand_over(
        &self,
        mut record: BaseRecord<'_, [u8], [u8], usize>,
        until: Instant,
    ) -> Result<(), (KafkaError, usize)> {
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), back))
                    if clock::instant() < until =>
                {
                    record = back;
                    let deliveries = self.producer.context();
                    let state = deliveries.state();
                    // Any delivery makes room.
                    drop(deliveries.wait(state, Duration::from_millis(10)));
                }
                Err((error, back)) => {
                    let size =
                        back.payload.map_or(0, <[u8]>::len) + back.key.map_or(0, <[u8]>::len);
                    return Err((error, size));
                }
            }
        }
    }

    /// Waits until the broker has everything that was handed over.
    ///
    /// # Errors
    /// `Retry`, `Input` or `Config`; nothing is committed.
    pub(super) fn flush(&self, until: Instant) -> Result<()> {
        let deliveries = self.producer.context();
        let mut state = deliveries.state();
        while state.records < self.sent && state.refused.is_none() {
            let left = until.saturating_duration_since(clock::instant());
            if left.is_zero() {
                drop(state);
                let timed_out = KafkaError::Flush(Code::OperationTimedOut);
                return Err(self.failed(Step::Send, &timed_out));
            }
            state = deliveries.wait(state, left);
        }
        let refused = state.refused.clone();
        drop(state);
        match refused {
            Some(error) => Err(self.failed(Step::Send, &error)),
            None => Ok(()),
        }
    }

    /// Commits. Everything must have been flushed.
    ///
    /// # Errors
    /// `Undecided`, whatever it is.
    pub(super) fn commit(&self) -> Result<()> {
        // A delivery is told just before librdkafka counts it as told, and rdkafka's commit rests for 100 ms if it comes in between.
        for _ in 0..1_000 {
            if self.producer.in_flight_count() == 0 {
                break;
            }
            std::thread::yield_now();
        }
        self.producer
            .commit_transaction(self.limit)
            .map_err(|error| self.failed(Step::Commit, &error))
    }

    /// Gives the open transaction up at once, so that it holds no reader back, as far as that succeeds in a short time. The lane is of
    /// no use afterwards.
    pub(super) fn give_up(self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
        if let Err(error) = self.producer.abort_transaction(self.limit.min(Duration::from_secs(5)))
        {
            tracing::debug!("{}: the transaction was left to its time limit: {error}", self.place);
        }
    }

    fn refused(&self, error: &KafkaError, size: usize, what: std::fmt::Arguments<'_>) -> Error {
        let error = self.failed(Step::Send, error);
        Error::new(error.kind(), format!("{} ({what} of {size} bytes)", error.message()))
    }

    fn failed(&self, step: Step, error: &KafkaError) -> Error {
        let client = self.producer.client();
        // What the producer died of says more than what the call died of.
        let (code, reason) = match client.fatal_error() {
            Some((code, reason)) => (Some(code), format!("{error}: {reason}")),
            None => (error.rdkafka_error_code(), error.to_string()),
        };
        let complaint = client.context().complaint();
        let text = format!("{}: {}: {reason}{complaint}", self.place, step.doing());
        Error::new(step.kind(code), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_before_the_commit_a_failure_says_that_nothing_happened() {
        for (step, code, kind) in [
            (Step::Init, Code::OperationTimedOut, Kind::Retry),
            (Step::Init, Code::TransactionalIdAuthorizationFailed, Kind::Config),
            (Step::Init, Code::InvalidTransactionTimeout, Kind::Config),
            // Somebody else has the lane, but who it is only a mark tells.
            (Step::Init, Code::ProducerFenced, Kind::Retry),
            (Step::Send, Code::ProducerFenced, Kind::Retry),
            (Step::Send, Code::InvalidProducerEpoch, Kind::Retry),
            (Step::Send, Code::MessageTimedOut, Kind::Retry),
            (Step::Send, Code::MessageSizeTooLarge, Kind::Input),
            (Step::Send, Code::TopicAuthorizationFailed, Kind::Config),
            (Step::Commit, Code::OperationTimedOut, Kind::Undecided),
            (Step::Commit, Code::ProducerFenced, Kind::Undecided),
            (Step::Commit, Code::InvalidProducerEpoch, Kind::Undecided),
            (Step::Commit, Code::TopicAuthorizationFailed, Kind::Undecided),
        ] {
            assert_eq!(step.kind(Some(code)), kind, "{step:?} {code:?}");
        }
    }
}
