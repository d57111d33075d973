#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;

#[test]
fn known_times() {
    for (text, micros) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1969-12-31T23:59:59.999Z", -1_000),
        // From `date -u -d TEXT +%s`.
        ("2000-02-29T12:34:56Z", 951_827_696_000_000),
        ("2026-01-01T00:00:10.5Z", 1_767_225_610_500_000),
        ("2100-03-01T00:00:00+00:00", 4_107_542_400_000_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
    ] {
        assert_eq!(parse_micros(text), Ok(micros), "{text}");
    }
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "",
        "Z",
        "2026-01-01T00:00:10",
        "2026-01-01 00:00:10Z",
        "2026-13-01T00:00:10Z",
        "2025-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:10.Z",
        "2026-01-01T00:00:10.1234567Z",
        "2026-01-01T00:00:1\u{e9}Z",
        "+026-01-01T00:00:10Z",
    ] {
        assert!(parse_micros(text).is_err(), "{text}");
    }
}

#[test]
fn formatting_is_the_inverse_to_the_millisecond() {
    let mut random = crate::Random::new(3);
    for _ in 0..2_000 {
        // From 1800 to 2200.
        let millis = i64::try_from(random.below(12_600_000_000_000)).unwrap() - 5_364_000_000_000;
        let text = format_micros(millis * 1_000);
        assert_eq!(parse_micros(&text), Ok(millis * 1_000), "{text}");
    }
}
