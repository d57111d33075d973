//! The standard library's traits as functions that ask for [`Row`], so that a field that is no row is told once, as such.

use super::Row;
use std::cmp::Ordering;
use std::hash::Hasher;

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

#[cfg(test)]
mod tests;
