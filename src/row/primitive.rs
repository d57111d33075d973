//! Numbers, text, and boxes of them as rows. No collections.

use super::schema::{Schema, Type};
use super::{DecodeError, Row, take};
use std::sync::Arc;

impl Row for () {
    fn schema() -> Schema {
        Type::Unit.into()
    }

    fn encode(&self, _out: &mut Vec<u8>) {}

    fn decode(_input: &mut &[u8]) -> Result<Self, DecodeError> {
        Ok(())
    }
}

impl Row for bool {
    fn schema() -> Schema {
        Type::Bool.into()
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    #[inline]
    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
        match take(input, "a bool is missing")? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(DecodeError::before(input, 1, "a bool is 0 or 1")),
        }
    }
}

impl Row for u8 {
    fn schema() -> Schema {
        Type::U8.into()
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    #[inline]
    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
        take(input, "an integer is cut off").map(|[byte]| byte)
    }

    fn encode_all(rows: &[Self], out: &mut Vec<u8>) {
        out.extend_from_slice(rows);
    }

    fn decode_all(count: usize, input: &mut &[u8]) -> Result<Vec<Self>, DecodeError> {
        match input.split_at_checked(count) {
            Some((bytes, rest)) => {
                *input = rest;
                Ok(bytes.to_vec())
            }
            None => Err(DecodeError::new(input, "a list is longer than what follows")),
        }
    }
}

macro_rules! integers {
    ($($int:ident $variant:ident $flip:expr;)*) => {$(
        impl Row for $int {
            fn schema() -> Schema {
                Type::$variant.into()
            }

            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&(*self ^ $flip).to_be_bytes());
            }

            #[inline]
            fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
                take(input, "an integer is cut off").map(|bytes| $int::from_be_bytes(bytes) ^ $flip)
            }
        }
    )*};
}

integers! {
    u16 U16 0;
    u32 U32 0;
    u64 U64 0;
    u128 U128 0;
    i8 I8 i8::MIN;
    i16 I16 i16::MIN;
    i32 I32 i32::MIN;
    i64 I64 i64::MIN;
    i128 I128 i128::MIN;
}

macro_rules! pointer_sized {
    ($($int:ident as $stored:ident $variant:ident;)*) => {$(
        impl Row for $int {
            fn schema() -> Schema {
                Type::$variant.into()
            }

            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                $stored::try_from(*self).expect("no machine has integers beyond 64 bits").encode(out);
            }

            #[inline]
            fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
                let stored = $stored::decode(input)?;
                $int::try_from(stored)
                    .map_err(|_| DecodeError::before(input, 8, "an integer does not fit this machine's"))
            }
        }
    )*};
}

pointer_sized! {
    usize as u64 U64;
    isize as i64 I64;
}

impl Row for char {
    fn schema() -> Schema {
        Type::Char.into()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        u32::from(*self).encode(out);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let code = u32::decode(input)?;
        char::from_u32(code).ok_or_else(|| DecodeError::before(input, 4, "not a character"))
    }
}

/// Appends the length of something; the reader is [`length`].
///
/// # Panics
/// If it does not fit 32 bits.
#[inline]
pub(super) fn put_length(length: usize, out: &mut Vec<u8>) {
    u32::try_from(length)
        .expect("strings and collections in a row are shorter than 2^32")
        .encode(out);
}

/// Takes a length off the front of `input`.
#[inline]
pub(super) fn length(input: &mut &[u8]) -> Result<usize, DecodeError> {
    let bytes = take(input, "a length is cut off")?;
    Ok(u32::from_be_bytes(bytes) as usize)
}

impl Row for String {
    fn schema() -> Schema {
        Type::String.into()
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }

    #[inline]
    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let length = length(input)?;
        let Some((bytes, rest)) = input.split_at_checked(length) else {
            return Err(DecodeError::before(input, 4, "a string is longer than what follows"));
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                *input = rest;
                Ok(text.to_owned())
            }
            Err(error) => {
                Err(DecodeError::new(&input[error.valid_up_to()..], "a string is not UTF-8"))
            }
        }
    }
}

impl<T: Row> Row for Option<T> {
    fn schema() -> Schema {
        Type::Option(Box::new(T::schema().shape)).into()
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode(out);
            }
        }
    }

    #[inline]
    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
        match take(input, "an option is missing")? {
            [0] => Ok(None),
            [1] => T::decode(input).map(Some),
            _ => Err(DecodeError::before(input, 1, "an option begins with 0 or 1")),
        }
    }
}

macro_rules! pointers {
    ($($pointer:ident)*) => {$(
        impl<T: Row> Row for $pointer<T> {
            fn schema() -> Schema {
                T::schema()
            }

            fn encode(&self, out: &mut Vec<u8>) {
                T::encode(self, out);
            }

            fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
                T::decode(input).map($pointer::new)
            }
        }
    )*};
}

pointers! { Box Arc }
