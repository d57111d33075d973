//! The standard library's traits as functions that ask for [`Row`], so that a field that is no row is told once, as such.

use super::Row;
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::hash::Hasher;
use std::marker::PhantomData;

/// `Clone::clone`.
#[inline]
pub fn clone<T: Row>(row: &T) -> T {
    row.clone()
}

/// `PartialEq::eq`.
#[inline]
pub fn eq<T: Row>(a: &T, b: &T) -> bool {
    a == b
}

/// `Ord::cmp`.
#[inline]
pub fn cmp<T: Row>(a: &T, b: &T) -> Ordering {
    a.cmp(b)
}

/// `Hash::hash`.
#[inline]
pub fn hash<T: Row>(row: &T, state: &mut impl Hasher) {
    row.hash(state);
}

/// Serialises a row as the bytes of [`Row::encode`].
///
/// # Errors
/// As the serialiser's.
pub fn serialize_bytes<T: Row, S: Serializer>(row: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(&super::to_bytes(row))
}

/// Takes back what [`serialize_bytes`] wrote.
///
/// # Errors
/// If the bytes are not a row's.
pub fn deserialize_bytes<'de, T: Row, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    struct Bytes<T>(PhantomData<T>);
    impl<T: Row> Visitor<'_> for Bytes<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the bytes of a row")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<T, E> {
            super::from_bytes(bytes).map_err(E::custom)
        }

        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<T, E> {
            self.visit_bytes(&bytes)
        }
    }
    deserializer.deserialize_bytes(Bytes(PhantomData))
}

#[cfg(test)]
mod tests;
