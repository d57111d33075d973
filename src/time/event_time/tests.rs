#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> EventTime {
    EventTime::parse(text).unwrap()
}

#[test]
fn texts() {
    for (text, micros) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01 00:00:00", 0),
        ("1970-01-01 00:00:00.5", 500_000),
        ("1970-01-01 00:00:00.000001", 1),
        ("1970-01-01T00:00:00.1234567Z", 123_456),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31t22:30:00-01:30", 0),
        ("1970-01-01 01:00:00+01:00", 0),
        ("2000-02-29T12:00:00z", 951_825_600_000_000),
        ("2026-01-02T03:04:05.678Z", 1_767_323_045_678_000),
        ("0001-01-01T00:00:00Z", EventTime::MIN.micros()),
        ("9999-12-31T23:59:59.999999Z", EventTime::MAX.micros()),
        ("0000-12-31T23:00:00-01:00", EventTime::MIN.micros()),
    ] {
        assert_eq!(EventTime::parse(text).map(EventTime::micros), Ok(micros), "{text}");
    }
    for text in [
        "",
        "2026",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05+0100",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05ZZ",
        "2026-01-02 03:04:05 ",
        "2026-01-02X03:04:05Z",
        "2026/01/02T03:04:05Z",
        "2026-00-02T03:04:05Z",
        "2026-13-02T03:04:05Z",
        "2026-01-00T03:04:05Z",
        "2026-02-29T03:04:05Z",
        "1900-02-29T03:04:05Z",
        "2026-04-31T03:04:05Z",
        "2026-01-02T24:04:05Z",
        "2026-01-02T03:60:05Z",
        "2026-12-31T23:59:60Z",
        "+026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.678é",
        "٢026-01-02T03:04:05Z",
    ] {
        let error = EventTime::parse(text).unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        assert!(error.message().contains("is not an event time"), "{text}: {error}");
    }
    for text in ["0000-12-31T23:59:59Z", "9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+00:01"] {
        let error = EventTime::parse(text).unwrap_err();
        assert!(error.message().contains("outside the years 0001 to 9999"), "{text}: {error}");
    }
}

#[test]
fn shown_without_zeros_at_the_end() {
    for (micros, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (500_000, "1970-01-01T00:00:00.5Z"),
        (10, "1970-01-01T00:00:00.00001Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (EventTime::MIN.micros(), "0001-01-01T00:00:00Z"),
        (EventTime::MAX.micros(), "9999-12-31T23:59:59.999999Z"),
    ] {
        assert_eq!(EventTime::from_micros(micros).unwrap().to_string(), text);
    }
}

#[test]
fn out_of_range_is_an_error() {
    assert!(EventTime::from_micros(EventTime::MAX.micros() + 1).is_err());
    assert!(EventTime::from_micros(EventTime::MIN.micros() - 1).is_err());
    assert!(EventTime::from_millis(EventTime::MAX.micros() / 1_000).is_ok());
    for millis in [EventTime::MAX.micros() / 1_000 + 1, i64::MAX, i64::MIN] {
        let error = EventTime::from_millis(millis).unwrap_err();
        assert_eq!(
            (error.kind(), error.message().contains(" ms lies outside")),
            (Kind::Input, true)
        );
    }
}

#[test]
fn arithmetic_stays_within() {
    let (day, long) = (Duration::from_secs(86_400), Duration::MAX);
    let start = parse("2026-01-31T00:00:00Z");
    assert_eq!(start.checked_add(day), Some(parse("2026-02-01T00:00:00Z")));
    assert_eq!(start.checked_sub(day), Some(parse("2026-01-30T00:00:00Z")));
    assert_eq!(EventTime::MAX.checked_add(Duration::from_micros(1)), None);
    assert_eq!(EventTime::MIN.checked_sub(Duration::from_micros(1)), None);
    assert_eq!((start.checked_add(long), start.checked_sub(long)), (None, None));
    assert_eq!(start.saturating_add(long), EventTime::MAX);
    assert_eq!(start.saturating_sub(long), EventTime::MIN);
    assert_eq!(start.saturating_add(day).since(start), Some(day));
    assert_eq!(start.since(start.saturating_add(day)), None);
}

#[test]
fn json() {
    let read = |json: &str| serde_json::from_str::<EventTime>(json);
    let at = parse("2026-01-02T03:04:05.678Z");
    for json in ["\"2026-01-02T03:04:05.678Z\"", "\"2026-01-02 03:04:05.678\"", "1767323045678"] {
        assert_eq!(read(json).unwrap(), at, "{json}");
        assert_eq!(sonic_rs::from_str::<EventTime>(json).unwrap(), at, "{json}");
    }
    assert_eq!(read("-1").unwrap().micros(), -1_000);
    assert_eq!(serde_json::to_string(&at).unwrap(), "\"2026-01-02T03:04:05.678Z\"");
    for json in
        ["1767323045678000", "18446744073709551615", "\"x\"", "1.5", "null", "99999999999999999999"]
    {
        assert!(read(json).is_err(), "{json}");
    }
}

proptest! {
    #[test]
    fn a_moment_survives_its_text(micros in EventTime::MIN.micros()..=EventTime::MAX.micros()) {
        let at = EventTime::from_micros(micros).unwrap();
        prop_assert_eq!(parse(&at.to_string()), at);
        prop_assert_eq!(at.millis(), micros.div_euclid(1_000));
    }

    #[test]
    fn no_text_panics(text in "[-0-9T:.Z+ é]{0,40}") {
        if let Ok(at) = EventTime::parse(&text) {
            prop_assert_eq!(parse(&at.to_string()), at);
        }
    }
}

/// Every day of the calendar follows the one before it.
#[test]
fn the_calendar_is_whole() {
    let mut expected = EventTime::MIN.micros().div_euclid(DAY);
    for year in 1..=9999 {
        for month in 1..=12 {
            for day in 1..=days_in(year, month) {
                assert_eq!(days_before(year, month, day), expected);
                assert_eq!(date(expected), (year, month, day));
                expected += 1;
            }
        }
    }
    assert_eq!(expected, EventTime::MAX.micros() / DAY + 1);
}
