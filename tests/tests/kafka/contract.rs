//! The contract of every exactly-once writer, by the Kafka sink.

use crate::settled::settled;
use std::time::Duration;
use tidemark::Kind;
use tidemark::kafka::Connection;
use tidemark::sinks::contract::{Target, check};
use tidemark::sinks::kafka::{Kafka, Settings};
use tidemark::sinks::{Identity, LaneTick, Progress, Writer};
use tidemark_tests::broker::Broker;
use tidemark_tests::client::Client;
use tidemark_tests::clock::Deadline;

/// A topic and its progress topic.
struct Topic {
    name: String,
}

impl Target for Topic {
    fn writer(&self) -> Box<dyn Writer> {
        let connection = Connection::new(Broker::shared().bootstrap());
        let mut settings = Settings::new(&self.name, connection);
        settings.replication = 1;
        settings.partitions = Some(2);
        Box::new(Driven { sink: Kafka::new(settings, &self.name), under: None })
    }

    fn committed(&self) -> Vec<Vec<u8>> {
        let client = Client::new(Broker::shared().bootstrap());
        settled(&client, &self.name);
        let records = client.read_committed(&self.name).unwrap();
        records.into_iter().filter_map(|record| record.value).collect()
    }
}

/// A writer and what its driver owes it: after a failure that is not final it fences and writes again. On Kafka a zombie learns only
/// thereby that it is one, and costs its successor a producer.
struct Driven {
    sink: Kafka,
    under: Option<(Identity, u16)>,
}

impl Writer for Driven {
    fn describe(&self) -> String {
        self.sink.describe()
    }

    fn fence(
        &mut self,
        identity: &Identity,
        lanes: u16,
    ) -> tidemark::Result<Vec<Option<Progress>>> {
        self.under = Some((identity.clone(), lanes));
        self.sink.fence(identity, lanes)
    }

    fn write(&mut self, ticks: &[LaneTick]) -> tidemark::Result<()> {
        let deadline = Deadline::after(Duration::from_secs(60));
        loop {
            match self.sink.write(ticks) {
                Err(error)
                    if matches!(error.kind(), Kind::Retry | Kind::Undecided)
                        && deadline.left().is_some() =>
                {
                    let (identity, lanes) = self.under.as_ref().expect("was fenced");
                    self.sink.fence(identity, *lanes)?;
                }
                done => return done,
            }
        }
    }
}

#[test]
fn the_kafka_sink_keeps_the_contract() {
    let mut number = 0;
    check(|| {
        number += 1;
        Box::new(Topic { name: format!("contract-{number}") })
    });
}
