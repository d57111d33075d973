//! The log's topic: made where it is missing, checked where it is there, cut. It reads and writes no records.

use super::Settings;
use crate::error::{Error, Kind, Result};
use crate::hash;
use crate::ids::Nonce;
use crate::kafka::{Context, failed, kind_of, topic_id};
use crate::time::clock;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a topic must have so that no record goes by itself: name and value.
const KEPT: [(&str, &str); 3] =
    [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];

/// What the brokers say about the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    partitions: usize,
    replicas: usize,
}

/// Makes or checks the topic: the log's identity.
///
/// # Errors
/// `Config` if it is not as it must be, `Retry` if the brokers do not answer in time.
pub(super) fn prepare(settings: &Settings, consumer: &BaseConsumer<Context>) -> Result<Nonce> {
    if settings.replication == 1 {
        tracing::warn!(
            "{}: one replica, as was asked for: the log is lost with one disk, and exactly once with it",
            settings.place()
        );
    }
    let shape = match look(settings, consumer)? {
        Some(shape) => shape,
        None if !settings.make => {
            return Err(Error::config(format!("{}: there is no such topic", settings.place())));
        }
        None => {
            create(settings)?;
            appeared(settings, consumer)?
        }
    };
    check(settings, shape, &options_of(settings)?)?;
    let id = topic_id(consumer.client(), &settings.topic, settings.timeout());
    let id = id.ok_or_else(|| {
        Error::new(
            Kind::Retry,
            format!(
                "{}: the brokers did not tell the topic's id, by which a lost log is noticed; it needs Kafka 3.1 or later",
                settings.place()
            ),
        )
    })?;
    Ok(Nonce(hash::chain(0, id.as_bytes())))
}

fn check(settings: &Settings, shape: Shape, options: &BTreeMap<String, String>) -> Result<()> {
    let refuse = |what: String| Err(Error::config(format!("{}: {what}", settings.place())));
    if shape.partitions != 1 {
        return refuse(format!(
            "has {} partitions, and a log has one order: name a topic of one partition, or one that does not exist",
            shape.partitions
        ));
    }
    if shape.replicas < usize::from(settings.replication) {
        return refuse(format!(
            "has {} replicas and {} are asked for: add replicas, or set the log's replication to {}",
            shape.replicas, settings.replication, shape.replicas
        ));
    }
    for (name, value) in KEPT {
        let found = options.get(name).map_or("unknown", String::as_str);
        if found != value {
            return refuse(format!(
                "has {name}={found}, by which records would be lost: set {name}={value} on the topic"
            ));
        }
    }
    let option = |name| options.get(name).map(String::as_str);
    if option("unclean.leader.election.enable") == Some("true") {
        return refuse(
            "has unclean.leader.election.enable=true, by which acknowledged records would be lost: set it to false on the topic".into(),
        );
    }
    if shape.replicas >= 3 && option("min.insync.replicas") == Some("1") {
        tracing::warn!(
            "{}: min.insync.replicas is 1, so one broker alone may acknowledge; set it to 2",
            settings.place()
        );
    }
    Ok(())
}

fn look(settings: &Settings, consumer: &BaseConsumer<Context>) -> Result<Option<Shape>> {
    let metadata =
        consumer.fetch_metadata(Some(&settings.topic), settings.timeout()).map_err(|error| {
            let servers = settings.connection.servers();
            let error =
                failed(format!("{} can't be reached at {servers}", settings.place()), &error);
            Error::new(
                error.kind(),
                format!("{}{}", error.message(), consumer.context().complaint()),
            )
        })?;
    let Some(found) = metadata.topics().iter().find(|t| t.name() == settings.topic) else {
        return Ok(None);
    };
    match found.error().map(Code::from) {
        None => {}
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => return Ok(None),
        Some(code) => {
            return Err(Error::new(kind_of(code), format!("{}: {code}", settings.place())));
        }
    }
    let replicas = found.partitions().iter().map(|p| p.replicas().len()).min();
    Ok(replicas.map(|replicas| Shape { partitions: found.partitions().len(), replicas }))
}

/// Waits until the topic that was just made is known to the broker that is asked.
fn appeared(settings: &Settings, consumer: &BaseConsumer<Context>) -> Result<Shape> {
    let begun = clock::instant();
    loop {
        if let Some(shape) = look(settings, consumer)? {
            return Ok(shape);
        }
        if begun.elapsed() > settings.timeout() {
            let what = "was made, but the brokers do not know it yet; start again";
            return Err(Error::new(Kind::Retry, format!("{}: {what}", settings.place())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn create(settings: &Settings) -> Result<()> {
    // One that answers while a replica is away, and loses nothing with another.
    let insync = settings.replication.saturating_sub(1).max(1).to_string();
    let bytes = (super::RECORD_BYTES_MAX + (1 << 20)).to_string();
    let replication = TopicReplication::Fixed(i32::from(settings.replication));
    let mut new = NewTopic::new(&settings.topic, 1, replication)
        .set("min.insync.replicas", &insync)
        .set("unclean.leader.election.enable", "false")
        .set("max.message.bytes", &bytes);
    for (name, value) in KEPT {
        new = new.set(name, value);
    }
    let place = || format!("{}: can't be made", settings.place());
    let made = admin(settings)?;
    let made = wait(made.create_topics([&new], &options(settings)))?
        .map_err(|error| failed(place(), &error))?;
    match made.into_iter().next() {
        // Another candidate may have been quicker.
        None | Some(Ok(_) | Err((_, Code::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, Code::InvalidReplicationFactor))) => Err(Error::config(format!(
            "{}: there are fewer brokers than the {} replicas asked for; set the log's replication (1 is lost with one disk)",
            place(),
            settings.replication
        ))),
        Some(Err((_, code))) => Err(Error::new(kind_of(code), format!("{}: {code}", place()))),
    }
}

fn options_of(settings: &Settings) -> Result<BTreeMap<String, String>> {
    let place = || format!("{}: its settings can't be read", settings.place());
    let admin = admin(settings)?;
    let asked = [ResourceSpecifier::Topic(&settings.topic)];
    let described = wait(admin.describe_configs(&asked, &options(settings)))?
        .map_err(|error| failed(place(), &error))?;
    match described.into_iter().next() {
        Some(Ok(resource)) => {
            let entries = resource.entries.into_iter();
            Ok(entries.filter_map(|entry| Some((entry.name, entry.value?))).collect())
        }
        Some(Err(code)) => Err(Error::new(kind_of(code), format!("{}: {code}", place()))),
        None => Err(Error::new(Kind::Retry, format!("{}: no answer", place()))),
    }
}

/// Deletes every record before `position`. Whether or not a lost answer means that it was done, it can be asked for again.
///
/// # Errors
/// `Retry` if it may not have been done, `Config` if the brokers refuse.
pub(super) fn delete_before(settings: &Settings, position: u64) -> Result<()> {
    let place = || format!("{}: can't be cut", settings.place());
    let mut list = TopicPartitionList::with_capacity(1);
    let offset = Offset::Offset(i64::try_from(position).unwrap_or(i64::MAX));
    list.add_partition_offset(&settings.topic, 0, offset).map_err(|e| failed(place(), &e))?;
    let admin = admin(settings)?;
    let done = wait(admin.delete_records(&list, &options(settings)))?
        .map_err(|error| failed(place(), &error))?;
    for partition in done.elements() {
        partition.error().map_err(|error| failed(place(), &error))?;
    }
    Ok(())
}

fn admin(settings: &Settings) -> Result<AdminClient<Context>> {
    let config = settings.connection.client(&[("client.id", "tidemark")], &[])?;
    config.create_with_context(Context::default()).map_err(|e| failed(settings.place(), &e))
}

fn options(settings: &Settings) -> AdminOptions {
    let timeout = Some(settings.timeout());
    AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
}

/// The output of `future`, which a thread of librdkafka completes within its time limit; blocks the thread until it is there.
fn wait<F: Future>(future: F) -> Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime
        .map_err(|e| Error::new(Kind::Retry, format!("the system gives no runtime: {e}")))?;
    Ok(runtime.block_on(future))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::kafka::Connection;

    #[test]
    fn topics_that_lose_records_are_refused() {
        let settings = Settings::new("t", Connection::new("a:1"));
        let check_with = |partitions, replicas, name: &str, value: &str| {
            let mut options: BTreeMap<_, _> =
                KEPT.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
            options.insert(name.into(), value.into());
            check(&settings, Shape { partitions, replicas }, &options)
        };
        assert_eq!(check_with(1, 3, "min.insync.replicas", "2"), Ok(()));
        for (partitions, replicas, name, value, part) in [
            (2, 3, "retention.ms", "-1", "2 partitions"),
            (1, 1, "retention.ms", "-1", "replication to 1"),
            (1, 3, "retention.ms", "604800000", "set retention.ms=-1"),
            (1, 3, "retention.bytes", "1000", "set retention.bytes=-1"),
            (1, 3, "cleanup.policy", "compact", "cleanup.policy=compact"),
            (1, 3, "cleanup.policy", "compact,delete", "cleanup.policy=compact,delete"),
            (1, 3, "unclean.leader.election.enable", "true", "unclean"),
        ] {
            let error = check_with(partitions, replicas, name, value).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.message().contains(part), "{error}");
        }
    }
}
