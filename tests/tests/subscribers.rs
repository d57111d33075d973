//! A hundred subscribers of a view, one of whom does not read: the job and the others go on, and what each was told adds up to the view.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidemark_tests::clock::Deadline;
use tidemark_tests::engine::{Engine, Launch};
use tidemark_tests::proof::run::say;
use tidemark_tests::{Failure, Result};

const LONG: Duration = Duration::from_secs(180);
const SUBSCRIBERS: usize = 100;
const VIEW: &str = "/api/v1/views/hot-items";

/// Rows with how often they are there.
type Rows = BTreeMap<String, i64>;

/// The whole view: its tick and its rows.
fn view(engine: &Engine) -> Result<(u64, Rows)> {
    let answer = engine.get(&format!("{VIEW}?limit=10000"))?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let json = answer.json()?;
    assert_eq!(json["next"], Value::Null, "one page is the view");
    let rows = json["rows"].as_array().unwrap();
    let rows = rows.iter().map(|row| (row_text(row), 1)).collect();
    Ok((json["tick"].as_u64().unwrap(), rows))
}

fn row_text(row: &Value) -> String {
    format!("{} {}", row["key"], row["value"])
}

/// Follows a stream, adding its changes to `rows`, until a tick at or beyond `end` (0: not known yet) is whole.
fn follow(stream: impl Read, mut rows: Rows, end: &AtomicU64) -> Result<(Rows, u64)> {
    let (mut event, mut changes) = (String::new(), 0);
    let mut pending = Vec::new();
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if let Some(name) = line.strip_prefix("event: ") {
            name.clone_into(&mut event);
        }
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let data: Value = serde_json::from_str(data)?;
        match event.as_str() {
            "change" => pending.push(data),
            "tick" => {
                let tick = data["tick"].as_u64().unwrap();
                assert_eq!(data["changes"].as_u64(), Some(pending.len() as u64), "at {tick}");
                for change in pending.drain(..) {
                    assert_eq!(change["tick"].as_u64(), Some(tick));
                    let count = rows.entry(row_text(&change)).or_default();
                    *count += change["diff"].as_i64().unwrap();
                    changes += 1;
                }
                rows.retain(|_, count| *count != 0);
                let end = end.load(Ordering::Acquire);
                if end > 0 && tick >= end {
                    return Ok((rows, changes));
                }
            }
            other => return Err(Failure(format!("{other}: {data}"))),
        }
    }
    Err(Failure::new("the stream ended"))
}

/// Waits until the bounded input is through: the tick at which nothing can change any more.
fn last_tick(engine: &Engine) -> Result<u64> {
    let deadline = Deadline::after(LONG);
    loop {
        let job = engine.get("/api/v1/job")?.json()?;
        let tick = job["tick"].as_u64().unwrap();
        let record = engine.get(&format!("/api/v1/job/ticks/{tick}"))?;
        // The watermark of a source that has ended.
        if record.status == 200 && record.json()?["watermarks"]["events"].as_i64() == Some(i64::MAX)
        {
            return Ok(tick);
        }
        deadline.left().ok_or_else(|| Failure(format!("not through: {job}")))?;
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_a_hundred_subscribers_are_told_adds_up_to_the_view() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let launch = Launch::new("hot-items", 2, &folder.path().join("state"))
        .set("source.events.events", 30_000)
        .set("source.events.rate", 3_000)
        .set("tick.interval_min", "50ms");
    let engine = Engine::launch(&launch)?;
    engine.wait_phase(0, LONG, |phase| phase.name == "leading")?;

    // Who asks and never reads.
    let (from, _) = view(&engine)?;
    let idle = engine.stream(&format!("{VIEW}/changes?from_tick={}", from + 1))?;
    let end = AtomicU64::new(0);
    let outcomes: Vec<Result<(Rows, u64)>> = std::thread::scope(|scope| {
        let readers: Vec<_> = (1..SUBSCRIBERS)
            .map(|_| {
                let (engine, end) = (&engine, &end);
                scope.spawn(move || {
                    let (tick, rows) = view(engine)?;
                    let path = format!("{VIEW}/changes?from_tick={}", tick + 1);
                    follow(engine.stream(&path)?, rows, end)
                })
            })
            .collect();
        // Without an end they would follow for ever: a failure to find it is theirs too.
        let last = last_tick(&engine);
        end.store(*last.as_ref().unwrap_or(&1), Ordering::Release);
        let outcomes = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        last.map(|_| outcomes)
    })?;
    let (_, right) = view(&engine)?;
    assert!(!right.is_empty());
    let mut changes = 0;
    for outcome in outcomes {
        let (rows, told) = outcome?;
        assert_eq!(rows, right);
        changes += told;
    }
    assert!(changes > 0);
    say(&format!("{} subscribers were told {changes} changes", SUBSCRIBERS - 1));
    drop(idle);
    assert_eq!(engine.get("/healthz")?.status, 200);
    Ok(())
}
