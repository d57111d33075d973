//! Kept state.
