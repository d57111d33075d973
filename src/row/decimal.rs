//! Decimal numbers whose sums are exact. No rounding anywhere: what does not fit is refused.

use super::float::NumberOrText;
use super::schema::{Schema, Type};
use super::{DecodeError, Row};
use crate::error::{Error, Kind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A decimal number of up to 38 digits, up to 38 of them after the point. Equal numbers are one value: 1.50 is 1.5.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// The digits; not [`i128::MIN`], and not divisible by 10 unless `scale` is 0.
    digits: i128,
    /// How many of them stand after the point.
    scale: u8,
}

impl Decimal {
    /// 0.
    pub const ZERO: Decimal = Decimal { digits: 0, scale: 0 };

    /// The most digits after the point.
    pub const SCALE_MAX: u8 = 38;

    /// `digits` / 10^`scale`; `None` if `scale` is beyond [`Decimal::SCALE_MAX`] in lowest terms, or `digits` is [`i128::MIN`].
    pub fn new(mut digits: i128, mut scale: u32) -> Option<Decimal> {
        if digits == 0 {
            return Some(Decimal::ZERO);
        }
        while scale > 0 && digits % 10 == 0 {
            digits /= 10;
            scale -= 1;
        }
        let scale = u8::try_from(scale).ok().filter(|scale| *scale <= Self::SCALE_MAX)?;
        (digits != i128::MIN).then_some(Decimal { digits, scale })
    }

    /// The digits without the point.
    pub fn digits(self) -> i128 {
        self.digits
    }

    /// How many of the digits stand after the point.
    pub fn scale(self) -> u8 {
        self.scale
    }

    /// The exact sum, or `None` if it needs more than 38 digits.
    pub fn checked_add(self, other: Decimal) -> Option<Decimal> {
        let scale = self.scale.max(other.scale);
        let digits = self.at_scale(scale)?.checked_add(other.at_scale(scale)?)?;
        Decimal::new(digits, u32::from(scale))
    }

    /// The exact difference, or `None` if it needs more than 38 digits.
    pub fn checked_sub(self, other: Decimal) -> Option<Decimal> {
        self.checked_add(-other)
    }

    /// The exact product, or `None` if it needs more than 38 digits.
    pub fn checked_mul(self, other: Decimal) -> Option<Decimal> {
        let digits = self.digits.checked_mul(other.digits)?;
        Decimal::new(digits, u32::from(self.scale) + u32::from(other.scale))
    }

    /// The nearest float.
    pub fn to_f64(self) -> f64 {
        self.to_string().parse().expect("a decimal is written as a float is")
    }

    fn at_scale(self, scale: u8) -> Option<i128> {
        10_i128.checked_pow(u32::from(scale - self.scale))?.checked_mul(self.digits)
    }

    fn read(text: &str) -> Option<Decimal> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, plain) = match mantissa.as_bytes().first()? {
            b'-' => (true, &mantissa[1..]),
            b'+' => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let (whole, part) = plain.split_once('.').unwrap_or((plain, ""));
        if whole.is_empty() && part.is_empty() {
            return None;
        }
        let part = part.trim_end_matches('0');
        let mut digits = 0_i128;
        for byte in whole.bytes().chain(part.bytes()) {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            digits = digits.checked_mul(10)?.checked_add(digit)?;
        }
        if digits == 0 {
            return Some(Decimal::ZERO);
        }
        let scale = i64::try_from(part.len()).ok()? - i64::from(exponent);
        let digits = if negative { -digits } else { digits };
        if scale < 0 {
            let power = 10_i128.checked_pow(u32::try_from(-scale).ok()?)?;
            return Decimal::new(digits.checked_mul(power)?, 0);
        }
        Decimal::new(digits, u32::try_from(scale).ok()?)
    }
}

impl std::ops::Neg for Decimal {
    type Output = Decimal;

    fn neg(self) -> Decimal {
        Decimal { digits: -self.digits, scale: self.scale }
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Decimal {
        Decimal { digits: value.into(), scale: 0 }
    }
}

impl From<u64> for Decimal {
    fn from(value: u64) -> Decimal {
        Decimal { digits: value.into(), scale: 0 }
    }
}

/// Reads `12`, `-0.5`, `1.5e-3`.
impl FromStr for Decimal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Decimal, Error> {
        Decimal::read(text).ok_or_else(|| {
            let message = format!("{text:?} is not a decimal number of at most 38 digits");
            Error::new(Kind::Input, message)
        })
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        let digits = self.digits.unsigned_abs().to_string();
        let text = match scale {
            0 => digits,
            _ => {
                let padded = format!("{digits:0>width$}", width = scale + 1);
                let (whole, part) = padded.split_at(padded.len() - scale);
                format!("{whole}.{part}")
            }
        };
        f.pad_integral(self.digits >= 0, "", &text)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        if self.scale == other.scale {
            return self.digits.cmp(&other.digits);
        }
        // Whole parts first; the rest is below 1 and can be brought to one scale without overflow (10^38 < 2^127).
        let parts = |it: &Decimal| {
            let one = 10_i128.pow(u32::from(it.scale));
            let rest = it.digits.rem_euclid(one);
            let factor = 10_i128.pow(u32::from(Decimal::SCALE_MAX - it.scale));
            (it.digits.div_euclid(one), rest * factor)
        };
        parts(self).cmp(&parts(other))
    }
}

impl Row for Decimal {
    fn schema() -> Schema {
        Type::Decimal.into()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.digits.encode(out);
        out.push(self.scale);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let (digits, scale) = <(i128, u8)>::decode(input)?;
        match Decimal::new(digits, scale.into()) {
            Some(value) if value.scale == scale && value.digits == digits => Ok(value),
            _ => Err(DecodeError::before(input, 17, "a decimal is not in canonical form")),
        }
    }
}

/// A string, so that no reader makes a float of it.
impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From a string or a number. A reader that hands numbers on as floats gives their shortest decimal form.
impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        if !deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            return text.parse().map_err(serde::de::Error::custom);
        }
        deserializer.deserialize_any(NumberOrText {
            expecting: "a decimal number of at most 38 digits, as a string or a number",
            from_text: Decimal::read,
            from_f64: |value| Decimal::read(&value.to_string()),
            from_i64: Decimal::from,
            from_u64: Decimal::from,
        })
    }
}

#[cfg(test)]
mod tests;
