//! What became of the records that a producer was given. Who sends keeps what it needs of that as its state, and waits for changes.

use super::Context;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a sender keeps of deliveries.
pub(crate) trait Heard: Default + Send {
    /// The record that was sent as `what` is at this offset (negative if the broker did not say), or was refused.
    fn hear(&mut self, what: usize, outcome: Result<i64, &KafkaError>);
}

/// A producer's context: hears each delivery on the producer's own thread.
#[derive(Default)]
pub(crate) struct Deliveries<S> {
    context: Context,
    state: Mutex<S>,
    more: Condvar,
}

impl<S> Deliveries<S> {
    /// What was heard so far.
    pub(crate) fn state(&self) -> MutexGuard<'_, S> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next delivery, at most so long.
    pub(crate) fn wait<'a>(
        &'a self,
        state: MutexGuard<'a, S>,
        most: Duration,
    ) -> MutexGuard<'a, S> {
        self.more.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// As [`Context::complaint`].
    pub(crate) fn complaint(&self) -> String {
        self.context.complaint()
    }
}

impl<S: Heard> ClientContext for Deliveries<S> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl<S: Heard> ProducerContext for Deliveries<S> {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, what: usize) {
        let outcome = result.as_ref().map(Message::offset).map_err(|(error, _)| error);
        self.state().hear(what, outcome);
        self.more.notify_one();
    }
}
