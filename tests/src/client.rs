//! An ordinary Kafka client for tests: topics, writing, reading what is committed. Knows nothing of the engine.

use crate::clock::Deadline;
use crate::{Failure, Result};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

/// How long one request may take; a broker that is just starting again answers late.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// A client of one cluster. Makes a connection for each call; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    bootstrap: String,
}

/// A record as an ordinary consumer gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The key; `None` is no key.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers in their order; a missing value is empty.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Milliseconds since the Unix epoch.
    pub timestamp: Option<i64>,
}

impl Record {
    /// The value as text.
    ///
    /// # Errors
    /// If it is a tombstone or no UTF-8; names the record's place.
    pub fn text(&self) -> Result<&str> {
        let place = || format!("{}/{}@{}", self.topic, self.partition, self.offset);
        let value = self.value.as_deref();
        let value = value.ok_or_else(|| Failure(format!("{} is a tombstone", place())))?;
        std::str::from_utf8(value).map_err(|_| Failure(format!("{} is no UTF-8", place())))
    }

    /// The value of a header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value).ok()
    }
}

impl Client {
    /// A client of the cluster at `bootstrap` (`host:port`).
    pub fn new(bootstrap: impl Into<String>) -> Client {
        Client { bootstrap: bootstrap.into() }
    }

    /// The configuration that all connections of this client begin with.
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        // A broker that was just started again is asked at once, not after ten seconds.
        config.set("reconnect.backoff.max.ms", "200");
        config
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(self.config().create()?)
    }

    fn options() -> AdminOptions {
        AdminOptions::new()
            .request_timeout(Some(REQUEST_LIMIT))
            .operation_timeout(Some(REQUEST_LIMIT))
    }

    /// Makes a topic, with topic settings such as `("cleanup.policy", "compact")`.
    ///
    /// # Errors
    /// If it exists already or the broker refuses.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<()> {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let results = block_on(self.admin()?.create_topics([&topic], &Self::options()))?;
        named_results(results, "cannot make topic")
    }

    /// Gives a topic these settings; those that are not named go back to their default.
    ///
    /// # Errors
    /// If it does not exist or the broker refuses.
    pub fn alter_topic(&self, name: &str, settings: &[(&str, &str)]) -> Result<()> {
        let mut wanted = AlterConfig::new(ResourceSpecifier::Topic(name));
        for (key, value) in settings {
            wanted = wanted.set(key, value);
        }
        for result in block_on(self.admin()?.alter_configs([&wanted], &Self::options()))? {
            result.map_err(|(_, code)| Failure(format!("cannot alter topic {name}: {code}")))?;
        }
        Ok(())
    }

    /// Removes a topic.
    ///
    /// # Errors
    /// If it does not exist or the broker refuses.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let results = block_on(self.admin()?.delete_topics(&[name], &Self::options()))?;
        named_results(results, "cannot remove topic")
    }

    /// Gives a topic more partitions: `count` in all.
    ///
    /// # Errors
    /// If it does not exist, has as many already, or the broker refuses.
    pub fn grow_topic(&self, name: &str, count: usize) -> Result<()> {
        let wanted = NewPartitions::new(name, count);
        let results = block_on(self.admin()?.create_partitions([&wanted], &Self::options()))?;
        named_results(results, "cannot grow topic")
    }

    /// Deletes all records of a partition below offset `before`.
    ///
    /// # Errors
    /// If the broker refuses, as for an offset beyond the partition's end.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) -> Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(before))?;
        let done = block_on(self.admin()?.delete_records(&list, &Self::options()))?;
        for element in done.elements() {
            element.error()?;
        }
        Ok(())
    }

    /// The names of all topics, in order.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn topics(&self) -> Result<BTreeSet<String>> {
        let metadata = self.admin()?.inner().fetch_metadata(None, REQUEST_LIMIT)?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }

    /// The number of a topic's partitions; 0 if it does not exist.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn partitions(&self, topic: &str) -> Result<i32> {
        let metadata = self.admin()?.inner().fetch_metadata(Some(topic), REQUEST_LIMIT)?;
        let count = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
        Ok(i32::try_from(count).expect("Kafka numbers partitions in 32 bits"))
    }

    /// The earliest offset of a partition and the one after its last record, open transactions included.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64)> {
        Ok(self.admin()?.inner().fetch_watermarks(topic, partition, REQUEST_LIMIT)?)
    }

    /// A producer that keeps its connection.
    ///
    /// # Errors
    /// If librdkafka can't make one.
    pub fn producer(&self) -> Result<Producer> {
        let mut config = self.config();
        config.set("enable.idempotence", "true").set("linger.ms", "2");
        Ok(Producer { producer: config.create_with_context(Deliveries::default())? })
    }

    /// Writes values to one partition, without keys, and waits until all are acknowledged.
    ///
    /// # Errors
    /// If any is not.
    pub fn produce<'a>(
        &self,
        topic: &str,
        partition: i32,
        values: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        let producer = self.producer()?;
        for value in values {
            producer.send(topic, partition, None, Some(value.as_bytes()))?;
        }
        producer.flush()
    }

    /// Writes one record (`key` or `value` may be absent) and waits until it is acknowledged.
    ///
    /// # Errors
    /// If it is not.
    pub fn produce_one(
        &self,
        topic: &str,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<()> {
        let producer = self.producer()?;
        producer.send(topic, partition, key, value)?;
        producer.flush()
    }

    /// Every committed record of a topic at present, by partition and offset: what a `read_committed` consumer sees before an
    /// open transaction stops it.
    ///
    /// # Errors
    /// If the topic does not exist or the broker does not answer within a minute.
    pub fn read_committed(&self, topic: &str) -> Result<Vec<Record>> {
        let tail = self.tail(&[topic])?;
        let mut behind: BTreeSet<i32> = (0..self.partitions(topic)?).collect();
        let deadline = Deadline::after(REQUEST_LIMIT);
        let mut records = Vec::new();
        while !behind.is_empty() {
            let left = deadline.left().ok_or_else(|| {
                Failure(format!("no end of {topic} {behind:?} in {REQUEST_LIMIT:?}"))
            })?;
            match tail.consumer.poll(left) {
                Some(Ok(message)) => records.push(owned(&message)),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    behind.remove(&partition);
                }
                Some(Err(error)) if passes(&error) => {}
                Some(Err(error)) => return Err(error.into()),
                None => {}
            }
        }
        records.sort_by_key(|record| (record.partition, record.offset));
        Ok(records)
    }

    /// A reader that follows the committed records of topics from their beginning.
    ///
    /// # Errors
    /// If one of them does not exist.
    pub fn tail(&self, topics: &[&str]) -> Result<Tail> {
        let mut config = self.config();
        config
            .set("group.id", "tidemark-tests")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "20");
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        for topic in topics {
            let partitions = self.partitions(topic)?;
            if partitions == 0 {
                return Err(Failure(format!("topic {topic} does not exist")));
            }
            for partition in 0..partitions {
                list.add_partition_offset(topic, partition, Offset::Beginning)?;
            }
        }
        consumer.assign(&list)?;
        Ok(Tail { consumer })
    }
}

/// Follows the committed records of some topics. Records of one partition come in their order.
pub struct Tail {
    consumer: BaseConsumer,
}

impl Tail {
    /// The next record, waiting at most `limit` for it.
    ///
    /// # Errors
    /// Whatever the client reports and does not mend by itself; a broker that is away is not reported.
    pub fn poll(&mut self, limit: Duration) -> Result<Option<Record>> {
        let deadline = Deadline::after(limit);
        loop {
            let left = deadline.left();
            match self.consumer.poll(left.unwrap_or(Duration::ZERO)) {
                Some(Ok(message)) => return Ok(Some(owned(&message))),
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) if passes(&error) => {}
                Some(Err(error)) => return Err(error.into()),
            }
            if left.is_none() {
                return Ok(None);
            }
        }
    }
}

/// Whether the client goes on by itself after this: connections come and go with a broker that tests kill.
fn passes(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::NotCoordinator
        )
    )
}

fn owned(message: &rdkafka::message::BorrowedMessage<'_>) -> Record {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
            .collect()
    });
    Record {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
        timestamp: message.timestamp().to_millis(),
    }
}

/// Writes records; they arrive once and, within a partition, in the order of the calls.
pub struct Producer {
    producer: ThreadedProducer<Deliveries>,
}

/// Keeps the first record that the broker would not take.
#[derive(Default)]
struct Deliveries {
    refused: Mutex<Option<Failure>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, delivery: &DeliveryResult<'_>, _opaque: ()) {
        if let Err((error, message)) = delivery {
            let place = format!("{}/{}", message.topic(), message.partition());
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            refused.get_or_insert_with(|| Failure(format!("not written to {place}: {error}")));
        }
    }
}

impl Producer {
    /// Hands one record over; waits while librdkafka's buffer is full.
    ///
    /// # Errors
    /// If the client refuses it, as one that is too large.
    pub fn send(
        &self,
        topic: &str,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<()> {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition);
        record.key = key;
        record.payload = value;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    /// Waits until everything handed over is acknowledged, at most a minute.
    ///
    /// # Errors
    /// If something is not, also of an earlier flush.
    pub fn flush(&self) -> Result<()> {
        self.producer.flush(REQUEST_LIMIT)?;
        let refused = &self.producer.context().refused;
        match &*refused.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }
}

fn named_results(
    results: Vec<std::result::Result<String, (String, RDKafkaErrorCode)>>,
    otherwise: &str,
) -> Result<()> {
    for result in results {
        result.map_err(|(name, code)| Failure(format!("{otherwise} {name}: {code}")))?;
    }
    Ok(())
}

/// Waits for an answer of the admin client, which librdkafka's own thread completes.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
