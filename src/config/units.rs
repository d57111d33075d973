//! Durations and sizes as people write them: `250ms`, `10s`, `64MiB`. A unit is always asked for.

use serde::Serializer;
use std::time::Duration;

const DURATIONS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60 * 1_000_000),
    ("h", 3_600 * 1_000_000),
    ("d", 86_400 * 1_000_000),
];

const SIZES: [(&str, u64); 8] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// The duration that `text` names, in whole microseconds.
///
/// # Errors
/// What is wrong, as the end of a sentence: "has no unit (us, ms, s, m, h, d)".
pub fn duration(text: &str) -> Result<Duration, String> {
    number_with_unit(text, &DURATIONS).map(Duration::from_micros)
}

/// The number of bytes that `text` names.
///
/// # Errors
/// As [`duration`].
pub fn size(text: &str) -> Result<u64, String> {
    number_with_unit(text, &SIZES)
}

/// `duration` in the greatest unit that divides it; [`duration`] reads it back. Below a microsecond is cut.
pub fn show_duration(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    show(micros, DURATIONS.iter().rev(), "s")
}

/// `bytes` in the greatest binary unit that divides it; [`size`] reads it back.
pub fn show_size(bytes: u64) -> String {
    show(bytes, SIZES[..5].iter().rev(), "B")
}

/// Serialises a duration as [`show_duration`] writes it.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn serialize_duration<S: Serializer>(
    value: &Duration,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.serialize_str(&show_duration(*value))
}

fn show<'a>(
    value: u64,
    mut units: impl Iterator<Item = &'a (&'static str, u64)>,
    zero: &str,
) -> String {
    match units.find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", value / factor),
        None => format!("0{zero}"),
    }
}

fn number_with_unit(text: &str, units: &[(&str, u64)]) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = (text[..digits].replace('_', ""), text[digits..].trim());
    let allowed = || units.iter().map(|(unit, _)| *unit).collect::<Vec<_>>().join(", ");
    if number.is_empty() {
        return Err(format!("is not a whole number with a unit ({})", allowed()));
    }
    if unit.is_empty() {
        return Err(format!("has no unit ({})", allowed()));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("has the unknown unit {unit:?} (allowed: {})", allowed()));
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor))
        .ok_or_else(|| "is too large".to_owned())
}

#[cfg(test)]
mod tests;
