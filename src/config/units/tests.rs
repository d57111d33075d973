use super::*;

#[test]
fn durations_are_read_with_their_unit() {
    for (text, micros) in [
        ("1us", 1),
        ("250ms", 250_000),
        ("10s", 10_000_000),
        ("10 s", 10_000_000),
        ("5m", 300_000_000),
        ("1h", 3_600_000_000),
        ("2d", 172_800_000_000),
        ("1_000ms", 1_000_000),
        ("0s", 0),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
    }
}

#[test]
fn sizes_are_read_with_their_unit() {
    for (text, bytes) in
        [("1B", 1), ("4KiB", 4096), ("64MiB", 64 << 20), ("2GiB", 2 << 30), ("1MB", 1_000_000)]
    {
        assert_eq!(size(text), Ok(bytes), "{text}");
    }
}

#[test]
fn what_is_no_quantity_is_refused_with_the_units() {
    for (text, expected) in [
        ("10", "has no unit (us, ms, s, m, h, d)"),
        ("", "is not a whole number with a unit (us, ms, s, m, h, d)"),
        ("-1s", "is not a whole number with a unit (us, ms, s, m, h, d)"),
        ("1.5s", "has the unknown unit \".5s\" (allowed: us, ms, s, m, h, d)"),
        ("10S", "has the unknown unit \"S\" (allowed: us, ms, s, m, h, d)"),
        ("99999999999999999999s", "is too large"),
        ("18446744073709551615d", "is too large"),
    ] {
        assert_eq!(duration(text), Err(expected.to_owned()), "{text}");
    }
    assert!(size("5mb").is_err());
}

#[test]
fn shown_quantities_read_back() {
    for micros in [0, 1, 999, 1_000, 90_000_000, 3_600_000_000, 86_400_000_000, 86_400_000_001] {
        let value = Duration::from_micros(micros);
        assert_eq!(duration(&show_duration(value)), Ok(value));
    }
    for bytes in [0, 1, 1023, 1024, 1 << 20, (1 << 20) + 1, 3 << 30, 5 << 40] {
        assert_eq!(size(&show_size(bytes)), Ok(bytes));
    }
    assert_eq!(show_duration(Duration::from_secs(90)), "90s");
    assert_eq!(show_size(64 << 20), "64MiB");
}
