//! Queries and subscriptions over several workers, against the table at every tick.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::QueryError;
use super::fixture::FakeJob;
use super::follow::{FollowLimits, Follows, Subscription};
use super::kind::Ask;
use super::router::At;
use crate::ids::{Generation, Tick};
use futures_util::FutureExt;
use std::time::Duration;

const G: Generation = Generation(3);

fn all(limit: usize) -> Ask {
    Ask { limit, ..Ask::default() }
}

fn limits(ring_bytes_max: usize) -> FollowLimits {
    FollowLimits { ring_bytes_max, heartbeat: Duration::from_secs(60), ..FollowLimits::default() }
}

/// Some ticks in which keys come, change and go.
fn churn(job: &mut FakeJob, ticks: std::ops::RangeInclusive<Tick>) {
    for tick in ticks {
        let rows: Vec<_> = (0..5)
            .map(|n| {
                let key = (tick * 7 + n * 3) % 40;
                (key, (!(tick + n).is_multiple_of(4)).then_some(tick * 100 + n))
            })
            .collect();
        job.tick(tick, &rows);
    }
}

#[tokio::test]
async fn pages_over_all_workers_are_at_one_tick_while_the_job_goes_on() {
    for workers in 1..=3 {
        let mut job = FakeJob::start(workers, 64);
        churn(&mut job, 1..=30);
        let router = job.shared.router().clone();
        let (tick, mut page) = router.query("visits", &all(7), At::Newest).await.unwrap();
        assert_eq!(tick, 30);
        let mut rows = Vec::new();
        let mut now = 30;
        loop {
            rows.append(&mut page.rows);
            let Some(after) = page.after else { break };
            // The tick of the scan leaves the history, but it is pinned.
            now += 50;
            churn(&mut job, now - 49..=now);
            let ask = Ask { after: Some(after), ..all(7) };
            (_, page) = router.query("visits", &ask, At::Tick(30)).await.unwrap();
        }
        assert!(rows.len() > 14 && now > 100);
        assert_eq!(rows, job.rows_at(30));
    }
}

#[tokio::test]
async fn points_ranges_and_old_ticks_are_what_the_table_was() {
    let mut job = FakeJob::start(3, 64);
    churn(&mut job, 1..=100);
    let router = job.shared.router().clone();
    for tick in 37..=100 {
        let (at, page) = router.query("visits", &all(1000), At::Tick(tick)).await.unwrap();
        assert_eq!((at, page.after), (tick, None));
        assert_eq!(page.rows, job.rows_at(tick));
    }
    assert_eq!(
        router.query("visits", &all(1), At::Tick(36)).await,
        Err(QueryError::Gone { oldest: 37 })
    );
    assert_eq!(
        router.query("visits", &all(1), At::Tick(101)).await,
        Err(QueryError::NotReleased { released: 100 })
    );
    for (key, value) in &job.oracle[&100] {
        let ask = Ask { key: Some(key.to_string()), ..all(9) };
        let (_, page) = router.query("visits", &ask, At::Newest).await.unwrap();
        assert_eq!(page.rows, [format!("{{\"key\":{key},\"value\":{value}}}")]);
        let (_, page) = router.query("users", &ask, At::Newest).await.unwrap();
        assert_eq!(page.rows, [format!("{{\"row\":{key}}}")]);
    }
    let ask = Ask { from: Some("10".into()), to: Some("20".into()), ..all(100) };
    let (_, page) = router.query("visits", &ask, At::Newest).await.unwrap();
    let wanted: Vec<_> = job.oracle[&100].range(10..20).collect();
    assert_eq!(page.rows.len(), wanted.len());
    let status = router.status("visits").await.unwrap();
    assert_eq!(status.size.rows as usize, job.oracle[&100].len());
    assert_eq!(status.oldest_tick, 37);
}

#[tokio::test]
async fn a_query_waits_for_the_slowest_worker() {
    let mut job = FakeJob::start(3, 64);
    job.set(1, &[(1, Some(1)), (2, Some(2))], &[0]);
    job.release(1);
    let router = job.shared.router().clone();
    let ask = all(9);
    let mut query = std::pin::pin!(router.query("visits", &ask, At::Newest));
    assert_eq!((&mut query).now_or_never(), None, "it is sent");
    // Every worker has seen the request by then; only worker 0 may still owe its answer.
    job.served();
    assert_eq!((&mut query).now_or_never(), None, "worker 0 has not completed the tick");
    job.catch_up(0, 1);
    let (tick, page) = query.await.unwrap();
    assert_eq!((tick, page.rows), (1, job.rows_at(1)));
}

#[tokio::test]
async fn a_full_worker_says_busy_and_no_view_says_which_there_are() {
    let job = FakeJob::start(1, 64);
    let router = job.shared.router().clone();
    let error = router.query("visit", &all(1), At::Newest).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no view \"visit\", only: users, visits");
    let paused = job.pause();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..super::inbox::REQUESTS_MAX + 1 {
        let router = router.clone();
        tasks.spawn(async move { router.query("visits", &all(1), At::Newest).await.err() });
    }
    // The one too many is refused at once, while the worker still rests.
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), Some(QueryError::Busy));
    paused.wait();
    while let Some(answer) = tasks.join_next().await {
        assert_eq!(answer.unwrap(), None);
    }
    drop(job);
    let error = router.query("visits", &all(1), At::Newest).await.unwrap_err();
    assert_eq!(error, QueryError::Away);
}

/// Reads events until the `tick` event of `last` or the end.
async fn read_through(subscription: &mut Subscription, last: Tick) -> String {
    let end = format!("id: 3-{last}\n");
    let mut out = String::new();
    while let Some(text) = subscription.next().await {
        let text = std::str::from_utf8(&text).unwrap();
        out.push_str(text);
        if text.contains(&end) {
            break;
        }
    }
    out
}

/// Applies the changes in event text to a table; checks that ticks ascend.
fn apply(events: &str, table: &mut std::collections::BTreeMap<u64, u64>) -> Tick {
    let mut last = 0;
    for data in events.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        let tick = data["tick"].as_u64().unwrap();
        assert!(tick >= last, "{tick} after {last}");
        last = tick;
        match data["diff"].as_i64() {
            Some(-1) => {
                let old = table.remove(&data["key"].as_u64().unwrap());
                assert_eq!(old, data["value"].as_u64());
            }
            Some(1) => {
                let old =
                    table.insert(data["key"].as_u64().unwrap(), data["value"].as_u64().unwrap());
                assert_eq!(old, None);
            }
            _ => assert!(data.get("changes").is_some(), "{data}"),
        }
    }
    last
}

#[tokio::test]
async fn one_slow_subscriber_among_a_hundred_harms_nobody() {
    let mut job = FakeJob::start(2, 8);
    churn(&mut job, 1..=3);
    let follows = Follows::new(job.shared.router().clone(), limits(10_000));
    let mut slow = follows.open("visits", Some(1), G).await.unwrap();
    let readers: Vec<_> = (0..99)
        .map(|_| {
            let follows = follows.clone();
            tokio::spawn(async move {
                let mut subscription = follows.open("visits", Some(1), G).await.unwrap();
                let events = read_through(&mut subscription, 3).await;
                events + &read_through(&mut subscription, 200).await
            })
        })
        .collect();
    let first = read_through(&mut slow, 3).await;
    // The writer goes on whatever readers do, as fast as a reader that keeps up.
    let mut pace = follows.open("visits", Some(1), G).await.unwrap();
    read_through(&mut pace, 3).await;
    for tick in 4..=200 {
        churn(&mut job, tick..=tick);
        read_through(&mut pace, tick).await;
        tokio::task::yield_now().await;
    }
    for reader in readers {
        let events = reader.await.unwrap();
        let mut table = Default::default();
        assert_eq!(apply(&events, &mut table), 200);
        assert_eq!(table, job.oracle[&200]);
    }
    let rest = read_through(&mut slow, 200).await;
    assert!(rest.contains("event: lagged\n"), "{rest}");
    assert!(rest.contains("\"from_tick\":4,"), "{rest}");
    assert_eq!(slow.next().await, None);
    let mut table = Default::default();
    apply(&first, &mut table);
    assert_eq!(table, job.oracle[&3]);
    assert!(matches!(
        follows.open("visits", Some(4), G).await.err(),
        Some(QueryError::Gone { oldest: 194 })
    ));
}

#[tokio::test]
async fn changes_resume_from_any_kept_tick() {
    let mut job = FakeJob::start(3, 64);
    churn(&mut job, 1..=100);
    let follows = Follows::new(job.shared.router().clone(), limits(1 << 20));
    for from in [38, 50, 100, 101] {
        let mut subscription = follows.open("visits", Some(from), G).await.unwrap();
        let next = *job.oracle.keys().next_back().unwrap() + 1;
        churn(&mut job, next..=next + 2);
        let events = read_through(&mut subscription, next + 2).await;
        let mut table = job.oracle[&(from - 1)].clone();
        assert_eq!(apply(&events, &mut table), next + 2);
        assert_eq!(table, job.oracle[&(next + 2)]);
    }
    let gone = follows.open("visits", Some(37), G).await.err();
    assert!(matches!(gone, Some(QueryError::Gone { .. })), "{gone:?}");
}

#[tokio::test]
async fn quiet_times_have_heartbeats_that_move_the_place_to_resume() {
    let mut job = FakeJob::start(2, 64);
    churn(&mut job, 1..=3);
    let short = FollowLimits { heartbeat: Duration::from_millis(1), ..limits(1 << 20) };
    let follows = Follows::new(job.shared.router().clone(), short);
    let mut subscription = follows.open("visits", None, G).await.unwrap();
    for tick in 4..=9 {
        job.tick(tick, &[]);
    }
    let events = read_through(&mut subscription, 9).await;
    assert!(!events.contains("event: change"), "{events}");
    let mut later = follows.open("visits", Some(1000), G).await.unwrap();
    assert_eq!(later.next().await.unwrap(), ": waiting for the tick asked for\n\n");
}

#[tokio::test]
async fn ticks_that_change_nothing_do_not_put_the_heartbeat_off() {
    let mut job = FakeJob::start(1, 64);
    churn(&mut job, 1..=3);
    let short = FollowLimits { heartbeat: Duration::from_millis(50), ..limits(1 << 20) };
    let follows = Follows::new(job.shared.router().clone(), short);
    let mut subscription = follows.open("visits", None, G).await.unwrap();
    let mut next = std::pin::pin!(subscription.next());
    let mut tick = 3;
    let event = loop {
        tick += 1;
        assert!(tick < 10_000, "no heartbeat over so many ticks");
        job.tick(tick, &[]);
        if let Ok(event) = tokio::time::timeout(Duration::from_millis(2), &mut next).await {
            break event.unwrap();
        }
    };
    assert!(std::str::from_utf8(&event).unwrap().contains("\"changes\":0"), "{event:?}");
}

#[tokio::test]
async fn a_feed_that_overflows_ends_its_subscribers_and_not_the_worker() {
    let mut job = FakeJob::start(1, 64);
    job.tick(1, &[(1, Some(1))]);
    let small = FollowLimits { feed_bytes_max: 100, ..limits(1 << 20) };
    let follows = Follows::new(job.shared.router().clone(), small);
    let mut subscription = follows.open("visits", Some(1), G).await.unwrap();
    read_through(&mut subscription, 1).await;
    // This test does not yield, so nobody empties the feed: it holds tick 2, tick 3 is too much, the worker goes on.
    for tick in 2..=50 {
        job.tick(tick, &[(1, Some(tick))]);
        job.served();
    }
    let router = job.shared.router().clone();
    let (tick, page) = router.query("visits", &all(9), At::Newest).await.unwrap();
    assert_eq!((tick, page.rows), (50, job.rows_at(50)));
    let events = read_through(&mut subscription, 50).await;
    let (before, lagged) = events.split_once("event: lagged\n").unwrap();
    assert!(lagged.contains("\"from_tick\":3,"), "{lagged}");
    let mut table = job.oracle[&1].clone();
    assert_eq!(apply(before, &mut table), 2);
    assert_eq!(table, job.oracle[&2]);
    // Who connects again as told misses nothing.
    let mut again = follows.open("visits", Some(3), G).await.unwrap();
    job.tick(51, &[]);
    apply(&read_through(&mut again, 50).await, &mut table);
    assert_eq!(table, job.oracle[&50]);
}
