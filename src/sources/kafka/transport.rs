//! Finds partitions and hands out readers; the part of a Kafka source that may block.

use super::reader::KafkaReader;
use super::settings::{Settings, Start};
use super::start::{Held, begin, gone, vanished};
use crate::kafka::{Context, failed, topic_id};
use crate::sources::{Partition, Reader, Transport, Waker};
use crate::{Error, Kind, Result};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A Kafka topic as a source. Cheap to clone; clones share one look at the topic.
#[derive(Clone)]
pub struct Kafka {
    shared: Arc<Shared>,
}

/// What transport and readers share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    known: Mutex<Known>,
    /// Held during calls that block; never taken together with `known` by a worker.
    client: Mutex<Option<BaseConsumer<Context>>>,
}

#[derive(Default)]
struct Known {
    /// Whether the topic was looked at, or the job has read it in an earlier run.
    looked: bool,
    /// Whether the job has read the topic in an earlier run.
    resumed: bool,
    topic_id: Option<String>,
    partitions: BTreeMap<i32, (u64, Held)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kafka {
    /// A source over the topic that `settings` name. Connects to nothing yet.
    pub fn new(settings: Settings) -> Kafka {
        let shared = Shared { settings, known: Mutex::default(), client: Mutex::new(None) };
        Kafka { shared: Arc::new(shared) }
    }
}

impl Shared {
    /// "kafka topic clicks".
    pub(super) fn describe(&self) -> String {
        format!("kafka topic {}", self.settings.topic)
    }

    /// What was seen of a partition, without asking; the end is the one at which a bounded source stops.
    pub(super) fn seen(&self, partition: i32) -> Option<Held> {
        locked(&self.known).partitions.get(&partition).map(|(_, held)| *held)
    }

    /// What a partition holds now. Blocks up to `limit` where the broker does not answer.
    pub(super) fn held(&self, partition: i32, limit: Duration) -> Result<Held> {
        self.with_client(|client| self.ask_held(client, partition, limit))
    }

    fn with_client<T>(&self, act: impl FnOnce(&BaseConsumer<Context>) -> Result<T>) -> Result<T> {
        let mut client = locked(&self.client);
        if client.is_none() {
            let isolation = self.settings.isolation.option();
            let mut config = self.settings.connection.client(
                &[("client.id", "tidemark")],
                &[("enable.auto.commit", "false"), ("isolation.level", isolation)],
            )?;
            if let Some(group) = &self.settings.group {
                config.set("group.id", group);
            }
            let made = config.create_with_context(Context::default());
            *client = Some(made.map_err(|error| failed(self.describe(), &error))?);
        }
        let client = client.as_ref().expect("was made above");
        // Serves log lines and complaints, so that a failure can say why.
        serve(client);
        act(client).map_err(|error| {
            serve(client);
            Error::new(error.kind(), format!("{}{}", error.message(), client.context().complaint()))
        })
    }

    fn ask_held(
        &self,
        client: &BaseConsumer<Context>,
        partition: i32,
        limit: Duration,
    ) -> Result<Held> {
        let (low, high) =
            client.fetch_watermarks(&self.settings.topic, partition, limit).map_err(|error| {
                failed(format!("{} partition {partition}", self.describe()), &error)
            })?;
        Ok(Held { low: unsigned(low), high: unsigned(high) })
    }

    fn ask_partitions(&self, client: &BaseConsumer<Context>) -> Result<Vec<i32>> {
        let (topic, limit) = (&self.settings.topic, self.settings.timeout());
        let servers = self.settings.connection.servers();
        let metadata = client.fetch_metadata(Some(topic), limit).map_err(|error| {
            failed(format!("{} can't be reached at {servers}", self.describe()), &error)
        })?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let absent = || {
            let looked = locked(&self.known).looked;
            let (kind, hint) = if looked {
                (Kind::SourceChanged, "it was there before")
            } else {
                (Kind::Config, "create it, or correct the name")
            };
            Error::new(kind, format!("{} does not exist at {servers}: {hint}", self.describe()))
        };
        let found = found.ok_or_else(absent)?;
        match found.error().map(RDKafkaErrorCode::from) {
            None => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                return Err(absent());
            }
            Some(code) => {
                let kind = crate::kafka::kind_of(code);
                return Err(Error::new(kind, format!("{}: {code}", self.describe())));
            }
        }
        let mut partitions: Vec<i32> = found.partitions().iter().map(|p| p.id()).collect();
        partitions.sort_unstable();
        Ok(partitions)
    }

    /// The first offsets whose timestamp is not before `millis`.
    fn ask_dated(
        &self,
        client: &BaseConsumer<Context>,
        partitions: &[i32],
        millis: i64,
    ) -> Result<BTreeMap<i32, u64>> {
        let mut wanted = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            wanted
                .add_partition_offset(&self.settings.topic, *partition, Offset::Offset(millis))
                .map_err(|error| failed(self.describe(), &error))?;
        }
        let found = client
            .offsets_for_times(wanted, self.settings.timeout())
            .map_err(|error| failed(format!("{}: start by timestamp", self.describe()), &error))?;
        let mut dated = BTreeMap::new();
        for element in found.elements() {
            element.error().map_err(|error| {
                let place = format!("{} partition {}", self.describe(), element.partition());
                failed(place, &error)
            })?;
            if let Offset::Offset(offset) = element.offset() {
                dated.insert(element.partition(), unsigned(offset));
            }
        }
        Ok(dated)
    }

    /// A topic made anew is noticed by its id, where the broker tells one.
    fn check_identity(&self, client: &BaseConsumer<Context>) -> Result<()> {
        let Some(id) = topic_id(client.client(), &self.settings.topic, self.settings.timeout())
        else {
            return Ok(());
        };
        let mut known = locked(&self.known);
        match &known.topic_id {
            Some(before) if *before != id => Err(Error::new(
                Kind::SourceChanged,
                format!(
                    "{} was made anew: its id was {before} and is {id}; its offsets name other records now: begin a new job",
                    self.describe()
                ),
            )),
            Some(_) => Ok(()),
            None => {
                known.topic_id = Some(id);
                Ok(())
            }
        }
    }

    fn look(&self, client: &BaseConsumer<Context>) -> Result<()> {
        let settings = &self.settings;
        let present = self.ask_partitions(client)?;
        self.check_identity(client)?;
        let (fresh, closed, new) = {
            let known = locked(&self.known);
            if let Some(partition) = vanished(known.partitions.keys().copied(), &present) {
                let (next, _) = known.partitions[&partition];
                return Err(gone(&settings.topic, partition, next, None));
            }
            let new = present.into_iter().filter(|p| !known.partitions.contains_key(p));
            (
                !known.looked && !known.resumed,
                known.looked && settings.bounded,
                new.collect::<Vec<_>>(),
            )
        };
        if closed {
            return Ok(());
        }
        let dated = match settings.start {
            Start::Timestamp(millis) if fresh => self.ask_dated(client, &new, millis)?,
            _ => BTreeMap::new(),
        };
        let mut found = Vec::with_capacity(new.len());
        for partition in new {
            let held = self.ask_held(client, partition, settings.timeout())?;
            let dated = dated.get(&partition).copied();
            let next = begin(&settings.start, fresh, &settings.topic, partition, held, dated)?;
            found.push((partition, (next, held)));
        }
        let mut known = locked(&self.known);
        known.partitions.extend(found);
        known.looked = true;
        Ok(())
    }
}

/// Serves the client's log lines and complaints; it has no partitions, so that nothing else can come.
fn serve(client: &BaseConsumer<Context>) {
    for _ in 0..16 {
        drop(client.poll(Duration::ZERO));
    }
}

/// An offset of the broker; those below zero stand for "none".
pub(super) fn unsigned(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}

impl Transport for Kafka {
    fn describe(&self) -> String {
        self.shared.describe()
    }

    fn resumed(&self) {
        locked(&self.shared.known).resumed = true;
    }

    fn discover(&self) -> Result<Vec<Partition>> {
        self.shared.with_client(|client| self.shared.look(client))?;
        let known = locked(&self.shared.known);
        let partitions = known.partitions.iter();
        Ok(partitions
            .map(|(partition, (start, _))| Partition { name: partition.to_string(), start: *start })
            .collect())
    }

    fn identity(&self) -> Option<String> {
        locked(&self.shared.known).topic_id.clone()
    }

    fn open(&self, waker: Waker) -> Result<Box<dyn Reader>> {
        if self.shared.settings.bounded && !locked(&self.shared.known).looked {
            self.discover()?;
        }
        Ok(Box::new(KafkaReader::new(Arc::clone(&self.shared), waker)?))
    }

    fn commit_hint(&self, next: &[(String, u64)]) {
        let settings = &self.shared.settings;
        if settings.group.is_none() {
            return;
        }
        let mut offsets = TopicPartitionList::with_capacity(next.len());
        for (partition, next) in next {
            if let (Ok(partition), Ok(next)) = (partition.parse(), i64::try_from(*next)) {
                let offset = Offset::Offset(next);
                if offsets.add_partition_offset(&settings.topic, partition, offset).is_err() {
                    return;
                }
            }
        }
        let sent = self.shared.with_client(|client| {
            client.commit(&offsets, CommitMode::Async).map_err(|error| {
                failed(format!("{}: offsets for lag tools", self.shared.describe()), &error)
            })
        });
        if let Err(error) = sent {
            tracing::debug!("{error}");
        }
    }
}
