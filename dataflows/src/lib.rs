//! Tidemark's example dataflows: one file each, written against the public API only. Copy one to begin your own.

pub mod components;
pub mod hot_items;
pub mod nexmark;
pub mod proof;
