//! Sinks at a change of program: what each choice writes, and what is refused by name.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::upgrade::{Bid, bid, bids, refused, says, secs};
use crate::flow::endpoint::kafka;
use crate::flow::{Build, Flow, SinkOptions};
use crate::ids::Tick;
use crate::job::generation::change::OnChange;
use crate::operators::aggregate::{count, sum};
use crate::operators::window::tumbling;
use crate::testing::Job;
use std::collections::BTreeMap;

const KEEPS: SinkOptions = SinkOptions { on_change: OnChange::Refuse, keeps_written: true };

fn on(on_change: OnChange) -> SinkOptions {
    SinkOptions { on_change, keeps_written: false }
}

/// What a reader of an upsert sink has after `tick`, as the view of its table shows it.
fn folded(job: &Job, sink: &str, tick: Tick) -> Vec<String> {
    let mut last: BTreeMap<u64, String> = BTreeMap::new();
    for lane in 0..2 {
        for committed in job.target(sink).committed(crate::ids::Lane(lane)) {
            for row in committed.rows.into_iter().filter(|_| committed.tick <= tick) {
                let key = String::from_utf8(row.key.unwrap().into()).unwrap().parse().unwrap();
                match row.value {
                    Some(value) => last.insert(key, String::from_utf8(value.into()).unwrap()),
                    None => last.remove(&key),
                };
            }
        }
    }
    last.iter().map(|(key, value)| format!(r#"{{"key":{key},"value":{value}}}"#)).collect()
}

/// What a reader of a changelog has after all ticks.
fn added_up(job: &Job, sink: &str) -> Vec<String> {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for row in job.target(sink).rows() {
        let value = String::from_utf8(row.value.unwrap().into()).unwrap();
        let bare = value.rsplit_once(",\"diff\":").unwrap().0.to_owned();
        *sums.entry(bare).or_default() += i64::from(row.diff);
    }
    sums.retain(|_, sum| *sum != 0);
    sums.into_iter().map(|(row, sum)| format!("{row}}} x {sum}")).collect()
}

fn one(flow: &Flow<'_>) {
    let bids = bids(flow);
    let sums = bids.key_by(|b| b.item).aggregate("sums", sum(|b: &Bid| b.price));
    let windows = bids.key_by(|b| b.item).window(tumbling(secs(10))).aggregate("counts", count());
    flow.serve("sums", &sums);
    flow.sink("sums", &sums, kafka::topic("sums").json().upsert());
    flow.sink("log", &sums.values(), kafka::topic("log").json().changelog());
    flow.sink("closed", &windows.closed, kafka::topic("closed").json());
    flow.sink("gone", &sums, kafka::topic("gone").json().upsert());
}

/// Another table after the same kept one: item 3 is gone, others have other values. One view and one sink more, one sink gone.
fn two(flow: &Flow<'_>) {
    let bids = bids(flow);
    let sums = bids.key_by(|b| b.item).aggregate("sums", sum(|b: &Bid| b.price));
    let windows = bids.key_by(|b| b.item).window(tumbling(secs(10))).aggregate("counts", count());
    let tens = sums.filter(|item, _| *item != 3).map_values(|_, sum| sum / 10);
    flow.serve("sums", &tens);
    flow.serve("before", &sums);
    flow.sink("sums", &tens, kafka::topic("sums").json().upsert());
    flow.sink("log", &tens.values(), kafka::topic("log").json().changelog());
    flow.sink("closed", &windows.closed, kafka::topic("closed").json());
    flow.sink("new", &tens, kafka::topic("new").json().upsert());
}

fn input() -> [Bid; 5] {
    [bid(1, 10, 1), bid(2, 21, 2), bid(3, 30, 3), bid(2, 1, 4), bid(4, 9, 5)]
}

/// Version 1 on the input, cleanly stopped.
fn ran(options: &[(&str, SinkOptions)]) -> Job {
    let mut job = Job::with_lanes(one, 2);
    for (sink, options) in options {
        job.sink_options(sink, *options);
    }
    let [a, b, c, d, e] = input();
    job.push("bids", [a, b, c]).tick();
    job.push("bids", [d, e]).tick();
    job.stop();
    job
}

/// The acceptance of a redeployment.
#[test]
fn version_two_goes_on_where_version_one_was_stopped() {
    let mut job = ran(&[("sums", KEEPS), ("log", KEEPS)]);
    let before: Vec<_> = (1..=3).map(|tick| folded(&job, "sums", tick)).collect();
    // Nothing before the savepoint is read again: it is not there any more.
    job.topic("bids").trim("0", 5);

    job.upgrade(two, "two");
    let text = refused(&mut job);
    says(&text, &["differs from test", "sinks log, sums;", "sink.log.on_change and sink.sums"]);
    says(&text, &["reconcile", "rewrite", "from-now"]);
    assert!(!text.contains("closed") && !text.contains("new"), "{text}");
    assert_eq!(folded(&job, "sums", 9), before[2], "what is refused has written nothing");

    job.sink_options("sums", on(OnChange::Reconcile)).sink_options("log", on(OnChange::Reconcile));
    let mut always = Job::with_lanes(two, 2);
    always.push("bids", input()).tick();
    let steps: [(Vec<Bid>, usize); 5] = [
        (vec![], 0),
        (vec![bid(3, 1, 6), bid(2, 8, 6)], 2),
        (vec![bid(5, 50, 7)], 3),
        (vec![bid(1, 5, 12), bid(1, 5, 13)], 0),
        (vec![bid(5, 1, 30)], 1),
    ];
    for (n, (rows, restart)) in steps.into_iter().enumerate() {
        always.push("bids", rows.clone()).tick();
        let tick = job.push("bids", rows).tick();
        if n == 0 {
            assert_eq!((tick, job.replayed()), (4, 0));
        }
        for view in ["sums", "before"] {
            assert_eq!(job.table(view), always.table(view), "{view} at tick {tick}");
        }
        for sink in ["sums", "new"] {
            assert_eq!(folded(&job, sink, tick), job.table("sums"), "{sink} at tick {tick}");
        }
        assert_eq!(added_up(&job, "log"), added_up(&always, "log"), "tick {tick}");
        if restart > 0 {
            job.restart(restart);
        }
    }
    assert_eq!(job.sink("closed").len(), always.sink("closed").len());
    assert_eq!(folded(&job, "gone", 99), before[2], "a removed sink is as version 1 left it");
    let at_first: Vec<_> = job.target("sums").rows().into_iter().map(|row| row.value).collect();
    assert!(at_first.contains(&None), "item 3 was taken back");
    let of_item = |n: &str| {
        let rows = job.target("sums").rows();
        rows.iter().filter(|row| row.key.as_deref() == Some(n.as_bytes())).count()
    };
    assert_eq!(of_item("3"), 2, "version 1's row and its tombstone");
}

#[test]
fn a_difference_is_made_to_what_was_written_whatever_happened_since() {
    let mut job = ran(&[("sums", KEEPS), ("log", KEEPS)]);
    for sink in ["sums", "log"] {
        job.sink_options(sink, on(OnChange::Reconcile));
    }
    // Without a snapshot after the difference, then with one; back and forth.
    job.upgrade(two, "two").tick();
    job.restart(1);
    job.push("bids", [bid(3, 1, 6)]).tick();
    job.restart(3);
    assert_eq!(folded(&job, "sums", 99), job.table("sums"));
    job.stop().upgrade(one, "three");
    job.push("bids", [bid(7, 70, 7)]).tick();
    assert_eq!(folded(&job, "sums", 99), job.table("sums"));
    job.restart(2);
    job.snapshot();
    job.restart(1);
    job.stop().upgrade(two, "four").tick();
    assert_eq!(folded(&job, "sums", 99), job.table("sums"));
    let mut always = Job::with_lanes(two, 2);
    always.push("bids", input()).push("bids", [bid(3, 1, 6), bid(7, 70, 7)]).tick();
    assert_eq!(added_up(&job, "log"), added_up(&always, "log"));
    // A program that derives the same table writes nothing.
    let rows = job.target("sums").rows().len();
    job.stop().sink_options("new", on(OnChange::FromNow)).upgrade(two, "five").tick();
    assert_eq!(job.target("sums").rows().len(), rows);
}

#[test]
fn a_commit_that_is_lost_writes_the_same_first_tick_again() {
    for change in [OnChange::Reconcile, OnChange::Rewrite] {
        let mut job = ran(&[("sums", KEEPS), ("log", on(OnChange::FromNow))]);
        job.sink_options("sums", SinkOptions { on_change: change, keeps_written: true });
        job.sink_options("log", on(OnChange::FromNow));
        job.upgrade(two, "two").try_start().unwrap();
        job.target("sums").fail_next([crate::sinks::memory::Fault::Lost]);
        job.target("new").fail_next([crate::sinks::memory::Fault::AnswerLost]);
        job.tick();
        let new = job.target("new").rows();
        assert_eq!(new.len(), 3, "{change:?}");
        job.restart(2);
        assert_eq!((job.replayed(), job.target("new").rows()), (1, new), "{change:?}");
        job.tick();
        assert_eq!(folded(&job, "new", 99), job.table("sums"), "{change:?}");
    }
}

#[test]
fn a_rewrite_is_the_whole_table_and_leaves_what_it_does_not_have() {
    let mut job = ran(&[]);
    job.sink_options("sums", on(OnChange::Rewrite)).sink_options("log", on(OnChange::Rewrite));
    let rows = job.target("sums").rows().len();
    let tick = job.upgrade(two, "two").tick();
    assert_eq!(job.target("sums").rows().len(), rows + 3, "items 1, 2 and 4");
    let mut expected = job.table("sums");
    expected.insert(2, r#"{"key":3,"value":30}"#.to_owned());
    assert_eq!(folded(&job, "sums", tick), expected, "item 3 stays");
    let log = job.target("log");
    let lanes = (0..2).flat_map(|lane| log.committed(crate::ids::Lane(lane)));
    let image: Vec<_> = lanes.filter(|t| t.tick == tick).flat_map(|t| t.rows).collect();
    let whole = image.len() == 3 && image.iter().all(|row| row.diff == 1);
    assert!(whole, "a reader of the changelog begins at this tick: {image:?}");
    // Only once.
    job.restart(2);
    job.tick();
    assert_eq!(job.target("sums").rows().len(), rows + 3);
}

#[test]
fn from_now_on_only_changes_are_written() {
    let mut job = ran(&[]);
    job.sink_options("sums", on(OnChange::FromNow)).sink_options("log", on(OnChange::FromNow));
    let rows = job.target("sums").rows().len();
    job.upgrade(two, "two").tick();
    assert_eq!(job.target("sums").rows().len(), rows);
    job.push("bids", [bid(1, 100, 6)]).tick();
    assert_eq!(job.sink("sums").iter().filter(|value| *value == "11").count(), 1);
    assert_eq!(job.target("sums").rows().len(), rows + 1);
}

#[test]
fn only_what_was_kept_can_be_compared() {
    let mut job = ran(&[("log", KEEPS)]);
    job.sink_options("sums", on(OnChange::Reconcile)).sink_options("log", on(OnChange::Reconcile));
    job.upgrade(two, "two");
    let text = refused(&mut job);
    says(&text, &["sink \"sums\" has not kept what it wrote", "reconcile = true", "\"rewrite\""]);
    assert!(!text.contains("\"log\""), "{text}");
    // As it says: kept from the whole table on.
    job.sink_options("sums", SinkOptions { on_change: OnChange::Rewrite, keeps_written: true });
    job.tick();
    job.stop().sink_options("sums", on(OnChange::Reconcile)).upgrade(one, "three").tick();
    assert_eq!(folded(&job, "sums", 99), job.table("sums"));
    // Not from the middle on, either, though the program is the same.
    let mut job = ran(&[]);
    job.sink_options("sums", KEEPS);
    says(&refused(&mut job), &["sink \"sums\" has not kept what it wrote"]);
}

#[test]
fn what_can_not_be_taken_back_can_not_be_compared() {
    fn append(flow: &Flow<'_>) {
        flow.sink("rows", &bids(flow).keep("rows"), kafka::topic("rows").json());
    }
    fn stream(flow: &Flow<'_>) {
        flow.sink("rows", &bids(flow), kafka::topic("rows").json());
    }
    for (build, why) in [(append as Build, "only appends"), (stream, "fed by a stream")] {
        let options = [("rows".to_owned(), KEEPS)].into_iter().collect();
        let error = crate::job::engine::plan(build, Default::default(), options).unwrap_err();
        says(error.message(), &["switch.rs:", "sink \"rows\" can't reconcile", why]);
    }
}

#[test]
fn a_new_sink_has_the_whole_table_also_where_the_program_is_said_to_be_the_same() {
    let mut job = Job::with_lanes(one, 2);
    let [a, b, c, d, e] = input();
    job.push("bids", [a, b]).snapshot();
    job.push("bids", [c, d, e]).tick();
    // No clean stop: the snapshot is older than the end, at which the sink begins.
    job.crash().upgrade(two, "test");
    job.sink_options("new", KEEPS).tick();
    assert_eq!(job.replayed(), 1);
    assert_eq!(folded(&job, "new", 99), job.table("sums"));
    assert_eq!(job.target("new").rows().len(), 3, "one row an item");
    job.restart(2);
    job.push("bids", [bid(1, 10, 9)]).tick();
    assert_eq!(folded(&job, "new", 99), job.table("sums"));
    job.stop().sink_options("new", on(OnChange::Reconcile));
    for sink in ["sums", "log"] {
        job.sink_options(sink, on(OnChange::FromNow));
    }
    job.upgrade(two, "three").tick();
    assert_eq!(folded(&job, "new", 99), job.table("sums"));
    assert_eq!(job.target("new").rows().len(), 4);
}
