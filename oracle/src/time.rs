//! RFC 3339 in UTC to microseconds since the Unix epoch and back, for years 0 to 9999.

const DAY: i64 = 86_400_000_000;

/// Microseconds since the Unix epoch of a time such as `2026-01-01T00:00:10.5Z`; at most six digits of a fraction.
///
/// # Errors
/// If it is no such time.
pub fn parse_micros(text: &str) -> Result<i64, String> {
    parse(text).ok_or_else(|| format!("`{text}` is no time in UTC"))
}

fn parse(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if whole.len() != 19 || !whole.is_ascii() || fraction.is_empty() || fraction.len() > 6 {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = &whole[from..to];
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    for (place, mark) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        if whole.as_bytes()[place] != mark {
            return None;
        }
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !fraction.bytes().all(|b| b.is_ascii_digit()) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").parse().ok()?;
    let seconds = (hour * 60 + minute) * 60 + second;
    Some(days_before(year, month, day) * DAY + seconds * 1_000_000 + micros)
}

/// The time as RFC 3339 in UTC with milliseconds.
pub fn format_micros(micros: i64) -> String {
    let (mut days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let mut year = 1970;
    while days < 0 {
        year -= 1;
        days += days_of_year(year);
    }
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_of_month(year, month) {
        days -= days_of_month(year, month);
        month += 1;
    }
    let (day, millis) = (days + 1, rest / 1_000);
    let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
    let (second, millis) = (millis / 1_000 % 60, millis % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of_year(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the Unix epoch to a date.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    // Leap days in the years before `year`, counted from year 0; 1970 had 478 before it.
    let leaps = |year: i64| {
        (year + 3).div_euclid(4) - (year + 99).div_euclid(100) + (year + 399).div_euclid(400)
    };
    let years = (year - 1970) * 365 + leaps(year) - leaps(1970);
    years + (1..month).map(|month| days_of_month(year, month)).sum::<i64>() + day - 1
}

#[cfg(test)]
mod tests;
