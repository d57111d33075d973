//! A hundred subscribers of a view, one of whom does not read: the job and the others go on, and what each was told adds up to the view.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{BufRead as _, BufReader, Read};
use std::time::Duration;
use tidemark_tests::engine::{Engine, Launch};
use tidemark_tests::proof::run::say;
use tidemark_tests::{Failure, Result};

const LONG: Duration = Duration::from_secs(180);
const SUBSCRIBERS: usize = 100;
/// How long they follow.
const TICKS: u64 = 100;
const VIEW: &str = "/api/v1/views/hot-items";

/// Rows with how often they are there.
type Rows = BTreeMap<String, i64>;

/// The whole view, now or at a tick: its tick and its rows.
fn view(engine: &Engine, as_of: Option<u64>) -> Result<(u64, Rows)> {
    let as_of = as_of.map(|tick| format!("&as_of={tick}")).unwrap_or_default();
    let answer = engine.get(&format!("{VIEW}?limit=10000{as_of}"))?;
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

/// What a subscriber has at a tick.
struct Told {
    tick: u64,
    rows: Rows,
    changes: usize,
}

/// Follows a stream, adding its changes to `rows`, until a tick at or beyond `end` is whole.
fn follow(stream: impl Read, mut rows: Rows, end: u64) -> Result<Told> {
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
                if tick >= end {
                    return Ok(Told { tick, rows, changes });
                }
            }
            other => return Err(Failure(format!("{other}: {data}"))),
        }
    }
    Err(Failure::new("the stream ended"))
}

#[test]
fn what_a_hundred_subscribers_are_told_adds_up_to_the_view() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let launch = Launch::new("hot-items", 2, &folder.path().join("state"))
        .set("source.events.rate", 3_000)
        .set("tick.interval_min", "50ms")
        .set("view.hot-items.history", 10_000);
    let engine = Engine::launch(&launch)?;
    engine.wait_phase(0, LONG, |phase| phase.name == "leading")?;

    // Who asks and never reads.
    let (from, _) = view(&engine, None)?;
    let idle = engine.stream(&format!("{VIEW}/changes?from_tick={}", from + 1))?;
    let end = from + TICKS;
    let outcomes: Vec<Result<Told>> = std::thread::scope(|scope| {
        let readers: Vec<_> = (1..SUBSCRIBERS)
            .map(|_| {
                scope.spawn(|| {
                    let (tick, rows) = view(&engine, None)?;
                    let path = format!("{VIEW}/changes?from_tick={}", tick + 1);
                    follow(engine.stream(&path)?, rows, end)
                })
            })
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    let (mut changes, mut right) = (0, BTreeMap::new());
    for outcome in outcomes {
        let told = outcome?;
        if let Entry::Vacant(place) = right.entry(told.tick) {
            place.insert(view(&engine, Some(told.tick))?.1);
        }
        assert!(!told.rows.is_empty());
        assert_eq!(told.rows, right[&told.tick], "at tick {}", told.tick);
        changes += told.changes;
    }
    assert!(changes > SUBSCRIBERS);
    say(&format!("{} subscribers were told {changes} changes", SUBSCRIBERS - 1));
    drop(idle);
    assert_eq!(engine.get("/healthz")?.status, 200);
    Ok(())
}
