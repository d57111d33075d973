//! Windows: what is open, what is closed, what is late.

use crate::machine::{Event, Seen, Want, events, every_tick, json, view};
use std::collections::BTreeMap;
use std::time::Duration;
use tidemark::EventTime;
use tidemark::flow::Flow;
use tidemark::flow::endpoint::kafka;
use tidemark::operators::aggregate::{count, sum};
use tidemark::operators::window::{Closed, Late, WindowKey, hopping, tumbling};

const SECOND: i64 = 1_000_000;

fn secs(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}

fn time(micros: i64) -> EventTime {
    EventTime::from_micros(micros).unwrap()
}

fn dataflow(flow: &Flow<'_>) {
    let events = events(flow);
    let by_key = events.key_by(|e| e.key);
    let tens = by_key.window(tumbling(secs(10))).allowed_lateness(secs(3));
    let tens = tens.aggregate("tens", (count(), sum(|e: &Event| e.value)));
    flow.serve("tens", &tens.table);
    flow.sink("tens", &tens.closed, kafka::topic("tens").json());
    flow.sink("tens-late", &tens.late, kafka::topic("tens-late").json());
    let hops = by_key.window(hopping(secs(7), secs(2))).aggregate("hops", count());
    flow.serve("hops", &hops.table);
    flow.sink("hops", &hops.closed, kafka::topic("hops").json());
    flow.sink("hops-late", &hops.late, kafka::topic("hops-late").json());
    let gaps = by_key.window(hopping(secs(2), secs(5))).aggregate("gaps", count());
    flow.sink("gaps", &gaps.closed, kafka::topic("gaps").json());
    // Windows over results of windows: they wait for results that come late.
    let minutes = tens.closed.key_by(|_| ()).window(tumbling(secs(20)));
    let minutes = minutes.aggregate("twenties", sum(|c: &Closed<u64, (u64, i128)>| c.value.0));
    flow.serve("twenties", &minutes.table);
    flow.sink("twenties", &minutes.closed, kafka::topic("twenties").json());
    flow.sink("twenties-late", &minutes.late, kafka::topic("twenties-late").json());
}

/// The windows of a shape, from scratch.
struct Windows {
    open: BTreeMap<(u64, i64), Vec<i64>>,
    closed: BTreeMap<(u64, i64), Vec<i64>>,
    late: Vec<String>,
}

fn windows(seen: &Seen, size: i64, slide: i64, lateness: i64) -> Windows {
    let (size, slide, lateness) = (size * SECOND, slide * SECOND, lateness * SECOND);
    let (mut groups, mut late) = (BTreeMap::new(), Vec::new());
    for read in &seen.records {
        let at = read.event.at.micros();
        // Every begin that can matter.
        let mut start = (at - size).div_euclid(slide) * slide;
        while start <= at {
            if start + size > at {
                let deadline = start + size + lateness;
                match read.stamp {
                    Some(stamp) if deadline <= stamp => late.push(json(&Late {
                        row: read.event.clone(),
                        start: time(start),
                        end: time(start + size),
                        late_micros: stamp - deadline,
                    })),
                    _ => {
                        let rows: &mut Vec<_> = groups.entry((read.event.key, start)).or_default();
                        rows.push(read.event.value);
                    }
                }
            }
            start += slide;
        }
    }
    let over = |start: i64| seen.watermark.is_some_and(|now| start + size + lateness <= now);
    let (closed, open) = groups.into_iter().partition(|((_, start), _)| over(*start));
    Windows { open, closed, late }
}

fn table<V: serde::Serialize>(
    windows: &BTreeMap<(u64, i64), Vec<i64>>,
    size: i64,
    value: impl Fn(&[i64]) -> V,
) -> Vec<String> {
    view(windows.iter().map(|((key, start), rows)| {
        let (start, end) = (time(*start), time(start + size * SECOND));
        (WindowKey { key: *key, start, end }, value(rows))
    }))
}

fn results<V: tidemark::Row>(
    windows: &BTreeMap<(u64, i64), Vec<i64>>,
    size: i64,
    value: impl Fn(&[i64]) -> V,
) -> Vec<String> {
    let row = |((key, start), rows): (&(u64, i64), &Vec<i64>)| {
        let (start, end) = (time(*start), time(start + size * SECOND));
        json(&Closed { key: *key, start, end, value: value(rows) })
    };
    windows.iter().map(row).collect()
}

/// Closed windows of ten seconds in windows of twenty, which close three seconds of event time later.
fn twenties(seen: &Seen, tens: &Windows) -> (Vec<String>, Vec<String>) {
    let mut sums: BTreeMap<i64, i128> = BTreeMap::new();
    for ((_, start), rows) in &tens.closed {
        *sums.entry(start.div_euclid(20 * SECOND) * 20 * SECOND).or_default() += rows.len() as i128;
    }
    let (mut open, mut closed) = (Vec::new(), Vec::new());
    for (start, value) in sums {
        let (begin, end) = (time(start), time(start + 20 * SECOND));
        if seen.watermark.is_some_and(|now| start + (20 + 3) * SECOND <= now) {
            closed.push(json(&Closed { key: (), start: begin, end, value }));
        } else {
            open.push((WindowKey { key: (), start: begin, end }, value));
        }
    }
    (view(open), closed)
}

#[test]
fn windows_open_closed_and_late() {
    every_tick(dataflow, 4, |seen| {
        let number = |rows: &[i64]| rows.len() as u64;
        let both = |rows: &[i64]| (rows.len() as u64, i128::from(rows.iter().sum::<i64>()));
        let (tens, hops) = (windows(seen, 10, 10, 3), windows(seen, 7, 2, 0));
        let gaps = windows(seen, 2, 5, 0);
        let (twenties_open, twenties_closed) = twenties(seen, &tens);
        if seen.watermark == Some(i64::MAX) {
            assert!(tens.late.len() > 2 && hops.late.len() > 5, "the input has stragglers");
            assert!(tens.open.is_empty() && tens.closed.len() > 10, "and fills windows");
        }
        vec![
            Want::View("tens", table(&tens.open, 10, both)),
            Want::Sink("tens", results(&tens.closed, 10, both)),
            Want::Sink("tens-late", tens.late),
            Want::View("hops", table(&hops.open, 7, number)),
            Want::Sink("hops", results(&hops.closed, 7, number)),
            Want::Sink("hops-late", hops.late),
            Want::Sink("gaps", results(&gaps.closed, 2, number)),
            Want::View("twenties", twenties_open),
            Want::Sink("twenties", twenties_closed),
            Want::Sink("twenties-late", Vec::new()),
        ]
    });
}
