//! Real sources and sinks as the configuration says.

use crate::config::Settings;
use crate::config::connectors as config;
use crate::error::{Error, Result};
use crate::flow::{SinkPlan, SourcePlan};
use crate::job::engine::{Connectors, OpenedSink};
use crate::kafka::Connection;
use crate::sinks::blackhole::Blackhole;
use crate::sinks::file::FileWriter;
use crate::sinks::stdout::StreamWriter;
use crate::sinks::{self, Writer};
use crate::sources::Transport;
use crate::sources::file::Files;
use crate::sources::generator::Nexmark;
use crate::sources::kafka as kafka_source;
use crate::ticks::log::{self, Log};
use crate::ticks::record::SinkDecl;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) struct Configured {
    pub(super) settings: Settings,
}

impl Configured {
    pub(super) fn connection(&self, name: &str) -> Result<Connection> {
        let named = self.settings.connections.get(name).ok_or_else(|| {
            Error::config(format!(
                "there is no connection {name:?}; add [connection.{name}] with kind = \"kafka\" and bootstrap.servers"
            ))
        })?;
        Ok(Connection::from_options(
            named.reveal().map_err(|e| e.at(format_args!("connection.{name}")))?,
        ))
    }

    fn kafka_source(&self, source: &config::KafkaSource) -> Result<kafka_source::Settings> {
        let connection = self.connection(&source.connection)?;
        let mut settings = kafka_source::Settings::new(&source.topic, connection);
        settings.bounded = source.bounded;
        settings.start = match &source.start {
            config::Start::Earliest => kafka_source::Start::Earliest,
            config::Start::Latest => kafka_source::Start::Latest,
            config::Start::Offset(offset) => {
                kafka_source::Start::Offset(kafka_source::Offsets::All(*offset))
            }
            config::Start::Offsets(each) => {
                kafka_source::Start::Offset(kafka_source::Offsets::Each(each.clone()))
            }
            config::Start::TimestampMs(at) => kafka_source::Start::Timestamp(*at),
        };
        settings.group = source.group.clone().or_else(|| Some(self.settings.job.name.clone()));
        settings.timeout_ms = millis(source.timeout);
        settings.isolation = match source.isolation {
            config::Isolation::ReadCommitted => kafka_source::Isolation::ReadCommitted,
            config::Isolation::ReadUncommitted => kafka_source::Isolation::ReadUncommitted,
        };
        Ok(settings)
    }

    fn kafka_sink(&self, sink: &config::KafkaSink) -> Result<sinks::kafka::Settings> {
        let connection = self.connection(&sink.connection)?;
        let mut settings = sinks::kafka::Settings::new(&sink.topic, connection);
        settings.partitions = sink.partitions;
        settings.replication = sink.replication;
        settings.progress_topic = Some(sink.progress_topic.clone());
        settings.chunk_rows = sink.transaction_rows_max;
        settings.transaction_timeout_ms = millis(sink.transaction_time_max);
        settings.timeout_ms = millis(sink.timeout);
        Ok(settings)
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn address(connector: &str, place: Option<&str>) -> BTreeMap<String, String> {
    let mut address = BTreeMap::from([("connector".to_owned(), connector.to_owned())]);
    address.extend(place.map(|path| ("path".to_owned(), path.to_owned())));
    address
}

impl Connectors for Configured {
    fn source(&self, plan: &SourcePlan) -> Result<Arc<dyn Transport>> {
        let source =
            self.settings.sources.get(&plan.name).ok_or_else(|| Error::internal("not declared"))?;
        Ok(match &source.connector {
            config::SourceConnector::Kafka(kafka) => {
                Arc::new(kafka_source::Kafka::new(self.kafka_source(kafka)?))
            }
            config::SourceConnector::File(file) => {
                Arc::new(Files::new(&file.path).follow(file.follow))
            }
            config::SourceConnector::Nexmark(nexmark) => {
                let mut generator = Nexmark::new()
                    .partitions(nexmark.partitions)?
                    .seed(nexmark.seed)
                    .event_time_rate(nexmark.event_time_rate)?
                    .stragglers(nexmark.stragglers_per_million, nexmark.straggler_delay);
                if let Some(events) = nexmark.events {
                    generator = generator.events(events);
                }
                if let Some(rate) = nexmark.rate {
                    generator = generator.rate(rate)?;
                }
                Arc::new(generator)
            }
        })
    }

    fn sink(&self, plan: &SinkPlan) -> Result<OpenedSink> {
        let sink =
            self.settings.sinks.get(&plan.name).ok_or_else(|| Error::internal("not declared"))?;
        let keyed = plan.mode == "upsert";
        let (writer, address): (Box<dyn Writer>, _) = match &sink.connector {
            config::SinkConnector::Kafka(kafka) => {
                let settings = self.kafka_sink(kafka)?;
                let address = settings.address(&self.settings.job.name, &plan.name);
                (Box::new(sinks::kafka::Kafka::new(settings, &plan.name)), address)
            }
            config::SinkConnector::File(file) => (
                Box::new(FileWriter::new(&file.path, &plan.name).keyed(keyed)),
                address("file", Some(&file.path)),
            ),
            config::SinkConnector::Stdout => {
                (Box::new(StreamWriter::stdout(&plan.name).keyed(keyed)), address("stdout", None))
            }
            config::SinkConnector::Blackhole => {
                (Box::new(Blackhole::new(&plan.name)), address("blackhole", None))
            }
        };
        Ok(OpenedSink { writer, lanes: sink.lanes, address })
    }

    fn retired(&self, sink: &SinkDecl) -> Result<Box<dyn Writer>> {
        let connector = sink.address.get("connector").map_or("", String::as_str);
        match connector {
            "kafka" => {
                let servers = sink.address.get("bootstrap.servers");
                let same = |c: &&config::Connection| c.options.get("bootstrap.servers") == servers;
                let known = self.settings.connections.values().find(same);
                let connection =
                    known.map(|c| c.reveal().map(Connection::from_options)).transpose()?;
                let settings = sinks::kafka::Settings::from_address(&sink.address, connection)?;
                Ok(Box::new(sinks::kafka::Kafka::retired(settings, &sink.name)))
            }
            "file" => {
                let path = sink.address.get("path").cloned().unwrap_or_default();
                Ok(Box::new(FileWriter::new(path, &sink.name)))
            }
            "stdout" => Ok(Box::new(StreamWriter::stdout(&sink.name))),
            "blackhole" => Ok(Box::new(Blackhole::new(&sink.name))),
            other => Err(Error::config(format!(
                "the tick log has a sink {:?} on connector {other:?}, which this program does not know; start the program that wrote it",
                sink.name
            ))),
        }
    }
}

/// The tick log on a topic, which is made if it is missing where `make` says so.
pub(super) fn kafka_log(
    make: bool,
    connection: Connection,
    topic: &str,
    replication: u16,
) -> Result<Box<dyn Log>> {
    let mut settings = log::kafka::Settings::new(topic, connection);
    (settings.make, settings.replication) = (make, replication);
    Ok(Box::new(log::kafka::KafkaLog::open(settings)?))
}
