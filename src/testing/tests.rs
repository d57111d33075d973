#![expect(clippy::unwrap_used, reason = "tests")]

mod panics;
mod switch;
mod upgrade;

use super::{Ends, Job, laws};
use crate::flow::endpoint::kafka;
use crate::flow::{Flow, Lag};
use crate::ids::Lane;
use crate::operators::aggregate::{average, count, first_by, last_by, max, min, sum};
use crate::operators::window::{hopping, tumbling};
use crate::sinks::memory::Fault;
use crate::testing::laws::Input;
use crate::ticks::record::Command;
use crate::{EventTime, Row};
use std::time::Duration;
use tokio::sync::oneshot::error::TryRecvError;

#[derive(Row)]
struct Click {
    user: u64,
    page: String,
    at: EventTime,
}

fn click(user: u64, page: &str, second: i64) -> Click {
    Click { user, page: page.into(), at: EventTime::from_millis(second * 1000).unwrap() }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn everything(flow: &Flow<'_>) {
    let clicks = flow
        .source("clicks", kafka::topic("clicks").json::<Click>())
        .event_time(|c| c.at, Lag(secs(5)));
    let by_user = clicks.key_by(|c| c.user);
    let counts = by_user.aggregate(
        "counts",
        (
            count(),
            sum(|c: &Click| c.at.millis()),
            min(|c: &Click| c.page.clone()),
            max(|c: &Click| c.at),
        ),
    );
    flow.serve("counts", &counts);
    flow.sink("counts", &counts, kafka::topic("counts").json().upsert());
    let visits = by_user.window(tumbling(secs(10))).allowed_lateness(secs(2)).aggregate(
        "visits",
        (
            count(),
            first_by(|c: &Click| c.at, |c| c.page.clone()),
            last_by(|c: &Click| c.at, |c| c.page.clone()),
        ),
    );
    flow.serve("visits", &visits.table);
    flow.sink("visits", &visits.closed, kafka::topic("visits").json());
    flow.sink("late", &visits.late, kafka::topic("late").json());
    let hops = clicks
        .key_by(|_| ())
        .window(hopping(secs(10), secs(3)))
        .aggregate("hops", average(|c: &Click| c.user));
    flow.sink("hops", &hops.closed, kafka::topic("hops").json());
    let last = clicks.upsert("last", |c| c.user);
    flow.serve("last", &last);
    let joined = last.join(&counts);
    flow.serve("joined", &joined);
    flow.sink("joined", &joined, kafka::topic("joined").json().changelog());
    let pages = clicks.map(|c| (c.page.clone(), c.user)).keep("pages");
    flow.serve("top", &pages.top_k(2, |(page, _)| page.clone(), |(_, user)| *user));
    flow.serve("users", &pages.map(|(_, user)| user).distinct());
    flow.sink(
        "users",
        &pages.map(|(_, user)| user).distinct(),
        kafka::topic("users").json().changelog(),
    );
}

#[test]
fn counts_survive_crashes_on_any_number_of_workers() {
    let mut job = Job::new(everything);
    job.push("clicks", [click(1, "a", 1), click(2, "b", 2), click(1, "c", 3)]).tick();
    let before = job.table("joined");
    assert_eq!(before.len(), 2, "{before:?}");
    job.restart(3);
    assert_eq!(job.table("joined"), before);
    assert_eq!(job.replayed(), 1);
    job.push("clicks", [click(1, "d", 4)]).snapshot();
    let after = job.table("counts");
    assert!(after[0].starts_with(r#"{"key":1,"value":[3,8000,"a","#), "{after:?}");
    job.restart(2);
    assert_eq!(job.table("counts"), after);
    assert_eq!(job.replayed(), 0);
    let upserts = job.sink("counts");
    assert_eq!(upserts.len(), 3, "one row a key and tick, none twice: {upserts:?}");
}

#[test]
fn a_window_closes_once_and_late_records_are_said_to_be_late() {
    let mut job = Job::new(everything);
    job.push("clicks", [click(1, "a", 1), click(1, "b", 9), click(1, "c", 16)]).tick();
    assert!(job.sink("visits").is_empty());
    job.push("clicks", [click(1, "d", 17)]).tick();
    job.push("clicks", [click(1, "e", 5)]).tick();
    // The greatest event time is 17 s, less 5 s of lag: the watermark is 12 s, which is the end of the first window and its lateness.
    assert_eq!(
        job.sink("visits"),
        [
            r#"{"key":1,"start":"1970-01-01T00:00:00Z","end":"1970-01-01T00:00:10Z","value":[2,"a","b"]}"#
        ]
    );
    assert_eq!(job.sink("late").len(), 1, "{:?}", job.sink("late"));
    job.restart(2);
    job.end_of_time().tick();
    assert_eq!(job.sink("visits").len(), 2);
    assert!(job.table("visits").is_empty());
}

/// The decision of a tick has the watermarks of what was read before it was opened.
#[test]
fn ticks_are_opened_while_others_are_on_their_way() {
    let closed_at = |run: fn(&mut Job, Vec<Ends>)| {
        let mut job = Job::new(everything).workers(2);
        let ends = [1, 18, 19, 20]
            .map(|seconds| job.push("clicks", [click(1, "a", seconds)]).ends())
            .into();
        run(&mut job, ends);
        let ticks = job.sink_ticks("visits").into_iter();
        ticks.filter(|(_, rows)| !rows.is_empty()).map(|(tick, _)| tick).collect::<Vec<_>>()
    };
    let alone = closed_at(|job, ends| {
        ends.into_iter().for_each(|ends| {
            job.tick_to(ends, false);
        });
    });
    assert_eq!(alone, [3]);
    let together = closed_at(|job, ends| {
        job.ticks_to(ends, 4, false);
    });
    assert!(together.is_empty(), "all were opened before the second was read: {together:?}");
}

/// Else a stop right after the answer would leave rows behind the savepoint, and a start would begin at an older snapshot.
#[test]
fn a_savepoint_is_answered_when_every_sink_has_its_tick() {
    let mut job = Job::new(everything);
    job.push("clicks", [click(1, "a", 1)]).tick();
    job.target("joined").fail_next(std::iter::repeat_n(Fault::Refused, 10_000));
    let (name, id) = ("before".to_owned(), "1".to_owned());
    let mut reply = job.order(Command::Savepoint { name, id });
    let tick = job.push("clicks", [click(2, "b", 2)]).snapshot_only();
    // Worker 0 answers this after the step in which it learned that the snapshot exists.
    job.table("joined");
    assert_eq!(reply.try_recv(), Err(TryRecvError::Empty), "a sink does not have the tick");
    job.target("joined").heal();
    let done = reply.blocking_recv().expect("it is answered").expect("it succeeds");
    assert_eq!((done.tick, done.manifest.is_some()), (tick, true));
    let progress = job.target("joined").progress(Lane(0)).expect("the sink has written");
    assert!(progress.tick >= tick, "{} < {tick}", progress.tick);
    job.restart(1);
    assert_eq!(job.restored(), tick, "the next start begins there");
}

#[test]
fn everything_keeps_the_laws() {
    let mut random = 7_u64;
    let mut next = |below: u64| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut clock = [0_i64; 2];
    let input: Vec<_> = (0..2000)
        .map(|_| {
            let partition = next(2) as usize;
            clock[partition] += next(3) as i64;
            let straggle = if next(50) == 0 { next(60) as i64 } else { next(4) as i64 };
            let row = click(next(9), &format!("p{}", next(4)), clock[partition] - straggle);
            Input::new("clicks", partition as u32, &row)
        })
        .collect();
    laws(everything, &input);
}
