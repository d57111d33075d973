//! What the source reads, and what it refuses to read.

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tidemark::ids::Inlet;
use tidemark::kafka::Connection;
use tidemark::sources::kafka::{Kafka, Offsets, Settings, Start};
use tidemark::sources::{Budget, Partition, Polled, Reader, Transport};
use tidemark::{Error, Kind};
use tidemark_tests::broker::Broker;
use tidemark_tests::client::Client;
use tidemark_tests::clock::Deadline;

const LIMIT: Duration = Duration::from_secs(60);
const ALL: u64 = u64::MAX;
const WIDE: Budget = Budget { records: 1_000, bytes: 1 << 20 };

fn settings(broker: &Broker, topic: &str) -> Settings {
    Settings::new(topic, Connection::new(broker.bootstrap()))
}

/// A record as a test compares it: offset, key, value.
type Got = (u64, Option<Vec<u8>>, Option<Vec<u8>>);

fn text(offset: u64, value: &str) -> Got {
    (offset, None, Some(value.as_bytes().to_vec()))
}

/// A reader and the wake-ups it caused; polls only after being woken, as a worker does.
struct Driver {
    reader: Box<dyn Reader>,
    woken: Receiver<()>,
    got: BTreeMap<u16, Vec<Got>>,
}

impl Driver {
    fn open(source: &Kafka) -> Driver {
        let (wake, woken) = channel();
        let waker = Arc::new(move || _ = wake.send(()));
        Driver { reader: source.open(waker).unwrap(), woken, got: BTreeMap::new() }
    }

    fn poll(&mut self, inlet: u16, limit: u64, budget: Budget) -> Result<Polled, Error> {
        let got = self.got.entry(inlet).or_default();
        self.reader.poll(Inlet(inlet), limit, budget, &mut |raw| {
            assert_eq!(raw.next, raw.offset + 1);
            assert!(raw.timestamp.is_some());
            got.push((raw.offset, raw.key.map(<[u8]>::to_vec), raw.payload.map(<[u8]>::to_vec)));
            Ok(())
        })
    }

    /// Polls until the reader says one of `ends`, sleeping only until it is woken.
    fn until(&mut self, inlet: u16, limit: u64, ends: &[Polled]) -> Result<Polled, Error> {
        let deadline = Deadline::after(LIMIT);
        loop {
            let polled = self.poll(inlet, limit, WIDE)?;
            if ends.contains(&polled) {
                return Ok(polled);
            }
            if polled != Polled::More {
                let left =
                    deadline.left().unwrap_or_else(|| panic!("still {polled:?}: {:?}", self.got));
                _ = self.woken.recv_timeout(left);
            }
        }
    }

    /// Polls until `count` records came from `inlet`.
    fn until_count(&mut self, inlet: u16, count: usize) {
        let deadline = Deadline::after(LIMIT);
        loop {
            self.poll(inlet, ALL, WIDE).unwrap();
            if self.got[&inlet].len() >= count {
                return;
            }
            let left =
                deadline.left().unwrap_or_else(|| panic!("not {count} records: {:?}", self.got));
            _ = self.woken.recv_timeout(left);
        }
    }

    fn taken(&mut self, inlet: u16) -> Vec<Got> {
        self.got.remove(&inlet).unwrap_or_default()
    }
}

fn partition(name: &str, start: u64) -> Partition {
    Partition { name: name.to_owned(), start }
}

#[test]
fn partitions_are_read_in_order_up_to_their_end_and_on() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    client.create_topic("plain", 2, &[]).unwrap();
    client.produce("plain", 0, ["a", "b", "c"]).unwrap();
    client.produce_one("plain", 1, Some(b"k"), None).unwrap();
    let source = Kafka::new(settings(broker, "plain"));
    assert_eq!(source.describe(), "kafka topic plain");
    assert_eq!(source.discover().unwrap(), [partition("0", 0), partition("1", 0)]);

    let mut driver = Driver::open(&source);
    driver.reader.assign(Inlet(7), "0", 0).unwrap();
    driver.reader.assign(Inlet(8), "1", 0).unwrap();
    driver.until(7, ALL, &[Polled::CaughtUp]).unwrap();
    assert_eq!(driver.taken(7), [text(0, "a"), text(1, "b"), text(2, "c")]);
    assert_eq!(driver.reader.lag(Inlet(7)), Some(0));
    driver.until(8, ALL, &[Polled::CaughtUp]).unwrap();
    assert_eq!(driver.taken(8), [(0, Some(b"k".to_vec()), None)]);

    client.produce("plain", 0, ["d"]).unwrap();
    driver.until_count(7, 1);
    assert_eq!(driver.taken(7), [text(3, "d")]);
}

#[test]
fn limit_budget_and_errors_lose_and_repeat_nothing() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    client.create_topic("stepwise", 1, &[]).unwrap();
    client.produce("stepwise", 0, ["0", "1", "2", "3", "4", "55", "6"]).unwrap();
    let source = Kafka::new(settings(broker, "stepwise"));
    let mut driver = Driver::open(&source);
    driver.reader.assign(Inlet(0), "0", 1).unwrap();
    driver.until(0, 3, &[Polled::Limit]).unwrap();
    assert_eq!(driver.taken(0), [text(1, "1"), text(2, "2")]);
    assert_eq!(driver.poll(0, 3, WIDE), Ok(Polled::Limit));
    assert_eq!(driver.taken(0), []);

    // Whatever is fetched already, a budget of one record gives one.
    let one = Budget { records: 1, bytes: 1 << 20 };
    driver.until_count_with(0, ALL, one, 1);
    assert_eq!(driver.taken(0), [text(3, "3")]);
    // The first record is given however large it is, the next is not.
    let narrow = Budget { records: 10, bytes: 1 };
    driver.until_count_with(0, ALL, narrow, 1);
    assert_eq!(driver.taken(0), [text(4, "4")]);
    driver.until_count_with(0, ALL, narrow, 1);
    assert_eq!(driver.taken(0), [text(5, "55")]);

    let mut failed = Vec::new();
    let deadline = Deadline::after(LIMIT);
    let error = loop {
        let polled = driver.reader.poll(Inlet(0), ALL, WIDE, &mut |raw| {
            failed.push(raw.offset);
            Err(Error::new(Kind::Input, "no"))
        });
        match polled {
            Err(error) => break error,
            Ok(_) => _ = driver.woken.recv_timeout(deadline.left().expect("comes in time")),
        }
    };
    assert_eq!((error.kind(), failed), (Kind::Input, vec![6]));
    driver.until(0, ALL, &[Polled::CaughtUp]).unwrap();
    assert_eq!(driver.taken(0), [], "the record that failed counts as given");
}

impl Driver {
    /// Polls with `budget` until a call gave something, which must be exactly `count` records.
    fn until_count_with(&mut self, inlet: u16, limit: u64, budget: Budget, count: usize) {
        let deadline = Deadline::after(LIMIT);
        while self.got.get(&inlet).is_none_or(Vec::is_empty) {
            self.poll(inlet, limit, budget).unwrap();
            if self.got[&inlet].is_empty() {
                _ = self.woken.recv_timeout(deadline.left().expect("comes in time"));
            }
        }
        assert_eq!(self.got[&inlet].len(), count, "{:?}", self.got);
    }
}

/// A producer of transactions, and one transaction of these values.
fn transaction(client: &Client, topic: &str, values: &[&str], commit: bool) {
    let mut config = client.config();
    config.set("transactional.id", format!("{topic}-test"));
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer.begin_transaction().unwrap();
    for value in values {
        let record = BaseRecord::<str, str>::to(topic).partition(0).payload(value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    if commit { producer.commit_transaction(LIMIT) } else { producer.abort_transaction(LIMIT) }
        .unwrap();
}

#[test]
fn gaps_of_transactions_are_passed_and_a_bounded_read_ends_behind_them() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    client.create_topic("gaps", 2, &[]).unwrap();
    transaction(&client, "gaps", &["a", "b"], true); // 0, 1, mark at 2
    transaction(&client, "gaps", &["x", "y", "z"], false); // 3, 4, 5, mark at 6
    transaction(&client, "gaps", &["c"], true); // 7, mark at 8
    transaction(&client, "gaps", &["w"], false); // 9, mark at 10
    let source = Kafka::new(Settings { bounded: true, ..settings(broker, "gaps") });
    assert_eq!(source.discover().unwrap(), [partition("0", 0), partition("1", 0)]);
    client.produce("gaps", 0, ["later"]).unwrap();

    let mut driver = Driver::open(&source);
    driver.reader.assign(Inlet(0), "0", 0).unwrap();
    driver.reader.assign(Inlet(1), "1", 0).unwrap();
    driver.until(0, ALL, &[Polled::Finished, Polled::CaughtUp]).unwrap();
    assert_eq!(driver.taken(0), [text(0, "a"), text(1, "b"), text(7, "c")]);
    assert_eq!(driver.poll(0, ALL, WIDE), Ok(Polled::Finished), "it stays finished");
    assert_eq!(
        driver.poll(1, ALL, WIDE),
        Ok(Polled::Finished),
        "an empty partition is finished at once"
    );

    // A replay to a recorded end, which lies before the gap.
    let mut replay = Driver::open(&source);
    replay.reader.assign(Inlet(0), "0", 0).unwrap();
    assert_eq!(replay.until(0, 2, &[Polled::Limit]), Ok(Polled::Limit));
    assert_eq!(replay.taken(0), [text(0, "a"), text(1, "b")]);
    assert_eq!(replay.until(0, 8, &[Polled::Limit]), Ok(Polled::Limit));
    assert_eq!(replay.taken(0), [text(7, "c")]);
}

#[test]
fn a_bounded_read_ends_behind_an_aborted_tail() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    client.create_topic("aborted-tail", 1, &[]).unwrap();
    transaction(&client, "aborted-tail", &["a"], true);
    transaction(&client, "aborted-tail", &["x"], false);
    let source = Kafka::new(Settings { bounded: true, ..settings(broker, "aborted-tail") });
    let mut driver = Driver::open(&source);
    driver.reader.assign(Inlet(0), "0", 0).unwrap();
    assert_eq!(driver.until(0, ALL, &[Polled::Finished, Polled::CaughtUp]), Ok(Polled::Finished));
    assert_eq!(driver.taken(0), [text(0, "a")]);
}

fn names(error: &Error, parts: &[&str]) {
    for part in parts {
        assert!(error.message().contains(part), "{part:?} is missing in: {error}");
    }
}

#[test]
fn a_lost_head_is_named_before_and_after_the_first_look() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    client.create_topic("headless", 1, &[]).unwrap();
    client.produce("headless", 0, ["a", "b", "c", "d"]).unwrap();
    client.delete_records("headless", 0, 2).unwrap();
    let parts = ["topic headless", "partition 0", "offset 1", "earliest 2", "latest 4"];

    // Nothing was looked at: the broker says so.
    let blind = Kafka::new(settings(broker, "headless"));
    let mut driver = Driver::open(&blind);
    driver.reader.assign(Inlet(0), "0", 1).unwrap();
    let error = driver.until(0, ALL, &[Polled::CaughtUp]).unwrap_err();
    assert_eq!(error.kind(), Kind::SourceChanged);
    names(&error, &parts);
    assert_eq!(driver.poll(0, ALL, WIDE), Err(error), "it never goes on behind the gap");
    assert_eq!(driver.taken(0), []);

    // The topic was looked at: known at once.
    let source = Kafka::new(settings(broker, "headless"));
    assert_eq!(source.discover().unwrap(), [partition("0", 2)]);
    let error = Driver::open(&source).reader.assign(Inlet(0), "0", 1).unwrap_err();
    assert_eq!(error.kind(), Kind::SourceChanged);
    names(&error, &parts);
}

#[test]
fn records_deleted_under_a_waiting_reader_are_named() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    client.create_topic("cut-ahead", 1, &[]).unwrap();
    client.produce("cut-ahead", 0, ["a", "b"]).unwrap();
    let source = Kafka::new(settings(broker, "cut-ahead"));
    source.discover().unwrap();
    client.produce("cut-ahead", 0, ["c", "d"]).unwrap();
    client.delete_records("cut-ahead", 0, 3).unwrap();
    let mut driver = Driver::open(&source);
    driver.reader.assign(Inlet(0), "0", 1).unwrap();
    let error = driver.until(0, ALL, &[Polled::CaughtUp]).unwrap_err();
    assert_eq!(error.kind(), Kind::SourceChanged);
    names(&error, &["topic cut-ahead", "partition 0", "offset 1", "earliest 3", "latest 4"]);
}

#[test]
fn a_topic_made_anew_is_noticed_shorter_and_longer() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    client.create_topic("anew", 1, &[]).unwrap();
    client.produce("anew", 0, ["a", "b", "c"]).unwrap();
    let source = Kafka::new(settings(broker, "anew"));
    source.discover().unwrap();
    client.delete_topic("anew").unwrap();
    let error = source.discover().unwrap_err();
    assert_eq!(error.kind(), Kind::SourceChanged);
    names(&error, &["topic anew", "does not exist"]);
    client.create_topic("anew", 1, &[]).unwrap();
    client.produce("anew", 0, ["A", "B", "C", "D", "E"]).unwrap();
    let error = source.discover().unwrap_err();
    assert_eq!(error.kind(), Kind::SourceChanged, "{error}");
    names(&error, &["topic anew", "made anew"]);

    // A job that wants an offset which the new topic does not reach.
    let mut driver = Driver::open(&Kafka::new(settings(broker, "anew")));
    driver.reader.assign(Inlet(0), "0", 9).unwrap();
    let error = driver.until(0, ALL, &[Polled::CaughtUp]).unwrap_err();
    assert_eq!(error.kind(), Kind::SourceChanged);
    names(&error, &["topic anew", "partition 0", "offset 9", "earliest 0", "latest 5"]);
}

#[test]
fn starts_are_found_and_new_partitions_begin_at_their_head() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    client.create_topic("starts", 1, &[]).unwrap();
    client.produce("starts", 0, ["a", "b", "c"]).unwrap();
    let at = |start: Start| {
        let source = Kafka::new(Settings { start, ..settings(broker, "starts") });
        source.discover().map(|partitions| partitions[0].start)
    };
    let stamps: Vec<i64> =
        client.read_committed("starts").unwrap().iter().map(|r| r.timestamp.unwrap()).collect();
    assert_eq!(at(Start::Earliest), Ok(0));
    assert_eq!(at(Start::Latest), Ok(3));
    assert_eq!(at(Start::Offset(Offsets::All(2))), Ok(2));
    assert_eq!(at(Start::Timestamp(stamps[0])), Ok(0));
    assert_eq!(at(Start::Timestamp(stamps[2] + 1)), Ok(3));
    let error = at(Start::Offset(Offsets::All(4))).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    names(&error, &["topic starts", "partition 0", "offset 4", "earliest 0", "latest 3"]);

    let latest = Settings { start: Start::Latest, ..settings(broker, "starts") };
    let running = Kafka::new(latest.clone());
    let bounded = Kafka::new(Settings { bounded: true, ..settings(broker, "starts") });
    assert_eq!(running.discover().unwrap(), [partition("0", 3)]);
    assert_eq!(bounded.discover().unwrap(), [partition("0", 0)]);
    client.grow_topic("starts", 2).unwrap();
    client.produce("starts", 1, ["x"]).unwrap();
    assert_eq!(running.discover().unwrap(), [partition("0", 3), partition("1", 0)]);
    assert_eq!(bounded.discover().unwrap(), [partition("0", 0)], "what came later is not read");
    let resumed = Kafka::new(latest);
    resumed.resumed();
    assert_eq!(resumed.discover().unwrap(), [partition("0", 0), partition("1", 0)]);

    // The reader that runs already takes the new partition too.
    let mut driver = Driver::open(&running);
    driver.reader.assign(Inlet(0), "0", 3).unwrap();
    driver.until(0, ALL, &[Polled::CaughtUp]).unwrap();
    driver.reader.assign(Inlet(1), "1", 0).unwrap();
    driver.until(1, ALL, &[Polled::CaughtUp]).unwrap();
    assert_eq!((driver.taken(0), driver.taken(1)), (vec![], vec![text(0, "x")]));
}

#[test]
fn a_broker_that_restarts_is_waited_for() {
    let broker = Broker::start().unwrap();
    let client = Client::new(broker.bootstrap());
    client.create_topic("outage", 1, &[]).unwrap();
    client.produce("outage", 0, ["a"]).unwrap();
    let source = Kafka::new(Settings { timeout_ms: 2_000, ..settings(&broker, "outage") });
    source.discover().unwrap();
    let mut driver = Driver::open(&source);
    driver.reader.assign(Inlet(0), "0", 0).unwrap();
    driver.until_count(0, 1);
    broker.kill().unwrap();
    let error = source.discover().unwrap_err();
    assert_eq!(error.kind(), Kind::Retry);
    names(&error, &["topic outage", &broker.bootstrap()]);
    assert!(driver.poll(0, ALL, WIDE).is_ok(), "the broker's absence is no error of the reader");
    broker.restart().unwrap();
    client.produce("outage", 0, ["b"]).unwrap();
    driver.until_count(0, 2);
    assert_eq!(driver.taken(0), [text(0, "a"), text(1, "b")]);
    source.discover().unwrap();
}

#[test]
fn next_offsets_are_told_to_lag_tools() {
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use rdkafka::{Offset, TopicPartitionList};
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    client.create_topic("told", 1, &[]).unwrap();
    client.produce("told", 0, ["a", "b"]).unwrap();
    let source =
        Kafka::new(Settings { group: Some("told-group".into()), ..settings(broker, "told") });
    let consumer: BaseConsumer = client.config().set("group.id", "told-group").create().unwrap();
    let deadline = Deadline::after(LIMIT);
    loop {
        source.commit_hint(&[("0".to_owned(), 2)]);
        let mut asked = TopicPartitionList::new();
        asked.add_partition("told", 0);
        let committed = consumer.committed_offsets(asked, LIMIT).unwrap();
        if committed.elements()[0].offset() == Offset::Offset(2) {
            return;
        }
        assert!(deadline.left().is_some(), "the group never learnt of it: {committed:?}");
    }
}

#[test]
fn a_wrong_topic_and_a_wrong_option_are_named() {
    let broker = Broker::shared();
    let error = Kafka::new(settings(broker, "absent")).discover().unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    names(&error, &["topic absent", "does not exist", &broker.bootstrap()]);
    let connection = Connection::new(broker.bootstrap()).option("fetch.min.byte", "1");
    let error = Kafka::new(Settings::new("absent", connection)).discover().unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    names(&error, &["fetch.min.byte"]);
}
