//! Pushes seeded input tick by tick and compares each view and sink with what an oracle makes of all input so far.

use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tidemark::flow::endpoint::kafka;
use tidemark::flow::{Build, Flow, Lag, Stream};
use tidemark::testing::Job;
use tidemark::{EventTime, Row};

/// The partitions of the input.
pub(crate) const PARTITIONS: usize = 3;
/// The bound on disorder, in microseconds.
pub(crate) const LAG: i64 = 5_000_000;

/// A record of the input.
#[derive(Row)]
pub(crate) struct Event {
    /// Where it is.
    pub(crate) partition: u64,
    /// One of a few.
    pub(crate) key: u64,
    /// From -20 to 20.
    pub(crate) value: i64,
    /// Whether it takes its key away.
    pub(crate) gone: bool,
    /// When.
    pub(crate) at: EventTime,
}

impl Event {
    /// A key that is in one partition only.
    pub(crate) fn own(&self) -> u64 {
        self.partition * 10 + self.key
    }
}

/// A record as it was read.
#[derive(Clone)]
pub(crate) struct Read {
    /// Partition and offset: the order of positions.
    pub(crate) pos: (u64, u64),
    /// Its partition's greatest event time before it less the lag.
    pub(crate) stamp: Option<i64>,
    /// The record.
    pub(crate) event: Event,
}

/// What the oracle is told at a tick.
pub(crate) struct Seen {
    /// All records so far.
    pub(crate) records: Vec<Read>,
    /// The watermark in force.
    pub(crate) watermark: Option<i64>,
}

impl Seen {
    /// The records in the order of positions.
    pub(crate) fn by_position(&self) -> Vec<&Read> {
        let mut all: Vec<_> = self.records.iter().collect();
        all.sort_by_key(|read| read.pos);
        all
    }
}

/// What must be there at a tick.
pub(crate) enum Want {
    /// A view's rows, in any order.
    View(&'static str, Vec<String>),
    /// All that a sink has, in any order.
    Sink(&'static str, Vec<String>),
}

/// A row as JSON.
pub(crate) fn json(row: &impl Serialize) -> String {
    serde_json::to_string(row).unwrap()
}

/// A view's row.
pub(crate) fn keyed(key: &impl Serialize, value: &impl Serialize) -> String {
    format!("{{\"key\":{},\"value\":{}}}", json(key), json(value))
}

/// Rows of a keyed view.
pub(crate) fn view<K: Serialize, V: Serialize>(
    rows: impl IntoIterator<Item = (K, V)>,
) -> Vec<String> {
    rows.into_iter().map(|(key, value)| keyed(&key, &value)).collect()
}

/// Rows of a view without a key, which may be there several times.
pub(crate) fn bag<R: Serialize>(rows: impl IntoIterator<Item = R>) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(json(&row)).or_default() += 1;
    }
    let row = |(row, count)| match count {
        1 => format!("{{\"row\":{row}}}"),
        count => format!("{{\"row\":{row},\"count\":{count}}}"),
    };
    counts.into_iter().map(row).collect()
}

/// The source of the input.
pub(crate) fn events<'s>(flow: &Flow<'s>) -> Stream<'s, Event> {
    let lag = Lag(Duration::from_micros(LAG as u64));
    flow.source("events", kafka::topic("events").json::<Event>()).event_time(|e| e.at, lag)
}

/// Splitmix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// Three partitions of different pace, one of which says nothing for the first third and again in the middle; one record in
/// twenty straggles.
fn input(seed: u64, records: usize) -> Vec<Event> {
    let mut random = Random(seed);
    let mut clocks = [1_000_000_i64; PARTITIONS];
    let event = |n: usize| {
        let silent = n < records / 3 || (records / 2..records * 2 / 3).contains(&n);
        let partition = random.below(if silent { 2 } else { 3 }) as usize;
        clocks[partition] += random.below(900 + 400 * partition as u64) as i64;
        let behind = if random.below(20) == 0 { random.below(40_000) } else { random.below(3000) };
        Event {
            partition: partition as u64,
            key: random.below(5),
            value: random.below(41) as i64 - 20,
            gone: random.below(4) == 0,
            at: EventTime::from_millis(clocks[partition] - behind as i64).unwrap(),
        }
    };
    (0..records).map(event).collect()
}

struct Run {
    seen: Seen,
    /// Greatest event time of each partition in ticks so far, and the next offset.
    partitions: Vec<(Option<i64>, u64)>,
}

impl Run {
    /// The watermark of the next tick: of all that was read in ticks before it.
    fn turn(&mut self) {
        let least = self.partitions.iter().map(|(max, _)| max.map(|max| max - LAG)).min();
        self.seen.watermark = self.seen.watermark.max(least.flatten());
    }

    fn read(&mut self, event: Event) {
        let (max, next) = &mut self.partitions[event.partition as usize];
        let at = event.at.micros();
        let (stamp, pos) = (max.map(|max| max - LAG), (event.partition, *next));
        (*max, *next) = (Some(max.map_or(at, |max| max.max(at))), *next + 1);
        self.seen.records.push(Read { pos, stamp, event });
    }

    fn compare(&self, job: &mut Job, place: &str, oracle: impl Fn(&Seen) -> Vec<Want>) {
        for want in oracle(&self.seen) {
            let (what, mut expected, mut found) = match want {
                Want::View(name, rows) => (format!("view {name}"), rows, job.table(name)),
                Want::Sink(name, rows) => (format!("sink {name}"), rows, job.sink(name)),
            };
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "{what} {place}; left is the engine, right the oracle");
        }
    }
}

/// Runs the dataflow and compares it with the oracle at every tick.
pub(crate) fn every_tick(build: Build, seed: u64, oracle: impl Fn(&Seen) -> Vec<Want>) {
    const RECORDS: usize = 210;
    for workers in [1, 2] {
        let mut job = Job::new(build).workers(workers);
        for partition in 0..PARTITIONS {
            job.topic("events").create(&partition.to_string());
        }
        let seen = Seen { records: Vec::new(), watermark: None };
        let mut run = Run { seen, partitions: vec![(None, 0); PARTITIONS] };
        let (mut random, mut left) = (Random(seed + 1), input(seed, RECORDS).into_iter());
        for tick in 1.. {
            let chunk: Vec<_> = left.by_ref().take(random.below(15) as usize + 1).collect();
            let last = chunk.is_empty();
            run.turn();
            for event in chunk {
                job.push_to("events", &event.partition.to_string(), [&event]);
                run.read(event);
            }
            if last {
                job.end_of_time();
                run.seen.watermark = Some(i64::MAX);
            }
            let snapshot = tick % 5 == 2;
            if snapshot {
                job.snapshot()
            } else {
                job.tick()
            };
            let place = format!("at step {tick} on {workers} worker(s), seed {seed}");
            run.compare(&mut job, &place, &oracle);
            if last {
                break;
            }
            // Right behind a snapshot, some ticks behind one, and by a clean end.
            match tick % 9 {
                3 | 7 => {
                    job.restart(if tick % 9 == 3 { 3 - workers } else { workers });
                    run.compare(&mut job, &format!("{place}, restarted"), &oracle);
                }
                5 if tick > 9 => {
                    run.turn();
                    job.stop();
                    run.compare(&mut job, &format!("{place}, stopped"), &oracle);
                }
                _ => {}
            }
        }
    }
}
