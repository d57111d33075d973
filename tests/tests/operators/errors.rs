//! What is wrong with a dataflow or its rows is said with the place where it is wrong.

use crate::machine::{Event, events};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tidemark::flow::endpoint::kafka;
use tidemark::flow::{Build, Flow, Lag};
use tidemark::operators::aggregate::{count, sum};
use tidemark::operators::window::{hopping, tumbling};
use tidemark::testing::Job;
use tidemark::{Error, EventTime, Kind};

fn event(key: u64, value: i64) -> Event {
    let at = EventTime::from_millis(1000).unwrap();
    Event { partition: 0, key, value, gone: false, at }
}

/// The error of the tick that reads these, after a tick that went well.
fn failing(build: Build, workers: usize, rows: &[Event]) -> Error {
    let mut job = Job::new(build).workers(workers);
    job.push("events", [event(1, 1)]).tick();
    job.push("events", rows);
    job.failing_tick()
}

fn says(error: &Error, kind: Kind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
    }
}

fn view_of_two(flow: &Flow<'_>) {
    let rows = events(flow).map(|e| (e.key, e.value)).keep("rows");
    flow.serve("pairs", &rows.unique_by(|(key, _)| *key));
}

fn sink_of_two(flow: &Flow<'_>) {
    let rows = events(flow).map(|e| (e.key, e.value)).keep("rows").unique_by(|(key, _)| *key);
    let joined = rows.map_values(|_, (_, value)| value).join(&rows);
    flow.sink("pairs", &joined, kafka::topic("pairs").json().upsert());
}

#[test]
fn two_rows_of_one_key_are_refused_whenever_they_meet() {
    for workers in [1, 2] {
        let error = failing(view_of_two, workers, &[event(2, 1), event(1, 7)]);
        says(
            &error,
            Kind::Input,
            &["view \"pairs\"", "tick 2", "the key 1", "[1,7]", "\"rows\", keep"],
        );
        let error = failing(sink_of_two, workers, &[event(1, 7)]);
        says(
            &error,
            Kind::Input,
            &["sink \"pairs\"", "tick 2", "the key 1", "join (", "errors.rs"],
        );
    }
    // Rows that change places within a tick are never there at once.
    let mut job = Job::new(view_of_two);
    job.push("events", [event(1, 1), event(2, 5)]).tick();
    assert_eq!(job.table("pairs").len(), 2);
    job.restart(2);
    assert_eq!(job.table("pairs").len(), 2);
    job.push("events", [event(2, 6)]);
    says(&job.failing_tick(), Kind::Input, &["the key 2"]);
}

fn appends_a_count(flow: &Flow<'_>) {
    let counts = events(flow).key_by(|e| e.key).aggregate("counts", count());
    flow.sink("out", &counts.values().filter(|_| true), kafka::topic("out").json());
}

fn appends_a_top(flow: &Flow<'_>) {
    let rows = events(flow).map(|e| (e.key, e.value)).keep("rows");
    let top = rows.top_k(1, |(key, _)| *key, |(_, value)| *value).map(|(_, row)| row);
    flow.sink("out", &top, kafka::topic("out").json());
}

#[test]
fn a_retraction_in_a_sink_that_appends_names_the_operator() {
    let error = failing(appends_a_count, 1, &[event(1, 5)]);
    says(
        &error,
        Kind::Config,
        &["sink \"out\"", "tick 2", "\"counts\", aggregate (count)", "changelog"],
    );
    let error = failing(appends_a_top, 2, &[event(1, 5)]);
    says(&error, Kind::Config, &["sink \"out\"", "top_k (", "errors.rs", "[1,1]"]);
}

fn overflows(flow: &Flow<'_>) {
    let great = |e: &Event| if e.value > 1 { i128::MAX } else { 1 };
    flow.serve("sums", &events(flow).key_by(|e| e.key).aggregate("sums", sum(great)));
}

#[test]
fn a_sum_that_overflows_names_state_and_key() {
    for workers in [1, 2] {
        let error = failing(overflows, workers, &[event(2, 1), event(1, 2)]);
        says(&error, Kind::Input, &["kept state \"sums\"", "key 1", "128 bits"]);
    }
}

fn checked(value: i64) -> i64 {
    assert!(value != 13, "value {value} is unlucky");
    value
}

fn panics_in_map(flow: &Flow<'_>) {
    flow.sink("out", &events(flow).map(|e| checked(e.value)), kafka::topic("out").json());
}

fn panics_in_key(flow: &Flow<'_>) {
    let keyed = events(flow).key_by(|e| checked(e.value));
    flow.serve(
        "out",
        &keyed.window(tumbling(Duration::from_secs(1))).aggregate("out", count()).table,
    );
}

fn panics_in_reduce(flow: &Flow<'_>) {
    let rows = events(flow).map(|e| (e.key, e.value)).keep("rows");
    let checked = rows.reduce(|(key, _)| *key, |_, rows| Some(checked(rows[0].0.1)));
    flow.serve("out", &checked);
}

fn panics_in_event_time(flow: &Flow<'_>) {
    let events = flow.source("events", kafka::topic("events").json::<Event>());
    let events = events.event_time(
        |e| EventTime::from_millis(checked(e.value)).unwrap(),
        Lag(Duration::from_secs(1)),
    );
    flow.sink("out", &events, kafka::topic("out").json());
}

/// The second is unlucky; one was read before them.
fn unlucky() -> [Event; 3] {
    [event(2, 1), event(3, 13), event(1, 2)]
}

#[test]
fn a_panic_behind_a_source_names_the_record() {
    let all: [Build; 3] = [panics_in_map, panics_in_key, panics_in_event_time];
    for build in all {
        for workers in [1, 3] {
            let error = failing(build, workers, &unlucky());
            let place = "source events, partition 0, offset 2";
            says(&error, Kind::Input, &[place, "panicked", "value 13 is unlucky"]);
        }
    }
}

#[test]
fn a_panic_elsewhere_ends_the_job_with_its_words() {
    for workers in [1, 3] {
        let error = failing(panics_in_reduce, workers, &unlucky());
        says(&error, Kind::Internal, &["panicked at tick 2", "value 13 is unlucky"]);
    }
}

fn full_of_problems(flow: &Flow<'_>) {
    let bare = flow.source("bare", kafka::topic("bare").json::<Event>());
    let timed = events(flow);
    let window = |size, slide| hopping(Duration::from_secs(size), Duration::from_secs(slide));
    bare.key_by(|e| e.key).window(window(1, 1)).aggregate("one", count());
    timed.union(&bare).key_by(|e| e.key).window(window(1, 1)).aggregate("two", count());
    timed.key_by(|e| e.key).window(window(1001, 1)).aggregate("three", count());
    timed.key_by(|e| e.key).window(window(0, 1)).aggregate("four", count());
    timed.upsert("same", |e| e.key);
    timed.keep("same");
    bare.event_time(|e| e.at, Lag(Duration::ZERO));
    let twice = flow.source("twice", kafka::topic("twice").json::<Event>());
    twice.event_time(|e| e.at, Lag(Duration::ZERO));
    twice.event_time(|e| e.at, Lag(Duration::ZERO));
    events(flow);
    flow.sink("out", &timed, kafka::topic("out").json());
    flow.sink("out", &timed, kafka::topic("out2").json());
    flow.serve("shown", &timed.keep("shown"));
    flow.serve("shown", &timed.keep("shown2"));
}

#[test]
fn all_problems_of_a_dataflow_are_listed_with_their_places() {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(Job::new(full_of_problems)))).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    let expected = [
        "window \"one\" needs event time",
        "window \"two\" needs event time",
        "window \"three\": 1001 windows would hold each record",
        "window \"four\": a window of 0ns is not possible",
        "uid \"same\" is used twice; first at tests/tests/operators/errors.rs:",
        "source \"bare\" is used before it is given event time",
        "source \"twice\" is given event time twice",
        "source \"events\" is used twice",
        "sink \"out\" is used twice",
        "view \"shown\" is used twice",
    ];
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{text}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{expected:?} is not in {line:?}");
        assert!(line.contains("tests/tests/operators/") && line.contains(".rs:"), "{line}");
    }
}
