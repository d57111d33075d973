//! The steps from stored bytes to current bytes. Decides nothing: `migration` has made the plan.

use super::DecodeError;
use super::containers::check_count;
use super::primitive::{length, put_length};
use super::schema::{Fields, Type};

/// What to do with one stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Keep its bytes.
    Copy(Type),
    /// Write the integer in more bytes.
    Widen(Integer, Integer),
    /// A byte says whether a value follows.
    Option(Box<Plan>),
    /// A count, then as many values.
    List(Box<Plan>),
    /// A count, then as many pairs.
    Map(Box<Plan>, Box<Plan>),
    /// Values one after the other.
    Tuple(Vec<Plan>),
    /// As many values.
    Array(Box<Plan>, u32),
    /// Fields.
    Struct(Body),
    /// For each stored variant its current number and its fields.
    Enum(Vec<(u8, Body)>),
}

/// What to do with fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Body {
    /// Each stored field, in the order of its bytes.
    pub(super) stored: Vec<Plan>,
    /// Each current field.
    pub(super) current: Vec<From>,
}

/// Where a current field comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The stored field of this number.
    Stored(usize),
    /// Not stored: these bytes.
    Default(Vec<u8>),
}

/// The width of an integer in bytes, and whether it can be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Integer {
    pub(super) bytes: usize,
    pub(super) signed: bool,
}

impl Integer {
    pub(super) fn of(shape: &Type) -> Option<Integer> {
        let (bytes, signed) = match shape {
            Type::U8 => (1, false),
            Type::U16 => (2, false),
            Type::U32 => (4, false),
            Type::U64 => (8, false),
            Type::U128 => (16, false),
            Type::I8 => (1, true),
            Type::I16 => (2, true),
            Type::I32 => (4, true),
            Type::I64 => (8, true),
            Type::I128 => (16, true),
            _ => return None,
        };
        Some(Integer { bytes, signed })
    }

    /// Whether every value of `self` is one of `wider`.
    pub(super) fn widens_to(self, wider: Integer) -> bool {
        self.bytes < wider.bytes && (wider.signed || !self.signed)
    }
}

impl Plan {
    /// Takes one stored value off the front of `input` and appends the current one.
    pub(super) fn run(&self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        match self {
            Plan::Copy(shape) => {
                let before = *input;
                skip(shape, input)?;
                out.extend_from_slice(&before[..before.len() - input.len()]);
                Ok(())
            }
            Plan::Widen(from, to) => widen(*from, *to, input, out),
            Plan::Option(value) => match byte(input, "an option is missing")? {
                0 => {
                    out.push(0);
                    Ok(())
                }
                1 => {
                    out.push(1);
                    value.run(input, out)
                }
                _ => Err(DecodeError::before(input, 1, "an option begins with 0 or 1")),
            },
            Plan::List(item) => {
                for _ in 0..count(input, out)? {
                    item.run(input, out)?;
                }
                Ok(())
            }
            Plan::Map(key, value) => {
                for _ in 0..count(input, out)? {
                    key.run(input, out)?;
                    value.run(input, out)?;
                }
                Ok(())
            }
            Plan::Tuple(items) => items.iter().try_for_each(|item| item.run(input, out)),
            Plan::Array(item, count) => (0..*count).try_for_each(|_| item.run(input, out)),
            Plan::Struct(body) => body.run(input, out),
            Plan::Enum(variants) => {
                let tag = super::tag(input)?;
                let Some((current, body)) = variants.get(usize::from(tag)) else {
                    return Err(super::no_variant(input));
                };
                out.push(*current);
                body.run(input, out)
            }
        }
    }

    /// Whether unequal values stay unequal and keep their order.
    pub(super) fn keeps_order(&self) -> bool {
        match self {
            Plan::Copy(_) | Plan::Widen(..) => true,
            Plan::Option(of) | Plan::List(of) | Plan::Array(of, _) => of.keeps_order(),
            Plan::Map(key, value) => key.keeps_order() && value.keeps_order(),
            Plan::Tuple(items) => items.iter().all(Plan::keeps_order),
            Plan::Struct(body) => body.keeps_order(),
            Plan::Enum(variants) => {
                variants.is_sorted_by_key(|(current, _)| *current)
                    && variants.iter().all(|(_, body)| body.keeps_order())
            }
        }
    }
}

impl Body {
    fn run(&self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for plan in &self.stored {
            plan.run(input, &mut bytes)?;
            ends.push(bytes.len());
        }
        for from in &self.current {
            out.extend_from_slice(match from {
                From::Stored(i) => &bytes[ends[*i]..ends[i + 1]],
                From::Default(default) => default,
            });
        }
        Ok(())
    }

    fn keeps_order(&self) -> bool {
        let kept = self.current.iter().filter_map(|from| match from {
            From::Stored(i) => Some(*i),
            From::Default(_) => None,
        });
        kept.eq(0..self.stored.len()) && self.stored.iter().all(Plan::keeps_order)
    }
}

/// Moves the input past one value. What its bytes mean is checked when the current row is decoded.
fn skip(shape: &Type, input: &mut &[u8]) -> Result<(), DecodeError> {
    match shape {
        Type::Unit => Ok(()),
        Type::Bool | Type::U8 | Type::I8 => advance(input, 1),
        Type::U16 | Type::I16 => advance(input, 2),
        Type::Char | Type::U32 | Type::I32 => advance(input, 4),
        Type::U64 | Type::I64 | Type::F64 | Type::EventTime => advance(input, 8),
        Type::U128 | Type::I128 => advance(input, 16),
        Type::Decimal => advance(input, 17),
        Type::String => {
            let length = length(input)?;
            advance(input, length)
        }
        Type::Option(of) => match byte(input, "an option is missing")? {
            0 => Ok(()),
            1 => skip(of, input),
            _ => Err(DecodeError::before(input, 1, "an option begins with 0 or 1")),
        },
        Type::List(of) | Type::Set(of) => skip_counted(&[of], input),
        Type::Map(key, value) => skip_counted(&[key, value], input),
        Type::Tuple(items) => items.iter().try_for_each(|item| skip(item, input)),
        Type::Array(of, count) => (0..*count).try_for_each(|_| skip(of, input)),
        Type::Struct(it) => skip_fields(&it.fields, input),
        Type::Enum(it) => match it.variants.get(usize::from(super::tag(input)?)) {
            Some(variant) => skip_fields(&variant.fields, input),
            None => Err(super::no_variant(input)),
        },
    }
}

fn skip_counted(shapes: &[&Type], input: &mut &[u8]) -> Result<(), DecodeError> {
    let count = length(input)?;
    check_count(count, input)?;
    (0..count).try_for_each(|_| shapes.iter().try_for_each(|shape| skip(shape, input)))
}

fn skip_fields(fields: &Fields, input: &mut &[u8]) -> Result<(), DecodeError> {
    fields.list.iter().try_for_each(|field| skip(&field.shape, input))
}

fn advance(input: &mut &[u8], bytes: usize) -> Result<(), DecodeError> {
    *input = input
        .get(bytes..)
        .ok_or_else(|| DecodeError::new(input, "a value is longer than what follows"))?;
    Ok(())
}

fn byte(input: &mut &[u8], what: &'static str) -> Result<u8, DecodeError> {
    super::take::<1>(input, what).map(|[byte]| byte)
}

fn count(input: &mut &[u8], out: &mut Vec<u8>) -> Result<usize, DecodeError> {
    let count = length(input)?;
    check_count(count, input)?;
    put_length(count, out);
    Ok(count)
}

/// The stored form is big-endian with a flipped sign bit, the current one too: only the filling differs.
fn widen(
    from: Integer,
    to: Integer,
    input: &mut &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let Some((stored, rest)) = input.split_at_checked(from.bytes) else {
        return Err(DecodeError::new(input, "an integer is cut off"));
    };
    *input = rest;
    let mut bytes = [0; 16];
    bytes[16 - from.bytes..].copy_from_slice(stored);
    let mut value = i128::from_be_bytes(bytes);
    if from.signed {
        value -= 1 << (from.bytes * 8 - 1);
    }
    if to.signed {
        value ^= i128::MIN >> (128 - to.bytes * 8);
    }
    out.extend_from_slice(&value.to_be_bytes()[16 - to.bytes..]);
    Ok(())
}
