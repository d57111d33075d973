//! The topics of a sink: made where they are missing, checked where they are there. Blocks, within a time limit.

use super::scan::Scanner;
use super::settings::Settings;
use crate::kafka::{Context, failed, kind_of, wait};
use crate::time::clock;
use crate::{Error, Kind, Result};
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode as Code;
use std::time::Duration;

/// What the broker says about a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    partitions: usize,
    /// Of the partition that has fewest.
    replicas: usize,
}

/// Makes or checks the topics of a sink with `lanes` lanes. Of a `retired` sink, which writes no more, only progress is looked at.
///
/// # Errors
/// `Config` if a topic is missing that is not ours to make, or is not as it must be; `Retry` if the broker does not answer in time.
pub(super) fn prepare(
    scanner: &Scanner,
    settings: &Settings,
    progress_topic: &str,
    lanes: u16,
    retired: bool,
) -> Result<()> {
    let admin = || -> Result<AdminClient<Context>> {
        let config = settings.connection.client(&[("client.id", "tidemark")], &[])?;
        config
            .create_with_context(Context::default())
            .map_err(|error| failed(format!("kafka topic {}", settings.topic), &error))
    };
    let shape = match look(scanner, settings, progress_topic)? {
        Some(shape) => shape,
        None => {
            // One that answers while a replica is away, and loses nothing with another.
            let insync = settings.replication.saturating_sub(1).max(1).to_string();
            let options = [("cleanup.policy", "compact"), ("min.insync.replicas", insync.as_str())];
            create(&admin()?, settings, progress_topic, lanes, &options)?;
            if settings.replication == 1 {
                tracing::warn!(
                    "progress topic {progress_topic} has one replica: exactly once ends with its disk"
                );
            }
            appeared(scanner, settings, progress_topic, usize::from(lanes))?
        }
    };
    let policy = policy(&admin()?, settings, progress_topic)?;
    check_progress(progress_topic, usize::from(lanes), settings, shape, &policy)?;
    if let (false, Some(partitions)) = (retired, settings.partitions)
        && look(scanner, settings, &settings.topic)?.is_none()
    {
        create(&admin()?, settings, &settings.topic, partitions, &[])?;
        appeared(scanner, settings, &settings.topic, usize::from(partitions))?;
    }
    Ok(())
}

/// The number of partitions that rows are spread over.
///
/// # Errors
/// `Config` if the topic does not exist; `Retry` if the broker does not answer in time.
pub(super) fn partitions(scanner: &Scanner, settings: &Settings) -> Result<i32> {
    let Some(shape) = look(scanner, settings, &settings.topic)? else {
        return Err(Error::config(format!(
            "kafka topic {} does not exist at {}: create it, or set partitions to have it made",
            settings.topic,
            settings.connection.servers()
        )));
    };
    i32::try_from(shape.partitions).map_err(|_| {
        Error::internal(format!("kafka topic {} has too many partitions", settings.topic))
    })
}

/// Whether a progress topic is one that exactly once can stand on (PROTOCOL 10, counterexample 17).
fn check_progress(
    topic: &str,
    lanes: usize,
    settings: &Settings,
    shape: Shape,
    policy: &str,
) -> Result<()> {
    let refuse = |what: String| Err(Error::config(format!("progress topic {topic} {what}")));
    if policy != "compact" {
        return refuse(format!(
            "has cleanup.policy {policy}, which loses progress; set it to compact, and nothing else"
        ));
    }
    if shape.partitions < lanes {
        return refuse(format!(
            "has {} partitions for {lanes} lanes; the number of lanes is fixed for a sink's life",
            shape.partitions
        ));
    }
    if shape.replicas < usize::from(settings.replication) {
        return refuse(format!(
            "has {} replicas and {} are asked for; add replicas, or set replication = {} for this sink",
            shape.replicas, settings.replication, shape.replicas
        ));
    }
    Ok(())
}

/// What the broker says about `topic`; `None` if it does not exist. Never makes it.
fn look(scanner: &Scanner, settings: &Settings, topic: &str) -> Result<Option<Shape>> {
    let place = || format!("kafka topic {topic}");
    let metadata =
        scanner.consumer.fetch_metadata(Some(topic), settings.timeout()).map_err(|error| {
            let servers = settings.connection.servers();
            let error = failed(format!("{} can't be reached at {servers}", place()), &error);
            Error::new(
                error.kind(),
                format!("{}{}", error.message(), scanner.consumer.context().complaint()),
            )
        })?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Ok(None);
    };
    match found.error().map(Code::from) {
        None => {}
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => return Ok(None),
        Some(code) => return Err(Error::new(kind_of(code), format!("{}: {code}", place()))),
    }
    let replicas = found.partitions().iter().map(|p| p.replicas().len()).min();
    Ok(replicas.map(|replicas| Shape { partitions: found.partitions().len(), replicas }))
}

fn options(settings: &Settings) -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(settings.timeout()))
        .operation_timeout(Some(settings.timeout()))
}

fn create(
    admin: &AdminClient<Context>,
    settings: &Settings,
    topic: &str,
    partitions: u16,
    with: &[(&str, &str)],
) -> Result<()> {
    let replication = TopicReplication::Fixed(i32::from(settings.replication));
    let mut new = NewTopic::new(topic, i32::from(partitions), replication);
    for (name, value) in with {
        new = new.set(name, value);
    }
    let place = || format!("kafka topic {topic} can't be made");
    let results = wait(admin.create_topics([&new], &options(settings)))
        .map_err(|error| failed(place(), &error))?;
    match results.into_iter().next() {
        // Another one that takes the lanes over may have made it.
        None | Some(Ok(_) | Err((_, Code::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, Code::InvalidReplicationFactor))) => Err(Error::config(format!(
            "{}: the cluster has fewer brokers than the {} replicas asked for; set replication for this sink \
             (1 loses exactly once with one disk)",
            place(),
            settings.replication
        ))),
        Some(Err((_, code))) => Err(Error::new(kind_of(code), format!("{}: {code}", place()))),
    }
}

/// Waits until a topic that was just made is known to the broker that is asked.
fn appeared(
    scanner: &Scanner,
    settings: &Settings,
    topic: &str,
    partitions: usize,
) -> Result<Shape> {
    let until = clock::instant() + settings.timeout();
    loop {
        if let Some(shape) = look(scanner, settings, topic)?
            && shape.partitions >= partitions
        {
            return Ok(shape);
        }
        if clock::instant() >= until {
            let text =
                format!("kafka topic {topic} was made and is still not known to the brokers");
            return Err(Error::new(Kind::Retry, text));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The cleanup policy of a topic.
fn policy(admin: &AdminClient<Context>, settings: &Settings, topic: &str) -> Result<String> {
    let place = || format!("kafka topic {topic}: its settings can't be read");
    let asked = [ResourceSpecifier::Topic(topic)];
    let described = wait(admin.describe_configs(&asked, &options(settings)))
        .map_err(|error| failed(place(), &error))?;
    let resource: ConfigResource = match described.into_iter().next() {
        Some(Ok(resource)) => resource,
        Some(Err(code)) => return Err(Error::new(kind_of(code), format!("{}: {code}", place()))),
        None => return Err(Error::new(Kind::Retry, format!("{}: no answer", place()))),
    };
    let value = resource.get("cleanup.policy").and_then(|entry| entry.value.clone());
    value.ok_or_else(|| Error::new(Kind::Retry, format!("{}: no cleanup.policy", place())))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::kafka::Connection;

    #[test]
    fn progress_topics_that_lose_progress_are_refused() {
        let settings = Settings::new("t", Connection::new("a:1"));
        let check = |partitions, replicas, policy| {
            check_progress("p", 2, &settings, Shape { partitions, replicas }, policy)
        };
        assert_eq!(check(2, 3, "compact"), Ok(()));
        assert_eq!(check(5, 4, "compact"), Ok(()));
        for (partitions, replicas, policy, part) in [
            (2, 3, "delete", "cleanup.policy delete"),
            (2, 3, "compact,delete", "cleanup.policy compact,delete"),
            (1, 3, "compact", "1 partitions for 2 lanes"),
            (2, 1, "compact", "replication = 1"),
        ] {
            let error = check(partitions, replicas, policy).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.message().contains(part), "{error}");
        }
    }
}
