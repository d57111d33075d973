//! Kafka to Kafka exactly once, beside librdkafka alone: consume, parse, compute, produce, without transactions or state that survives.

use crate::hand::{Given, query_into};
use crate::process::{Usage, run as run_child};
use crate::table::{Table, head, median, say};
use crate::{input, table};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::Duration;
use tidemark_tests::broker::Broker;
use tidemark_tests::client::Client;
use tidemark_tests::{Failure, Result};

const ROUNDS: usize = 3;
const INPUT: &str = "events";

/// The bench.
pub(crate) fn run(events: u64, only: Option<&str>) -> Result<()> {
    let broker = Broker::start()?;
    let client = Client::new(broker.bootstrap());
    fill(&client, events)?;
    head(
        "kafka: what does the engine cost an event, from Kafka to Kafka exactly once, beside librdkafka alone?",
    );
    say(&format!(
        "{events} Nexmark events in {} partitions, one Kafka node on the same cores, log in a file, 1 worker; start and end included;\n\
         median of {ROUNDS} rounds in turn; microseconds an event of the process, broker not counted; bad: x alone above 2\n",
        input::PARTITIONS
    ));
    let mut table = Table::new(&["", "cpu", "user", "sys", "wall", "x alone", "rows"]);
    for query in ["q1", "q5", "q3"] {
        if only.is_some_and(|only| only != query) {
            continue;
        }
        let (mut alone, mut engine) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let output = format!("{query}-{round}");
            client.create_topic(&format!("{output}-alone"), 1, &[])?;
            client.create_topic(&output, 1, &[])?;
            alone.push(by_librdkafka(&broker, query, &format!("{output}-alone"))?);
            engine.push(by_engine(&broker, &client, query, &output)?);
        }
        if let Some((_, given)) = engine.iter().find(|(_, rows)| *rows != alone[0].1) {
            return Err(Failure(format!(
                "{query}: {} rows alone, {given} by the engine",
                alone[0].1
            )));
        }
        let cpu =
            |runs: &[(Usage, u64)]| median(runs.iter().map(|r| r.0.cpu().as_secs_f64()).collect());
        let base = cpu(&alone);
        for (name, runs) in [("librdkafka alone", &alone), ("exactly once", &engine)] {
            table.row(row(&format!("{query} {name}"), events, runs, cpu(runs) / base));
        }
    }
    table.print();
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn row(name: &str, events: u64, runs: &[(Usage, u64)], ratio: f64) -> Vec<String> {
    let each = |of: fn(&Usage) -> f64| {
        let each = runs.iter().map(|(usage, _)| of(usage)).collect();
        format!("{:.2}", median(each) * 1e6 / events as f64)
    };
    vec![
        name.to_owned(),
        each(|u| u.cpu().as_secs_f64()),
        each(|u| u.user.as_secs_f64()),
        each(|u| u.sys.as_secs_f64()),
        each(|u| u.wall.as_secs_f64()),
        format!("{ratio:.2}"),
        runs[0].1.to_string(),
    ]
}

fn fill(client: &Client, events: u64) -> Result<()> {
    client.create_topic(INPUT, i32::from(input::PARTITIONS), &[])?;
    let producer = client.producer()?;
    for partition in 0..input::PARTITIONS {
        input::each(events, partition, |line| {
            producer.send(INPUT, i32::from(partition), None, Some(line))
        })?;
    }
    producer.flush()
}

fn by_librdkafka(broker: &Broker, query: &str, output: &str) -> Result<(Usage, u64)> {
    let arguments = ["hand-kafka", query, &broker.bootstrap(), output].map(str::to_owned);
    let (usage, text) = run_child(&arguments)?;
    let rows = text.trim().parse().map_err(|_| Failure(format!("by hand said {text:?}")))?;
    Ok((usage, rows))
}

fn by_engine(broker: &Broker, client: &Client, query: &str, output: &str) -> Result<(Usage, u64)> {
    let state = tempfile::tempdir()?;
    let mut arguments: Vec<String> =
        ["run", query, "--http", "127.0.0.1:0"].map(str::to_owned).into();
    arguments.extend(["--state".to_owned(), state.path().to_string_lossy().into_owned()]);
    let settings = [
        format!("connection.kafka.bootstrap.servers={}", broker.bootstrap()),
        format!("job.name={output}"),
        "source.events.connector=kafka".to_owned(),
        format!("source.events.topic={INPUT}"),
        "source.events.bounded=true".to_owned(),
        format!("sink.{query}.topic={output}"),
        format!("sink.{query}.replication=1"),
    ];
    arguments.extend(settings.into_iter().flat_map(|setting| ["-D".to_owned(), setting]));
    let (usage, _) = run_child(&arguments)?;
    Ok((usage, client.read_committed(output)?.len() as u64))
}

/// The child: a query over the input topic with librdkafka and nothing else; prints the number of rows that it produced.
pub(crate) fn hand(arguments: &[String]) -> Result<()> {
    let [_, name, bootstrap, output] = arguments else {
        return Err(Failure::new("hand-kafka QUERY BOOTSTRAP OUTPUT"));
    };
    let client = Client::new(bootstrap.as_str());
    let mut config = client.config();
    config.set("linger.ms", "5").set("enable.idempotence", "true");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
    let topic = output.clone();
    let sender = producer.clone();
    let mut query = query_into(name, move |key, row| {
        let mut record = BaseRecord::<[u8], [u8]>::to(&topic).payload(row);
        record.key = key;
        while let Err((error, back)) = sender.send(record) {
            if error.rdkafka_error_code() != Some(rdkafka::error::RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            record = back;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    })?;
    let mut config = client.config();
    config.set("group.id", "by-hand").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    let mut left = 0_i64;
    for partition in 0..i32::from(input::PARTITIONS) {
        left += client.watermarks(INPUT, partition)?.1;
        list.add_partition_offset(INPUT, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    while left > 0 {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message?;
            let partition = usize::try_from(message.partition()).unwrap_or(0);
            query.line(partition, message.payload().unwrap_or_default())?;
            left -= 1;
        }
    }
    let Given { rows, .. } = query.end()?;
    producer.flush(Duration::from_secs(60))?;
    table::say(&rows.to_string());
    Ok(())
}
