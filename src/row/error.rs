//! Why bytes are not a row. Carries no data of the row.

use std::fmt;

/// Bytes that are not a row: what is wrong, and how many bytes were left where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    left: usize,
    what: &'static str,
}

impl DecodeError {
    /// An error at the front of what is left of the input.
    #[cold]
    pub fn new(left: &[u8], what: &'static str) -> DecodeError {
        DecodeError { left: left.len(), what }
    }

    /// An error that lies `taken` bytes before what is left of the input.
    #[cold]
    pub fn before(left: &[u8], taken: usize, what: &'static str) -> DecodeError {
        DecodeError { left: left.len() + taken, what }
    }

    /// The byte, counted from 0, of an input of `total` bytes.
    pub fn offset(&self, total: usize) -> usize {
        total.saturating_sub(self.left)
    }

    /// What is wrong.
    pub fn what(&self) -> &'static str {
        self.what
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, with {} bytes left", self.what, self.left)
    }
}

impl std::error::Error for DecodeError {}
