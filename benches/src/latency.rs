//! Latency as a `read_committed` consumer sees it: from the moment that a record is handed to the producer until a result that holds it
//! can be read, all on one machine and one clock. Beside it what the broker alone takes, in the same run.

use crate::job::Job;
use crate::table::{Table, head, say};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidemark::time::clock::{System, Wall};
use tidemark_tests::broker::Broker;
use tidemark_tests::client::Client;
use tidemark_tests::{Failure, Result, clock};

const PARTITIONS: i32 = 2;
const WARM: Duration = Duration::from_secs(5);

/// The bench, at `rate` events a second for `seconds` after a warm-up.
pub(crate) fn run(rate: u64, seconds: u64) -> Result<()> {
    head(
        "latency: how long after an event was produced can a read_committed consumer read a result that holds it?",
    );
    say(&format!(
        "{rate} events a second for {seconds} s after {WARM:?} of warm-up, 1 worker, log in a file, one Kafka node;\n\
         broker, producer, consumer and engine share the cores; milliseconds; bad: p99 above 50\n"
    ));
    let broker = Broker::start()?;
    let mut table = Table::new(&[
        "",
        "p50",
        "p90",
        "p99",
        "max",
        "results",
        "broker p50",
        "p99",
        "max",
        "engine cpu",
    ]);
    for flow in ["relay", "totals"] {
        let measured = measure(&broker, flow, rate, Duration::from_secs(seconds))?;
        let (p50, p90, p99, max) = quantiles(&measured.results);
        let (b50, _, b99, bmax) = quantiles(&measured.broker);
        let cpu = measured.cpu.as_secs_f64() / measured.over.as_secs_f64() * 100.0;
        table.row(vec![
            match flow {
                "relay" => "stateless".into(),
                _ => "windowed count".into(),
            },
            p50,
            p90,
            p99,
            max,
            measured.results.len().to_string(),
            b50,
            b99,
            bmax,
            format!("{cpu:.0} %"),
        ]);
    }
    table.print();
    Ok(())
}

struct Measured {
    /// Microseconds from producing to reading the result.
    results: Vec<i64>,
    /// The same for the input topic, without the engine.
    broker: Vec<i64>,
    cpu: Duration,
    over: Duration,
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn quantiles(micros: &[i64]) -> (String, String, String, String) {
    let mut sorted = micros.to_vec();
    sorted.sort_unstable();
    let at = |share: usize| {
        let index = (sorted.len() * share / 1000).min(sorted.len().saturating_sub(1));
        format!("{:.1}", sorted.get(index).map_or(f64::NAN, |us| *us as f64 / 1000.0))
    };
    (at(500), at(900), at(990), at(1000))
}

fn measure(broker: &Broker, flow: &str, rate: u64, span: Duration) -> Result<Measured> {
    let client = Client::new(broker.bootstrap());
    let (input, output) = (format!("{flow}-in"), format!("{flow}-out"));
    client.create_topic(&input, PARTITIONS, &[])?;
    client.create_topic(&output, 1, &[])?;
    let state = tempfile::tempdir()?;
    let mut job = Job::start(
        flow,
        1,
        state.path(),
        &[
            ("connection.kafka.bootstrap.servers", broker.bootstrap()),
            ("source.events.connector", "kafka".into()),
            ("source.events.topic", input.clone()),
            ("sink.results.topic", output.clone()),
            ("sink.results.replication", "1".into()),
        ],
    )?;
    job.ready()?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let results = scope.spawn(|| read(broker, &output, 1, &stop));
        let direct = scope.spawn(|| read(broker, &input, PARTITIONS, &stop));
        let producing = scope.spawn(|| produce(broker, &input, rate, &stop));
        std::thread::sleep(WARM);
        let (since, before, from) = (clock::now(), job.usage(), System.micros());
        std::thread::sleep(span);
        let (over, after, to) = (since.elapsed(), job.usage(), System.micros());
        stop.store(true, Ordering::Release);
        let taken = |thread: std::thread::ScopedJoinHandle<'_, Result<Vec<(i64, i64)>>>| {
            let seen = thread.join().map_err(|_| Failure::new("a reader panicked"))??;
            let within = seen.into_iter().filter(|(sent, _)| (from..to).contains(sent));
            Ok::<_, Failure>(within.map(|(sent, at)| at - sent).collect::<Vec<_>>())
        };
        let (results, broker) = (taken(results)?, taken(direct)?);
        producing.join().map_err(|_| Failure::new("the producer panicked"))??;
        Ok(Measured { results, broker, cpu: after?.since(before?).cpu(), over })
    })
}

/// Sends `rate` records a second, each with the time at which it is sent.
fn produce(broker: &Broker, topic: &str, rate: u64, stop: &AtomicBool) -> Result<()> {
    let mut config = Client::new(broker.bootstrap()).config();
    config.set("linger.ms", "0").set("acks", "all");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
    let (begun, mut sent) = (clock::now(), 0_u64);
    while !stop.load(Ordering::Acquire) {
        let due = u64::try_from(begun.elapsed().as_micros()).unwrap_or(0) * rate / 1_000_000;
        while sent < due {
            let value = format!("{{\"sent\":{},\"key\":{}}}", System.micros(), sent % 1000);
            let partition = i32::try_from(sent % 2).expect("is small");
            let record = BaseRecord::<(), _>::to(topic).partition(partition).payload(&value);
            // A full queue says that the machine can't keep up; the record is then simply late.
            if producer.send(record).is_err() {
                break;
            }
            sent += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(producer.flush(Duration::from_secs(30))?)
}

/// What can be read of a topic: (sent, read) of each record, in microseconds.
fn read(
    broker: &Broker,
    topic: &str,
    partitions: i32,
    stop: &AtomicBool,
) -> Result<Vec<(i64, i64)>> {
    let mut config = Client::new(broker.bootstrap()).config();
    config
        .set("group.id", "latency")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "20");
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let mut seen = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let Some(message) = consumer.poll(Duration::from_millis(20)) else { continue };
        let message = message?;
        let now = System.micros();
        // A window that closes leaves a tombstone.
        if let Some(sent) = message.payload().and_then(sent_at) {
            seen.push((sent, now));
        }
    }
    Ok(seen)
}

/// The number behind `"sent":`, or the last one of a list.
fn sent_at(payload: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(payload).ok()?;
    let number = match text.split_once("\"sent\":") {
        Some((_, rest)) => rest,
        None => text.rsplit_once(',')?.1,
    };
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
