//! Exactly once, whatever happens to the writer, to the broker, or to who leads.

use crate::phases::{Halted, Phases};
use crate::settled::settled;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use tidemark::Kind;
use tidemark::ids::{Generation, Lane, Nonce};
use tidemark::kafka::Connection;
use tidemark::sinks::kafka::progress::{Entry, parse};
use tidemark::sinks::kafka::{Kafka, Settings, partition_of_key};
use tidemark::sinks::resume::digest;
use tidemark::sinks::{Identity, LaneTick, Progress, Row, Writer};
use tidemark_tests::broker::Broker;
use tidemark_tests::client::{Client, Record};
use tidemark_tests::clock::{self, Deadline};
use tidemark_tests::process::Signal;

pub(crate) fn settings(bootstrap: &str, topic: &str) -> Settings {
    let mut settings = Settings::new(topic, Connection::new(bootstrap));
    settings.replication = 1;
    settings
}

pub(crate) fn identity(generation: u64) -> Identity {
    Identity {
        job: "job".into(),
        program: "program".into(),
        generation: Generation(generation),
        nonce: Nonce(1_000 + generation),
    }
}

pub(crate) fn row(key: Option<&str>, value: Option<&str>) -> Row {
    let bytes = |text: &str| text.to_owned().into();
    Row { shard: 5, key: key.map(bytes), diff: 1, value: value.map(bytes) }
}

pub(crate) fn lane_tick(lane: u16, tick: u64, rows: Vec<Row>) -> LaneTick {
    let offsets = BTreeMap::from([("0".to_owned(), tick * 10)]);
    LaneTick {
        lane: Lane(lane),
        tick,
        rows,
        next_offsets: BTreeMap::from([("clicks".to_owned(), offsets)]),
        watermarks: BTreeMap::from([("clicks".to_owned(), -7)]),
    }
}

/// A tick of lane 0 with rows `t<tick>r0`, `t<tick>r1`, ...
fn tick(tick: u64, rows: usize) -> LaneTick {
    let rows = (0..rows).map(|i| row(Some(&format!("k{i}")), Some(&format!("t{tick}r{i}"))));
    lane_tick(0, tick, rows.collect())
}

/// The values of all ticks in `ticks`, in order.
fn values(ticks: &[LaneTick]) -> Vec<String> {
    let rows = ticks.iter().flat_map(|tick| &tick.rows);
    let mut values: Vec<String> = rows.map(|row| text(row.value.as_deref())).collect();
    values.sort();
    values
}

pub(crate) fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap()
}

/// The values that an ordinary consumer sees, in order; each must have its tick's header.
fn seen(client: &Client, topic: &str) -> Vec<String> {
    let mut values = Vec::new();
    settled(client, topic);
    for record in client.read_committed(topic).unwrap() {
        let value = text(record.value.as_deref());
        let tick = record.header("tidemark-tick").expect("each row has the header");
        assert!(value.starts_with(&format!("t{tick}r")), "{value} has the header of tick {tick}");
        values.push(value);
    }
    values.sort();
    values
}

fn entries(client: &Client, topic: &str) -> Vec<(Record, Entry)> {
    settled(client, topic);
    let records = client.read_committed(topic).unwrap().into_iter();
    records.map(|r| (r.clone(), parse(r.value.as_deref().unwrap()).unwrap())).collect()
}

fn whole(progress: Option<&Progress>) -> Option<u64> {
    progress.map(|p| {
        assert!(p.last, "{p:?}");
        p.tick
    })
}

#[test]
fn rows_and_progress_stand_as_documented() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    client.create_topic("stand", 3, &[]).unwrap();
    let mut sink = Kafka::new(settings(&broker.bootstrap(), "stand"), "out");
    assert_eq!(sink.describe(), "kafka topic stand");
    assert_eq!(sink.fence(&identity(1), 2).unwrap(), [None, None]);
    let first = vec![row(None, Some("t1r0")), row(Some("a"), Some("t1r1")), row(Some("b"), None)];
    let ticks = [
        lane_tick(0, 1, first.clone()),
        lane_tick(1, 1, vec![row(Some("a"), Some("t1r3"))]),
        lane_tick(0, 2, vec![]),
        lane_tick(0, 4, vec![row(Some("c"), Some("t4r0"))]),
    ];
    sink.write(&ticks).unwrap();

    settled(&client, "stand");
    let mut records = client.read_committed("stand").unwrap();
    records.sort_by(|a, b| (&a.key, &a.value).cmp(&(&b.key, &b.value)));
    let found: Vec<_> = records
        .iter()
        .map(|r| (r.key.clone(), r.value.clone(), r.header("tidemark-tick").unwrap(), r.partition))
        .collect();
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    let by_key = |key: &str| partition_of_key(key.as_bytes(), 3);
    let expected = [
        (None, bytes("t1r0"), "1", 5 % 3),
        (bytes("a"), bytes("t1r1"), "1", by_key("a")),
        (bytes("a"), bytes("t1r3"), "1", by_key("a")),
        (bytes("b"), None, "1", by_key("b")),
        (bytes("c"), bytes("t4r0"), "4", by_key("c")),
    ];
    assert_eq!(found, expected);

    // The progress topic, made by the sink: a mark and three ticks in lane 0, a mark and one tick in lane 1.
    let entries = entries(&client, "job.out.progress");
    let shape: Vec<_> = entries
        .iter()
        .map(|(record, entry)| match entry {
            Entry::Mark(m) => (record.partition, text(record.key.as_deref()), m.generation.0, 0),
            Entry::Progress(p) => (record.partition, text(record.key.as_deref()), p.tick, p.rows),
            Entry::Unknown => panic!("unknown: {record:?}"),
        })
        .collect();
    let mark = |lane| (lane, "mark/1".to_owned(), 1, 0);
    let progress = |lane, tick, rows| (lane, "progress".to_owned(), tick, rows);
    let expected = [
        mark(0),
        progress(0, 1, 3),
        progress(0, 2, 0),
        progress(0, 4, 1),
        mark(1),
        progress(1, 1, 1),
    ];
    assert_eq!(shape, expected);
    let Entry::Progress(first_tick) = &entries[1].1 else { panic!("{entries:?}") };
    let expected = Progress {
        job: "job".into(),
        sink: "out".into(),
        lane: Lane(0),
        program: "program".into(),
        generation: Generation(1),
        nonce: Nonce(1_001),
        tick: 1,
        rows: 3,
        digest: digest(0, &first),
        last: true,
        next_offsets: ticks[0].next_offsets.clone(),
        watermarks: ticks[0].watermarks.clone(),
    };
    assert_eq!(first_tick, &expected);

    // A successor learns all that and writes nothing again.
    let mut next = Kafka::new(settings(&broker.bootstrap(), "stand"), "out");
    let progress = next.fence(&identity(2), 2).unwrap();
    assert_eq!([whole(progress[0].as_ref()), whole(progress[1].as_ref())], [Some(4), Some(1)]);
    next.write(&ticks).unwrap();
    settled(&client, "stand");
    assert_eq!(client.read_committed("stand").unwrap().len(), 5);
}

#[test]
fn a_large_tick_is_torn_resumed_and_compared() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    client.create_topic("torn", 2, &[]).unwrap();
    let with = |chunk_rows| Settings { chunk_rows, ..settings(&broker.bootstrap(), "torn") };
    let ticks = [tick(1, 3), tick(2, 25), tick(3, 4)];

    // The third transaction is never begun: tick 1, then two pieces of tick 2, are there.
    let mut sink = Kafka::new(with(10), "torn");
    sink.fence(&identity(1), 1).unwrap();
    let begun = AtomicUsize::new(0);
    let died = Phases(move |phase: &str| {
        if phase == "sink-transaction-begin" && begun.fetch_add(1, Ordering::SeqCst) == 3 {
            panic!("the writer dies here");
        }
    });
    assert!(catch_unwind(AssertUnwindSafe(|| died.during(|| sink.write(&ticks)))).is_err());
    drop(sink);
    assert_eq!(seen(&client, "torn").len(), 23);

    // Another chunk size resumes at the row; other rows are refused and change nothing.
    let mut next = Kafka::new(with(7), "torn");
    let progress = next.fence(&identity(2), 1).unwrap().remove(0).unwrap();
    assert_eq!((progress.tick, progress.rows, progress.last), (2, 20, false));
    let mut other = tick(2, 25);
    other.rows[19].value = Some(b"t2rX"[..].into());
    let error = next.write(&[other]).unwrap_err();
    assert_eq!(error.kind(), Kind::Nondeterministic);
    assert!(error.message().contains("sink torn") && error.message().contains("tick 2"), "{error}");
    assert_eq!(seen(&client, "torn").len(), 23);

    next.write(&ticks[1..]).unwrap();
    assert_eq!(seen(&client, "torn"), values(&ticks));
    let pieces: Vec<_> = entries(&client, "job.torn.progress")
        .into_iter()
        .filter_map(|(_, entry)| match entry {
            Entry::Progress(p) => Some((p.generation.0, p.tick, p.rows, p.last)),
            _ => None,
        })
        .collect();
    let expected =
        [(1, 1, 3, true), (1, 2, 10, false), (1, 2, 20, false), (2, 2, 25, true), (2, 3, 4, true)];
    assert_eq!(pieces, expected);
}

const ROLE: &str = "TIDEMARK_TEST_KILLED_WRITER";

/// A writer killed with SIGKILL at each step of its second tick.
#[test]
fn a_killed_writer_leaves_a_tick_whole_or_not_at_all() {
    if let Ok(role) = std::env::var(ROLE) {
        return killed_writer(&role);
    }
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    for (step, committed) in [("begin", 1), ("rows", 1), ("commit", 1), ("committed", 2)] {
        let topic = format!("killed-{step}");
        client.create_topic(&topic, 2, &[]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let reached = folder.path().join("reached");
        let role = format!("{} {topic} {step} {}", broker.bootstrap(), reached.display());
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sink::a_killed_writer_leaves_a_tick_whole_or_not_at_all"])
            .env(ROLE, role)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Deadline::after(Duration::from_secs(60));
        while !reached.exists() {
            assert!(child.try_wait().unwrap().is_none(), "{step}: the writer ended by itself");
            assert!(deadline.left().is_some(), "{step}: never reached");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let mut next = Kafka::new(settings(&broker.bootstrap(), &topic), topic.clone());
        let progress = next.fence(&identity(2), 1).unwrap();
        assert_eq!(whole(progress[0].as_ref()), Some(committed), "killed at {step}");
        let ticks = [tick(1, 3), tick(2, 3), tick(3, 3)];
        next.write(&ticks).unwrap();
        assert_eq!(seen(&client, &topic), values(&ticks), "killed at {step}");
    }
}

/// The child: writes two ticks, halts for ever at a step of the second.
fn killed_writer(role: &str) {
    let [bootstrap, topic, step, reached] = role.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{role}");
    };
    let (step, reached) = (format!("sink-transaction-{step}"), PathBuf::from(reached));
    let mut sink = Kafka::new(settings(bootstrap, topic), topic);
    sink.fence(&identity(1), 1).unwrap();
    sink.write(&[tick(1, 3)]).unwrap();
    let halt = Phases(move |phase: &str| {
        if phase == step {
            std::fs::write(&reached, "").unwrap();
            loop {
                std::thread::park();
            }
        }
    });
    halt.during(|| sink.write(&[tick(2, 3)])).unwrap();
}

/// A zombie halted at each step of a tick while its successor takes the lane.
#[test]
fn a_zombie_commits_nothing_after_its_lane_was_taken() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    // At "rows" the broker may have the rows already or not.
    for (step, kinds) in [
        ("begin", &[Kind::Retry][..]),
        ("rows", &[Kind::Retry, Kind::Undecided]),
        ("commit", &[Kind::Undecided]),
    ] {
        let topic = format!("zombie-{step}");
        client.create_topic(&topic, 1, &[]).unwrap();
        let new = || Kafka::new(settings(&broker.bootstrap(), &topic), topic.clone());
        let ticks = [tick(1, 2), tick(2, 2), tick(3, 2)];
        let mut zombie = new();
        zombie.fence(&identity(1), 1).unwrap();
        zombie.write(&ticks[..1]).unwrap();

        let second = ticks[1].clone();
        let halted = Halted::at(&format!("sink-transaction-{step}"), move || {
            let written = zombie.write(&[second]);
            (zombie, written)
        });
        let mut leader = new();
        assert_eq!(whole(leader.fence(&identity(2), 1).unwrap()[0].as_ref()), Some(1));
        leader.write(&ticks[1..2]).unwrap();
        let (mut zombie, written) = halted.go_on();
        let error = written.unwrap_err();
        assert!(kinds.contains(&error.kind()), "halted at {topic}: {error}");
        assert_eq!(zombie.write(&ticks[1..2]).map_err(|e| e.kind()), Err(Kind::Internal));

        // It takes the lane back, as anybody can, and sees that it must not use it.
        let error = zombie.fence(&identity(1), 1).unwrap_err();
        assert_eq!(error.kind(), Kind::Fenced, "{error}");
        assert!(error.message().contains("generation 2"), "{error}");

        // That cost the leader its producer, and nothing else.
        let error = leader.write(&ticks[2..]).unwrap_err();
        assert!(matches!(error.kind(), Kind::Retry | Kind::Undecided), "{error}");
        assert_eq!(whole(leader.fence(&identity(2), 1).unwrap()[0].as_ref()), Some(2));
        leader.write(&ticks[2..]).unwrap();
        assert_eq!(seen(&client, &topic), values(&ticks), "halted at {topic}");
    }
}

/// Fences and writes on until all of `ticks` is written; gives how often a write failed.
fn finish(sink: &mut Kafka, generation: u64, ticks: &[LaneTick]) -> usize {
    let deadline = Deadline::after(Duration::from_secs(120));
    let mut failures = 0;
    loop {
        assert!(deadline.left().is_some(), "not written in time");
        let done = sink.fence(&identity(generation), 1).and_then(|_| sink.write(ticks));
        match done {
            Ok(()) => return failures,
            Err(error) if matches!(error.kind(), Kind::Retry | Kind::Undecided) => failures += 1,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn an_undecided_commit_is_decided_by_progress() {
    let broker = Broker::start().unwrap();
    let client = Client::new(broker.bootstrap());
    client.create_topic("undecided", 1, &[]).unwrap();
    let short = Settings { timeout_ms: 2_000, ..settings(&broker.bootstrap(), "undecided") };
    let mut sink = Kafka::new(short, "undecided");
    let ticks = [tick(1, 2), tick(2, 2), tick(3, 2)];
    assert_eq!(finish(&mut sink, 1, &ticks[..1]), 0);
    // The broker halts just before the commit is asked for: it may or may not get the request.
    let error = std::thread::scope(|scope| {
        let (halt, halted) = channel();
        let (go_on, gone_on) = channel::<()>();
        let (broker, gone_on) = (&broker, Mutex::new(gone_on));
        scope.spawn(move || {
            halted.recv().unwrap();
            broker.signal(Signal::Stop).unwrap();
            go_on.send(()).unwrap();
        });
        let at_commit = Phases(move |phase: &str| {
            if phase == "sink-transaction-commit" {
                halt.send(()).unwrap();
                gone_on.lock().unwrap().recv().unwrap();
            }
        });
        at_commit.during(|| sink.write(&ticks[1..2])).unwrap_err()
    });
    assert_eq!(error.kind(), Kind::Undecided, "{error}");
    broker.signal(Signal::Cont).unwrap();
    finish(&mut sink, 1, &ticks);
    assert_eq!(seen(&client, "undecided"), values(&ticks));
}

#[test]
fn a_broker_killed_at_any_step_costs_nothing_but_time() {
    let broker = std::sync::Arc::new(Broker::start().unwrap());
    let client = Client::new(broker.bootstrap());
    client.create_topic("outage", 2, &[]).unwrap();
    let short = Settings { timeout_ms: 10_000, ..settings(&broker.bootstrap(), "outage") };
    let mut sink = Kafka::new(short, "outage");
    finish(&mut sink, 1, &[tick(1, 3)]);
    let mut ticks = vec![tick(1, 3)];
    for (number, step) in ["begin", "rows", "commit", "committed"].iter().enumerate() {
        ticks.push(tick(2 + number as u64, 3));
        let (step, broker) = (format!("sink-transaction-{step}"), broker.clone());
        let kill = Phases(move |phase: &str| {
            if phase == step {
                broker.kill().unwrap();
                broker.restart().unwrap();
            }
        });
        let written = kill.during(|| sink.write(&ticks[ticks.len() - 1..]));
        if let Err(error) = written {
            assert!(matches!(error.kind(), Kind::Retry | Kind::Undecided), "{error}");
            finish(&mut sink, 1, &ticks);
        }
    }
    assert_eq!(whole(sink.fence(&identity(1), 1).unwrap()[0].as_ref()), Some(5));
    // A broker killed right after it wrote the marks of a commit may hold its rows back from readers until the partition is
    // written to again (seen with Kafka 4.3.1: last stable offset before the rows, high watermark behind the mark).
    ticks.push(tick(6, 3));
    sink.write(&ticks[5..]).unwrap();
    assert_eq!(seen(&client, "outage"), values(&ticks));
}

#[test]
fn progress_is_found_however_far_back_it_lies() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    client.create_topic("far", 1, &[]).unwrap();
    let mut sink = Kafka::new(settings(&broker.bootstrap(), "far"), "far");
    sink.fence(&identity(1), 1).unwrap();
    sink.write(&[tick(8, 1)]).unwrap();
    let producer = client.producer().unwrap();
    for _ in 0..5_000 {
        let later = br#"{"kind":"of a later version"}"#;
        producer.send("job.far.progress", 0, Some(b"other"), Some(later)).unwrap();
    }
    producer.flush().unwrap();
    assert_eq!(whole(sink.fence(&identity(1), 1).unwrap()[0].as_ref()), Some(8));
    // A newer generation's mark lies as far back and is seen too.
    let mut newer = Kafka::new(settings(&broker.bootstrap(), "far"), "far");
    newer.fence(&identity(5), 1).unwrap();
    for _ in 0..100 {
        let later = br#"{"kind":"of a later version"}"#;
        producer.send("job.far.progress", 0, Some(b"other"), Some(later)).unwrap();
    }
    producer.flush().unwrap();
    assert_eq!(sink.fence(&identity(1), 1).unwrap_err().kind(), Kind::Fenced);
}

#[test]
fn topics_that_exactly_once_cannot_stand_on_are_refused() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    let refused = |settings: Settings, sink: &str, lanes: u16, part: &str| {
        let error = Kafka::new(settings, sink).fence(&identity(1), lanes).unwrap_err();
        assert_eq!(error.kind(), Kind::Config, "{error}");
        assert!(error.message().contains(part), "{part:?} is missing in: {error}");
    };
    let good = |topic: &str| settings(&broker.bootstrap(), topic);
    refused(good("nowhere"), "refused-1", 1, "kafka topic nowhere does not exist");
    refused(Settings { replication: 3, ..good("nowhere") }, "refused-2", 1, "set replication");
    client
        .create_topic("job.refused-3.progress", 1, &[("cleanup.policy", "compact,delete")])
        .unwrap();
    refused(good("nowhere"), "refused-3", 1, "cleanup.policy compact,delete");
    client.create_topic("job.refused-4.progress", 1, &[("cleanup.policy", "compact")]).unwrap();
    refused(good("nowhere"), "refused-4", 2, "1 partitions for 2 lanes");

    // Of a sink that is no more only progress is needed; where told, the topic of rows is made.
    let mut retired = Kafka::retired(good("nowhere"), "refused-1");
    assert_eq!(retired.fence(&identity(2), 1).unwrap(), [None]);
    let mut made = Kafka::new(Settings { partitions: Some(3), ..good("made") }, "made");
    made.fence(&identity(1), 1).unwrap();
    made.write(&[tick(1, 1)]).unwrap();
    assert_eq!(client.partitions("made").unwrap(), 3);

    // A progress topic that another sink has.
    let mut settings = good("made");
    settings.progress_topic = Some("job.made.progress".into());
    refused(settings, "thief", 1, "belongs to job job, sink made");
}

#[test]
fn a_row_too_large_is_named_and_holds_no_reader_up() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    client.create_topic("large", 1, &[]).unwrap();
    let mut sink = Kafka::new(settings(&broker.bootstrap(), "large"), "large");
    sink.fence(&identity(1), 1).unwrap();
    let mut ticks = [tick(1, 2), tick(2, 1)];
    ticks[1].rows[0].value = Some(vec![b'x'; 2_000_000].into());
    let error = sink.write(&ticks).unwrap_err();
    assert_eq!(error.kind(), Kind::Input, "{error}");
    assert!(
        error.message().contains("tick 2") && error.message().contains("2000002 bytes"),
        "{error}"
    );
    // What comes behind the aborted rows is seen at once, not when the transaction's time is over.
    client.produce("large", 0, ["behind"]).unwrap();
    let records = client.read_committed("large").unwrap();
    assert_eq!(records.iter().map(|r| text(r.value.as_deref())).collect::<Vec<_>>(), ["behind"]);
}

/// Prints what a transaction takes; a delay of 100 ms somewhere in a client would show here.
#[test]
#[expect(clippy::print_stdout, reason = "figures for whoever looks")]
fn small_transactions_are_quick() {
    let broker = Broker::shared();
    let client = Client::new(broker.bootstrap());
    client.create_topic("quick", 1, &[]).unwrap();
    let mut sink = Kafka::new(settings(&broker.bootstrap(), "quick"), "quick");
    let begun = clock::now();
    sink.fence(&identity(1), 1).unwrap();
    println!("fence: {:?}", begun.elapsed());
    let mut took: Vec<Duration> = (1..=50)
        .map(|number| {
            let begun = clock::now();
            sink.write(&[tick(number, 3)]).unwrap();
            begun.elapsed()
        })
        .collect();
    took.sort();
    println!("transaction: median {:?}, greatest {:?}", took[25], took[49]);
    let begun = clock::now();
    sink.write(&[tick(51, 20_000)]).unwrap();
    println!("20,000 rows: {:?}", begun.elapsed());
    settled(&client, "quick");
    assert_eq!(client.read_committed("quick").unwrap().len(), 50 * 3 + 20_000);
}
