//! Floating point numbers with a total order. No arithmetic: sums of floats depend on their order.

use super::schema::{Schema, Type};
use super::{DecodeError, Row};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A 64-bit float in canonical form: one NaN, which is the greatest value, and one zero.
#[derive(Clone, Copy, Default)]
pub struct F64(f64);

impl F64 {
    /// The canonical form of `value`: -0.0 becomes 0.0, every NaN the same one.
    pub fn new(value: f64) -> F64 {
        if value.is_nan() {
            F64(f64::NAN)
        } else if value == 0.0 {
            F64(0.0)
        } else {
            F64(value)
        }
    }

    /// The value.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Bits whose unsigned order is the order of values.
    fn ordered(self) -> u64 {
        if self.0.is_nan() {
            return u64::MAX;
        }
        let bits = self.0.to_bits();
        if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
    }
}

impl From<f64> for F64 {
    fn from(value: f64) -> F64 {
        F64::new(value)
    }
}

impl From<F64> for f64 {
    fn from(value: F64) -> f64 {
        value.0
    }
}

impl fmt::Debug for F64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for F64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl PartialEq for F64 {
    fn eq(&self, other: &F64) -> bool {
        self.ordered() == other.ordered()
    }
}

impl Eq for F64 {}

impl PartialOrd for F64 {
    fn partial_cmp(&self, other: &F64) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for F64 {
    fn cmp(&self, other: &F64) -> Ordering {
        self.ordered().cmp(&other.ordered())
    }
}

impl Hash for F64 {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ordered().hash(state);
    }
}

impl Row for F64 {
    fn schema() -> Schema {
        Type::F64.into()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ordered().to_be_bytes());
    }

    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let ordered = u64::from_be_bytes(super::take(input, "a float is cut off")?);
        let bits = if ordered == u64::MAX {
            f64::NAN.to_bits()
        } else if ordered >> 63 == 1 {
            ordered & !(1 << 63)
        } else {
            !ordered
        };
        let value = F64::new(f64::from_bits(bits));
        if value.ordered() != ordered {
            return Err(DecodeError::before(input, 8, "a float is not in canonical form"));
        }
        Ok(value)
    }
}

/// A JSON number; what JSON has no number for is one of the strings "NaN", "Infinity", "-Infinity".
impl Serialize for F64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() || !serializer.is_human_readable() {
            serializer.serialize_f64(self.0)
        } else if self.0.is_nan() {
            serializer.serialize_str("NaN")
        } else {
            serializer.serialize_str(if self.0 > 0.0 { "Infinity" } else { "-Infinity" })
        }
    }
}

/// What a text or number in JSON can be read as: shared by the types that accept both.
pub(super) struct NumberOrText<T> {
    pub(super) expecting: &'static str,
    pub(super) from_text: fn(&str) -> Option<T>,
    pub(super) from_f64: fn(f64) -> Option<T>,
    pub(super) from_i64: fn(i64) -> T,
    pub(super) from_u64: fn(u64) -> T,
}

impl<'de, T> serde::de::Visitor<'de> for NumberOrText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<T, E> {
        Ok((self.from_i64)(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<T, E> {
        Ok((self.from_u64)(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<T, E> {
        (self.from_f64)(value)
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Float(value), &self))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.from_text)(text)
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    /// serde_json gives a number that is no 64-bit integer as a map of one entry (its feature `arbitrary_precision`).
    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        use serde::de::Error;
        match map.next_key::<String>()?.as_deref() {
            Some("$serde_json::private::Number") => self.visit_str(&map.next_value::<String>()?),
            _ => Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self)),
        }
    }
}

impl<'de> Deserialize<'de> for F64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<F64, D::Error> {
        if !deserializer.is_human_readable() {
            return f64::deserialize(deserializer).map(F64::new);
        }
        deserializer.deserialize_any(NumberOrText {
            expecting: "a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
            from_text: |text| {
                let value = text.parse::<f64>().ok()?;
                let overflowed = value.is_infinite() && text.bytes().any(|b| b.is_ascii_digit());
                (!overflowed).then(|| F64::new(value))
            },
            from_f64: |value| Some(F64::new(value)),
            from_i64: |value| F64::new(value as f64),
            from_u64: |value| F64::new(value as f64),
        })
    }
}

#[cfg(test)]
mod tests;
