//! The schedules of PROTOCOL's counterexamples 7, 8, 10 and 12, on a real broker: what refutes the obvious order does no harm here.
//!
//! A is generation 1, B generation 2, C generation 3. The sink has two lanes.

use crate::phases::Halted;
use crate::settled::settled;
use crate::sink::{identity, lane_tick, row, settings, text};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::Duration;
use tidemark::Kind;
use tidemark::sinks::kafka::{Kafka, Settings};
use tidemark::sinks::{LaneTick, Writer};
use tidemark_tests::broker::Broker;
use tidemark_tests::client::Client;
use tidemark_tests::clock::Deadline;

const LONG: Duration = Duration::from_secs(120);

struct Stage {
    client: Client,
    topic: &'static str,
}

impl Stage {
    fn new(topic: &'static str) -> Stage {
        let client = Client::new(Broker::shared().bootstrap());
        client.create_topic(topic, 1, &[]).unwrap();
        Stage { client, topic }
    }

    fn settings(&self) -> Settings {
        settings(&Broker::shared().bootstrap(), self.topic)
    }

    fn sink(&self) -> Kafka {
        Kafka::new(self.settings(), self.topic)
    }

    /// What an ordinary consumer sees is these ticks' rows, once each.
    fn holds(&self, ticks: &[LaneTick]) {
        settled(&self.client, self.topic);
        let records = self.client.read_committed(self.topic).unwrap();
        let mut seen: Vec<_> = records.iter().map(|r| text(r.value.as_deref())).collect();
        let rows = ticks.iter().flat_map(|tick| &tick.rows);
        let mut expected: Vec<_> = rows.map(|row| text(row.value.as_deref())).collect();
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected, "{}", self.topic);
    }
}

/// A tick of one lane.
fn tick(lane: u16, tick: u64) -> LaneTick {
    let row = |n| row(Some(&format!("k{n}")), Some(&format!("t{tick}lane{lane}r{n}")));
    lane_tick(lane, tick, (0..2).map(row).collect())
}

/// A tick of both lanes.
fn both(number: u64) -> [LaneTick; 2] {
    [tick(0, number), tick(1, number)]
}

/// What the driver of a newer generation's writer does first: it fences, again where an older one disturbs it.
fn takes_over(sink: &mut Kafka, generation: u64) {
    let deadline = Deadline::after(LONG);
    while let Err(error) = sink.fence(&identity(generation), 2) {
        assert!(error.kind() == Kind::Retry && deadline.left().is_some(), "{error}");
    }
}

/// What the driver of a writer does: fence and write again until it is written. Gives how often it failed.
fn drive(sink: &mut Kafka, generation: u64, ticks: &[LaneTick]) -> usize {
    let deadline = Deadline::after(LONG);
    let mut failures = 0;
    loop {
        let done = match failures {
            0 => sink.write(ticks),
            _ => sink.fence(&identity(generation), 2).and_then(|_| sink.write(ticks)),
        };
        match done {
            Ok(()) => return failures,
            Err(error) if matches!(error.kind(), Kind::Retry | Kind::Undecided) => failures += 1,
            Err(error) => panic!("generation {generation}: {error}"),
        }
        assert!(deadline.left().is_some(), "not written in time");
    }
}

/// What a zombie's driver does: fences until it knows why it is none any more.
fn learns(sink: &mut Kafka, generation: u64, newer: u64) {
    let deadline = Deadline::after(LONG);
    loop {
        let error = sink.fence(&identity(generation), 2).unwrap_err();
        if error.kind() == Kind::Fenced {
            assert!(error.message().contains(&format!("generation {newer} has it")), "{error}");
            return;
        }
        assert_eq!(error.kind(), Kind::Retry, "{error}");
        assert!(deadline.left().is_some(), "it learns nothing: {error}");
    }
}

/// 7: A's lane 1 is halted in its commit; B fences both lanes. A finds itself fenced and follows the rule "new producer, same id, read
/// progress", which shows its tick missing in lane 1 while B writes it.
#[test]
fn a_zombie_that_takes_a_lane_back_does_not_write_what_is_missing_there() {
    let stage = Stage::new("schedule-7");
    let mut a = stage.sink();
    a.fence(&identity(1), 2).unwrap();
    a.write(&[tick(0, 1)]).unwrap();
    let halted = Halted::at("sink-transaction-commit", move || {
        let written = a.write(&[tick(1, 1)]);
        (a, written)
    });
    let mut b = stage.sink();
    let progress = b.fence(&identity(2), 2).unwrap();
    let reached: Vec<_> = progress.iter().map(|p| p.as_ref().map(|p| p.tick)).collect();
    assert_eq!(reached, [Some(1), None], "the commit of lane 1 is decided: it did not happen");
    let (mut a, written) = halted.go_on();
    assert_eq!(written.unwrap_err().kind(), Kind::Undecided);
    learns(&mut a, 1, 2);
    assert!(drive(&mut b, 2, &both(1)) > 0, "A has disturbed B once");
    drive(&mut b, 2, &both(2));
    stage.holds(&[both(1), both(2)].concat());
}

/// 8: B takes over between A's look for a newer generation and A's init, and between A's init and its mark.
#[test]
fn a_look_before_the_init_would_not_do() {
    for (topic, phase) in
        [("schedule-8-init", "sink-lane-take"), ("schedule-8-mark", "sink-lane-taken")]
    {
        let stage = Stage::new(topic);
        let mut a = stage.sink();
        a.fence(&identity(1), 2).unwrap();
        a.write(&both(1)).unwrap();
        let halted = Halted::at(phase, move || {
            let fenced = a.fence(&identity(1), 2).map(drop);
            (a, fenced)
        });
        let mut b = stage.sink();
        // A's other lane goes on meanwhile and may disturb it, in its fence or in what it writes.
        takes_over(&mut b, 2);
        drive(&mut b, 2, &both(2));
        let (mut a, fenced) = halted.go_on();
        let error = fenced.unwrap_err();
        assert!(matches!(error.kind(), Kind::Fenced | Kind::Retry), "{phase}: {error}");
        learns(&mut a, 1, 2);
        assert_eq!(a.write(&both(3)).unwrap_err().kind(), Kind::Internal, "it holds no lane");
        drive(&mut b, 2, &both(3));
        stage.holds(&[both(1), both(2), both(3)].concat());
    }
}

/// 10: the first fence is an init too. B has opened and is slow; C opens, fences and writes; then B fences.
#[test]
fn a_slow_first_fence_takes_nothing_from_a_newer_generation() {
    let stage = Stage::new("schedule-10");
    let mut a = stage.sink();
    a.fence(&identity(1), 2).unwrap();
    a.write(&both(1)).unwrap();
    let mut b = stage.sink();
    let halted = Halted::at("sink-lane-take", move || {
        let fenced = b.fence(&identity(2), 2).map(drop);
        (b, fenced)
    });
    let mut c = stage.sink();
    takes_over(&mut c, 3);
    drive(&mut c, 3, &[tick(0, 2)]);
    let (mut b, fenced) = halted.go_on();
    let error = fenced.unwrap_err();
    assert!(matches!(error.kind(), Kind::Fenced | Kind::Retry), "{error}");
    learns(&mut b, 2, 3);
    learns(&mut a, 1, 3);
    drive(&mut c, 3, &both(2));
    stage.holds(&[both(1), both(2)].concat());
}

/// 12: a commit is undecided but applied, and an older transaction is open in the same partition of progress: to a reader of what is
/// committed the partition ends before it.
#[test]
fn progress_behind_an_open_transaction_is_waited_for() {
    let stage = Stage::new("schedule-12");
    let mut a = stage.sink();
    a.fence(&identity(1), 2).unwrap();
    let progress_topic = stage.settings().progress_topic("job", stage.topic);
    let mut config = stage.client.config();
    config.set("transactional.id", "somebody-else").set("transaction.timeout.ms", "60000");
    let other: BaseProducer = config.create().unwrap();
    other.init_transactions(LONG).unwrap();
    other.begin_transaction().unwrap();
    let record = BaseRecord::to(&progress_topic).partition(0).key("other").payload("{}");
    other.send(record).unwrap();
    other.flush(LONG).unwrap();
    a.write(&[tick(0, 1)]).unwrap();

    let ends = |client: &Client| {
        let records = client.read_committed(&progress_topic);
        records.unwrap().into_iter().filter(|r| r.partition == 0).count()
    };
    assert_eq!(ends(&stage.client), 1, "a reader to the end finds A's mark, and no progress");
    let hurried = Settings { timeout_ms: 3_000, ..stage.settings() };
    let error = Kafka::new(hurried, stage.topic).fence(&identity(2), 2).unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{error}");
    assert!(error.message().contains("could not be read in time"), "{error}");

    other.abort_transaction(LONG).unwrap();
    let mut b = stage.sink();
    let progress = b.fence(&identity(2), 2).unwrap();
    assert_eq!(progress[0].as_ref().map(|p| (p.tick, p.last)), Some((1, true)));
    drive(&mut b, 2, &both(1));
    stage.holds(&both(1));
}
