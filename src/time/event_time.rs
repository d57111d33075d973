//! Time inside a record. Knows no clock.

use crate::error::{Error, Kind};
use crate::row::schema::{Schema, Type};
use crate::row::{DecodeError, Row};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// A moment of the calendar, in microseconds since the Unix epoch (UTC), within the years 0001 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime {
    micros: i64,
}

const DAY: i64 = 86_400_000_000;

impl EventTime {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: EventTime = EventTime { micros: -62_135_596_800_000_000 };

    /// 9999-12-31T23:59:59.999999Z.
    pub const MAX: EventTime = EventTime { micros: 253_402_300_799_999_999 };

    /// The moment `micros` microseconds after the Unix epoch.
    ///
    /// # Errors
    /// `Input` if it lies outside the years 0001 to 9999.
    pub fn from_micros(micros: i64) -> Result<EventTime, Error> {
        Self::within(micros).ok_or_else(|| out_of_range(&format!("{micros} us")))
    }

    /// The moment `millis` milliseconds after the Unix epoch.
    ///
    /// # Errors
    /// `Input` if it lies outside the years 0001 to 9999.
    pub fn from_millis(millis: i64) -> Result<EventTime, Error> {
        millis
            .checked_mul(1_000)
            .and_then(Self::within)
            .ok_or_else(|| out_of_range(&format!("{millis} ms")))
    }

    /// The moment written in `text`: RFC 3339 (`2026-01-02T03:04:05.678Z`, `2026-01-02T04:04:05+01:00`), or
    /// `2026-01-02 03:04:05.678` in UTC. Digits beyond microseconds are dropped.
    ///
    /// # Errors
    /// `Input` if it is written in another way, is no date (30 February, second 60), or lies outside the years 0001 to 9999.
    pub fn parse(text: &str) -> Result<EventTime, Error> {
        match read(text.as_bytes()) {
            Some(micros) => Self::within(micros).ok_or_else(|| out_of_range(text)),
            None => Err(Error::new(
                Kind::Input,
                format!("{text:?} is not an event time: write it as 2026-01-02T03:04:05.678Z"),
            )),
        }
    }

    /// Microseconds since the Unix epoch.
    pub fn micros(self) -> i64 {
        self.micros
    }

    /// Milliseconds since the Unix epoch, rounded down.
    pub fn millis(self) -> i64 {
        self.micros.div_euclid(1_000)
    }

    /// The moment `later` afterwards, in whole microseconds; `None` beyond [`EventTime::MAX`].
    pub fn checked_add(self, later: Duration) -> Option<EventTime> {
        let later = i64::try_from(later.as_micros()).ok()?;
        self.micros.checked_add(later).and_then(Self::within)
    }

    /// The moment `earlier` before, in whole microseconds; `None` below [`EventTime::MIN`].
    pub fn checked_sub(self, earlier: Duration) -> Option<EventTime> {
        let earlier = i64::try_from(earlier.as_micros()).ok()?;
        self.micros.checked_sub(earlier).and_then(Self::within)
    }

    /// As [`EventTime::checked_add`], at most [`EventTime::MAX`].
    #[must_use]
    pub fn saturating_add(self, later: Duration) -> EventTime {
        self.checked_add(later).unwrap_or(Self::MAX)
    }

    /// As [`EventTime::checked_sub`], at least [`EventTime::MIN`].
    #[must_use]
    pub fn saturating_sub(self, earlier: Duration) -> EventTime {
        self.checked_sub(earlier).unwrap_or(Self::MIN)
    }

    /// How much later this is than `earlier`; `None` if it is before it.
    pub fn since(self, earlier: EventTime) -> Option<Duration> {
        u64::try_from(self.micros - earlier.micros).ok().map(Duration::from_micros)
    }

    fn within(micros: i64) -> Option<EventTime> {
        (Self::MIN.micros..=Self::MAX.micros).contains(&micros).then_some(EventTime { micros })
    }
}

fn out_of_range(what: &str) -> Error {
    Error::new(Kind::Input, format!("event time {what} lies outside the years 0001 to 9999"))
}

/// Reads a date and time as microseconds, which may still be out of range.
fn read(text: &[u8]) -> Option<i64> {
    let (head, rest) = text.split_first_chunk::<19>()?;
    let two = |at: usize| -> Option<i64> {
        let (tens, ones) = (head[at].wrapping_sub(b'0'), head[at + 1].wrapping_sub(b'0'));
        (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
    };
    let year = two(0)? * 100 + two(2)?;
    let (month, day, hour, minute, second) = (two(5)?, two(8)?, two(11)?, two(14)?, two(17)?);
    let in_utc = head[10] == b' ';
    let separated = head[4] == b'-' && head[7] == b'-' && head[13] == b':' && head[16] == b':';
    if !separated || !(in_utc || matches!(head[10], b'T' | b't')) {
        return None;
    }
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, zone) = read_fraction(rest)?;
    let offset = match zone {
        [] if in_utc => 0,
        zone => read_zone(zone)?,
    };
    let seconds = (days_before(year, month, day) * 24 + hour) * 3_600 + minute * 60 + second;
    Some((seconds - offset) * 1_000_000 + fraction)
}

/// Reads `.678` as microseconds and gives what follows.
fn read_fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', rest)) = rest.split_first() else {
        return Some((0, rest));
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let six = rest[..digits].iter().chain(std::iter::repeat(&b'0')).take(6);
    let micros = six.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0'));
    Some((micros, &rest[digits..]))
}

/// Reads `Z` or `+01:00` as seconds east of UTC.
fn read_zone(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let digit = |byte: &u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
            let (hours, minutes) = (digit(h1)? * 10 + digit(h2)?, digit(m1)? * 10 + digit(m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let east = hours * 3_600 + minutes * 60;
            Some(if *sign == b'-' { -east } else { east })
        }
        _ => None,
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date. The year is counted from March, so that the leap day is its last.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

/// The date that lies `days` after 1970-01-01; the inverse of [`days_before`].
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

impl EventTime {
    /// Writes the text into `text` and gives its part.
    fn write(self, text: &mut [u8; 27]) -> &str {
        *text = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |at: usize, width: usize, mut value: i64| {
            for place in text[at..at + width].iter_mut().rev() {
                *place = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        let (year, month, day) = date(self.micros.div_euclid(DAY));
        let of_day = self.micros.rem_euclid(DAY);
        let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
        put(0, 4, year);
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, seconds / 3_600);
        put(14, 2, seconds / 60 % 60);
        put(17, 2, seconds % 60);
        put(20, 6, fraction);
        let mut end = if fraction == 0 { 19 } else { 26 };
        while fraction != 0 && text[end - 1] == b'0' {
            end -= 1;
        }
        text[end] = b'Z';
        std::str::from_utf8(&text[..=end]).expect("digits and marks are ASCII")
    }
}

/// RFC 3339 in UTC, without zeros at the end of the fraction: `2026-01-02T03:04:05.678Z`.
impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.write(&mut [0; 27]))
    }
}

impl fmt::Debug for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for EventTime {
    type Err = Error;

    fn from_str(text: &str) -> Result<EventTime, Error> {
        EventTime::parse(text)
    }
}

impl Serialize for EventTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.write(&mut [0; 27]))
    }
}

/// From RFC 3339 text or an integer of milliseconds since the Unix epoch.
impl<'de> Deserialize<'de> for EventTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EventTime, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Visitor)
        } else {
            deserializer.deserialize_str(Visitor)
        }
    }
}

struct Visitor;

impl serde::de::Visitor<'_> for Visitor {
    type Value = EventTime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RFC 3339 time or an integer of milliseconds since the Unix epoch")
    }

    fn visit_i64<E: serde::de::Error>(self, millis: i64) -> Result<EventTime, E> {
        EventTime::from_millis(millis).map_err(|error| E::custom(error.message()))
    }

    fn visit_u64<E: serde::de::Error>(self, millis: u64) -> Result<EventTime, E> {
        self.visit_i64(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<EventTime, E> {
        EventTime::parse(text).map_err(|error| E::custom(error.message()))
    }
}

impl Row for EventTime {
    fn schema() -> Schema {
        Type::EventTime.into()
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        self.micros.encode(out);
    }

    #[inline]
    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let micros = i64::decode(input)?;
        Self::within(micros).ok_or_else(|| {
            DecodeError::before(input, 8, "an event time lies outside the years 0001 to 9999")
        })
    }
}

#[cfg(test)]
mod tests;
