//! The tick log on Kafka: one order for all, read up to one's own mark, cut, and refused where it could lose records.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::time::Duration;
use tidemark::Kind;
use tidemark::ids::Generation;
use tidemark::kafka::Connection;
use tidemark::ticks::counts::{Counter, Verdict, Why};
use tidemark::ticks::log::kafka::{KafkaLog, Settings};
use tidemark::ticks::log::thread::{Event, LogThread, Settings as ThreadSettings};
use tidemark::ticks::log::{Log, append_and_count, read_and_count};
use tidemark::ticks::record::Record;
use tidemark_tests::broker::Broker;
use tidemark_tests::client::Client;

const LIMIT: Duration = Duration::from_secs(60);

fn settings(broker: &Broker, topic: &str) -> Settings {
    let connection = Connection::new(broker.bootstrap());
    Settings { replication: 1, ..Settings::new(topic, connection) }
}

fn hold(topic: &str) -> KafkaLog {
    KafkaLog::open(settings(Broker::shared(), topic)).unwrap()
}

fn open_json(generation: u64) -> String {
    format!(
        r#"{{"generation":{generation},"nonce":"1","log_id":"2","program":"p","base":null,"sinks":[]}}"#
    )
}

fn open(generation: u64) -> Record {
    let open = open_json(generation);
    Record::from_json(format!(r#"{{"type":"open",{}"#, &open[1..]).as_bytes()).unwrap()
}

fn tick(generation: u64, tick: u64) -> Record {
    let json = format!(r#"{{"type":"tick","generation":{generation},"tick":{tick},"wall":0}}"#);
    Record::from_json(json.as_bytes()).unwrap()
}

fn all(log: &mut KafkaLog) -> Vec<(u64, Record)> {
    let mut seen = Vec::new();
    log.read(&mut |position, record| {
        seen.push((position, record));
        Ok(())
    })
    .unwrap();
    seen
}

#[test]
fn everybody_reads_one_order_and_an_append_gives_what_stands_before_it() {
    let (mut a, mut b) = (hold("log-order"), hold("log-order"));
    assert_eq!(a.log_id(), b.log_id());
    assert_eq!(all(&mut a), []);
    let entries = |entries: Vec<tidemark::ticks::log::Entry>| -> Vec<_> {
        entries.into_iter().map(|e| (e.position, e.own, e.record)).collect()
    };
    let own = entries(a.append(&[open(1), tick(1, 1)]).unwrap());
    assert_eq!(own, [(0, true, open(1)), (1, true, tick(1, 1))]);
    // Never read: everything comes with its first append.
    let first = entries(b.append(&[open(2)]).unwrap());
    assert_eq!(first, [(0, false, open(1)), (1, false, tick(1, 1)), (2, true, open(2))]);
    let between = entries(a.append(&[tick(1, 2), tick(1, 3)]).unwrap());
    assert_eq!(between, [(2, false, open(2)), (3, true, tick(1, 2)), (4, true, tick(1, 3))]);
    assert_eq!(all(&mut b), [(3, tick(1, 2)), (4, tick(1, 3))]);
    assert_eq!(all(&mut b), []);
    // Acknowledged right after the last one known: nothing to read, and nothing twice.
    assert_eq!(entries(b.append(&[tick(2, 2)]).unwrap()), [(5, true, tick(2, 2))]);
    assert_eq!(all(&mut b), []);
    assert_eq!(all(&mut hold("log-order")).len(), 6);
}

/// D3: the zombie's append is acknowledged, and what it says does not exist.
#[test]
fn an_acknowledged_append_of_a_zombie_does_not_count() {
    let (mut a, mut b) = (hold("log-zombie"), hold("log-zombie"));
    let (mut a_view, mut b_view) = (Counter::new(), Counter::new());
    append_and_count(&mut a, &mut a_view, &[open(1), tick(1, 1)]).unwrap();
    append_and_count(&mut b, &mut b_view, &[open(2)]).unwrap();
    let verdict = append_and_count(&mut a, &mut a_view, &[tick(1, 2)]).unwrap();
    assert_eq!(verdict, [Verdict::Not(Why::NotOpen(Some(Generation(2))))]);
    let verdict = append_and_count(&mut b, &mut b_view, &[tick(2, 2)]).unwrap();
    assert_eq!(verdict, [Verdict::Counts]);
    read_and_count(&mut a, &mut a_view).unwrap();
    assert_eq!(a_view, b_view);
}

#[test]
fn an_idle_leader_notices_a_newer_one_and_ends() {
    let mut log = hold("log-idle");
    let mut counter = Counter::new();
    append_and_count(&mut log, &mut counter, &[open(1)]).unwrap();
    let (tell, events) = channel();
    let settings =
        ThreadSettings { look_after: Duration::from_millis(20), ..ThreadSettings::default() };
    let on = move |event| tell.send(event).unwrap();
    let thread = LogThread::start(Box::new(log), counter, Generation(1), settings, on).unwrap();
    thread.appender().append(tick(1, 1)).unwrap();
    assert_eq!(events.recv_timeout(LIMIT), Ok(Event::Counted(tick(1, 1))));
    hold("log-idle").append(&[open(2)]).unwrap();
    assert_eq!(events.recv_timeout(LIMIT), Ok(Event::Deposed { by: Generation(2) }));
    assert_eq!(thread.appender().append(tick(1, 2)).unwrap_err().kind(), Kind::Fenced);
    thread.stop();
}

#[test]
fn a_cut_log_begins_with_its_state_at_the_same_position() {
    let mut log = hold("log-cut");
    let mut counter = Counter::new();
    let mut add = |record: &Record, log: &mut KafkaLog| {
        append_and_count(log, &mut counter, std::slice::from_ref(record)).unwrap();
        counter.state().map(Record::State)
    };
    add(&open(1), &mut log);
    add(&tick(1, 1), &mut log);
    let state = add(&tick(1, 2), &mut log).unwrap();
    add(&state, &mut log);
    add(&tick(1, 3), &mut log);
    assert_eq!(log.cut(2).unwrap_err().kind(), Kind::Internal, "a tick");
    log.cut(3).unwrap();
    log.cut(3).unwrap();
    assert_eq!(all(&mut hold("log-cut")), [(3, state), (4, tick(1, 3))]);
    let mut cut = Counter::new();
    read_and_count(&mut hold("log-cut"), &mut cut).unwrap();
    assert_eq!((cut.last_tick(), cut.reaches_back_to()), (3, 2));
    assert_eq!(log.append(&[tick(1, 4)]).unwrap()[0].position, 5);
}

#[test]
fn a_topic_that_would_lose_records_is_refused_and_ours_is_made_right() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    let refused = |topic: &str, partitions, options: &[(&str, &str)], part: &str| {
        client.create_topic(topic, partitions, options).unwrap();
        let Err(error) = KafkaLog::open(settings(broker, topic)) else { panic!("{topic} opened") };
        assert_eq!(error.kind(), Kind::Config, "{error}");
        for part in [topic, part] {
            assert!(error.message().contains(part), "{part}: {error}");
        }
    };
    refused("log-short", 1, &[("retention.ms", "1000")], "set retention.ms=-1");
    refused("log-compact", 1, &[("cleanup.policy", "compact")], "cleanup.policy=compact");
    refused("log-wide", 2, &[("retention.ms", "-1")], "2 partitions");
    let three = Settings { replication: 3, ..settings(broker, "log-three") };
    let Err(error) = KafkaLog::open(three) else { panic!("one broker has no three replicas") };
    assert_eq!(error.kind(), Kind::Config, "{error}");
    assert!(error.message().contains("fewer brokers"), "{error}");
    // Ours passes its own check when it is opened again.
    let id = hold("log-own").log_id();
    assert_eq!(hold("log-own").log_id(), id);
}

#[test]
fn a_topic_made_anew_is_another_log() {
    let client = Client::new(Broker::shared().bootstrap());
    let mut old = hold("log-anew");
    old.append(&[open(1), tick(1, 1)]).unwrap();
    client.delete_topic("log-anew").unwrap();
    client.create_topic("log-anew", 1, &[("retention.ms", "-1")]).unwrap();
    assert_ne!(hold("log-anew").log_id(), old.log_id());
}

#[test]
fn foreign_bytes_are_refused_by_offset() {
    let client = Client::new(Broker::shared().bootstrap());
    hold("log-foreign").append(&[open(1)]).unwrap();
    client.produce("log-foreign", 0, ["something else"]).unwrap();
    let error = hold("log-foreign").read(&mut |_, _| Ok(())).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.message().contains("log-foreign offset 1"), "{error}");
}

/// A broker that is away longer than an append waits: undecided, and never appended again by the same holder. One that comes back in
/// time is only waited for.
#[test]
fn a_broker_that_goes_away() {
    let broker = Broker::start().unwrap();
    let quick = Settings { timeout_ms: 8_000, ..settings(&broker, "log-away") };
    let patient = Settings { timeout_ms: 180_000, ..settings(&broker, "log-away") };
    let mut patient = KafkaLog::open(patient).unwrap();
    let mut hasty = KafkaLog::open(quick).unwrap();
    patient.append(&[open(1)]).unwrap();
    assert_eq!(all(&mut hasty), [(0, open(1))]);
    broker.kill().unwrap();
    for _ in 0..2 {
        assert_eq!(hasty.append(&[tick(1, 9)]).unwrap_err().kind(), Kind::Undecided);
    }
    std::thread::scope(|scope| {
        let appended = scope.spawn(|| patient.append(&[tick(1, 1)]).unwrap());
        broker.restart().unwrap();
        let last = appended.join().unwrap().pop().unwrap();
        assert!(last.own);
        assert_eq!(last.record, tick(1, 1));
    });
    assert_eq!(hasty.append(&[tick(1, 9)]).unwrap_err().kind(), Kind::Undecided);
    let mut counts = BTreeMap::<Vec<u8>, usize>::new();
    for (_, record) in all(&mut KafkaLog::open(settings(&broker, "log-away")).unwrap()) {
        *counts.entry(record.to_json()).or_default() += 1;
    }
    assert_eq!(counts[&tick(1, 1).to_json()], 1, "sent again, and once in the log");
    assert!(!counts.contains_key(&tick(1, 9).to_json()), "given up before it was sent");
}
