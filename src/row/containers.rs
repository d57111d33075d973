//! Collections, tuples and arrays as rows. No hash maps: their order differs from run to run.

use super::primitive::{length, put_length};
use super::schema::{Schema, Type};
use super::{DecodeError, Row};
use std::collections::{BTreeMap, BTreeSet};

/// Items without any bytes (`()`) that a list may hold; a bound for a count that nothing else bounds.
pub(super) const EMPTY_ITEMS_MAX: usize = 65_536;

/// Items for which space is reserved before they are read.
const RESERVED_ITEMS_MAX: usize = 1_024;

/// Refuses a count that the input cannot hold, as far as it can be told before an item is read.
pub(super) fn check_count(count: usize, input: &[u8]) -> Result<(), DecodeError> {
    if count > input.len().max(EMPTY_ITEMS_MAX) {
        return Err(DecodeError::before(input, 4, "a collection is longer than what follows"));
    }
    Ok(())
}

pub(super) fn decode_items<T: Row>(count: usize, input: &mut &[u8]) -> Result<Vec<T>, DecodeError> {
    check_count(count, input)?;
    let mut items = Vec::with_capacity(count.min(input.len()).min(RESERVED_ITEMS_MAX));
    for _ in 0..count {
        items.push(T::decode(input)?);
    }
    Ok(items)
}

/// As [`decode_items`], for keys in ascending order.
fn decode_sorted<K: Ord, I>(
    input: &mut &[u8],
    key: impl Fn(&I) -> &K,
    decode: impl Fn(&mut &[u8]) -> Result<I, DecodeError>,
) -> Result<Vec<I>, DecodeError> {
    let count = length(input)?;
    check_count(count, input)?;
    let mut items: Vec<I> = Vec::with_capacity(count.min(input.len()).min(RESERVED_ITEMS_MAX));
    for _ in 0..count {
        let before = input.len();
        let item = decode(input)?;
        if items.last().is_some_and(|last| key(last) >= key(&item)) {
            let taken = before - input.len();
            return Err(DecodeError::before(input, taken, "keys are not in ascending order"));
        }
        items.push(item);
    }
    Ok(items)
}

impl<T: Row> Row for Vec<T> {
    fn schema() -> Schema {
        Type::List(Box::new(T::schema().shape)).into()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        T::encode_all(self, out);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let count = length(input)?;
        T::decode_all(count, input)
    }
}

impl<T: Row> Row for BTreeSet<T> {
    fn schema() -> Schema {
        Type::Set(Box::new(T::schema().shape)).into()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        for item in self {
            item.encode(out);
        }
    }

    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
        Ok(decode_sorted(input, |item| item, T::decode)?.into_iter().collect())
    }
}

impl<K: Row, V: Row> Row for BTreeMap<K, V> {
    fn schema() -> Schema {
        Type::Map(Box::new(K::schema().shape), Box::new(V::schema().shape)).into()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        for (key, value) in self {
            key.encode(out);
            value.encode(out);
        }
    }

    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let pair = |input: &mut &[u8]| Ok((K::decode(input)?, V::decode(input)?));
        Ok(decode_sorted(input, |(key, _)| key, pair)?.into_iter().collect())
    }
}

macro_rules! tuples {
    ($(($($name:ident $index:tt),*))*) => {$(
        impl<$($name: Row),*> Row for ($($name,)*) {
            fn schema() -> Schema {
                Type::Tuple(vec![$($name::schema().shape),*]).into()
            }

            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$index.encode(out);)*
            }

            #[inline]
            fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
                Ok(($($name::decode(input)?,)*))
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}

/// Arrays as far as serde has them: 1 to 32 items.
macro_rules! arrays {
    ($($count:literal)*) => {$(
        impl<T: Row> Row for [T; $count] {
            fn schema() -> Schema {
                Type::Array(Box::new(T::schema().shape), $count).into()
            }

            fn encode(&self, out: &mut Vec<u8>) {
                T::encode_all(self, out);
            }

            fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
                let items = T::decode_all($count, input)?;
                Ok(items.try_into().expect("as many items were decoded as the array has"))
            }
        }
    )*};
}

arrays! { 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 }
