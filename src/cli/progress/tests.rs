#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::telemetry::status::WatermarkStatus;
use std::sync::atomic::{AtomicU64, Ordering};

fn facts() -> Facts {
    Facts {
        state: State::Running,
        generation: Generation(3),
        tick: 12_345,
        released: 12_345,
        records: 0,
        watermark: None,
        watermark_lag: None,
        snapshot: None,
        snapshot_age: None,
        holding: String::new(),
        replay: None,
    }
}

#[test]
fn the_line_says_what_the_facts_say() {
    let ms = Duration::from_millis;
    for (facts, rate, expected) in [
        (Facts::default(), None, "starting"),
        (facts(), None, "running | generation 3 | tick 12,345 | released 12,345 | no snapshot"),
        (
            Facts {
                released: 11_000,
                watermark_lag: Some(ms(1_500)),
                snapshot: Some(11_000),
                snapshot_age: Some(ms(12_700)),
                holding: "clock held by sink visits (commit 340 ms)".into(),
                ..facts()
            },
            Some(1_234_567),
            "running | generation 3 | tick 12,345 | 1,234,567 records/s | watermark 1500ms behind | \
             released 11,000 (1,345 behind) | snapshot 12s old | clock held by sink visits (commit 340 ms)",
        ),
        (
            Facts { watermark: Some(1_767_225_601_228_000), ..facts() },
            None,
            "running | generation 3 | tick 12,345 | watermark 2026-01-01T00:00:01Z | released 12,345 | no snapshot",
        ),
        (
            Facts {
                state: State::Replaying,
                replay: Some(Replay { replayed: 7, of: 20_000 }),
                ..facts()
            },
            Some(0),
            "replaying 7 of 20,000 ticks | generation 3 | tick 12,345 | 0 records/s | released 12,345 | no snapshot",
        ),
        (
            Facts { snapshot: Some(9_876), ..facts() },
            None,
            "running | generation 3 | tick 12,345 | released 12,345 | snapshot of tick 9,876",
        ),
        (
            Facts { holding: "held by \u{1b}[2J".into(), ..facts() },
            None,
            "running | generation 3 | tick 12,345 | released 12,345 | no snapshot | held by  [2J",
        ),
    ] {
        assert_eq!(line(&facts, rate), expected);
    }
}

#[test]
fn the_least_watermark_counts_unless_it_is_from_another_age() {
    let day = 86_400 * 1_000_000;
    for (watermarks, wall, expected) in [
        (&[][..], 10, None),
        (&[None], 10, None),
        (&[Some(7), None, Some(4)], 10, Some(6)),
        (&[Some(12)], 10, None),
        (&[Some(0)], day, Some(day)),
        (&[Some(0)], day + 1, None),
        (&[Some(i64::MIN)], i64::MAX, None),
    ] {
        let mut status = Status::default();
        for (i, watermark) in watermarks.iter().enumerate() {
            let source = WatermarkStatus { watermark: *watermark, ..WatermarkStatus::default() };
            status.watermarks.insert(i.to_string(), source);
        }
        let lag = Facts::of(&status, wall, 0, None).watermark_lag;
        assert_eq!(lag, expected.map(|lag| Duration::from_micros(lag as u64)), "{watermarks:?}");
    }
}

#[test]
fn rates_come_from_two_counts() {
    let second = Duration::from_secs(1);
    assert_eq!(rate(10, 30, second), Some(20));
    assert_eq!(rate(10, 30, Duration::from_millis(200)), Some(100));
    assert_eq!(rate(10, 30, Duration::ZERO), None);
    assert_eq!(rate(30, 10, second), None);
    assert_eq!(rate(0, u64::MAX, Duration::from_micros(1)), None);
}

#[test]
fn durations_are_rounded_to_what_matters() {
    for (ms, expected) in [
        (0, "0s"),
        (7, "7ms"),
        (9_999, "9999ms"),
        (10_999, "10s"),
        (599_000, "599s"),
        (659_000, "10m"),
        (3_600_000, "1h"),
        (90_000_000, "25h"),
    ] {
        assert_eq!(rounded(Duration::from_millis(ms)), expected);
    }
}

/// The thread looks at once, and once more at the end however long its pause is.
#[test]
fn the_first_and_the_last_facts_are_shown() {
    let looks = Arc::new(AtomicU64::new(0));
    let (seen, first) = std::sync::mpsc::channel();
    let progress = Progress::start({
        let looks = looks.clone();
        move || {
            looks.fetch_add(1, Ordering::SeqCst);
            let _ = seen.send(());
            Facts::default()
        }
    });
    first.recv_timeout(Duration::from_secs(30)).unwrap();
    let before = looks.load(Ordering::SeqCst);
    drop(progress);
    assert!(looks.load(Ordering::SeqCst) > before);
}
