//! Served views: ordered indexes of released ticks with a history of their own, and the way of a query to them and back.
//! No HTTP here, and no timely: workers push changes and call [`inbox::Inbox::serve`], front tasks await [`router::Router`].
//!
//! ```text
//! worker: Shard::push .. -> Inbox::serve(complete_through, released)     (its own thread, never awaits)
//!                              ^ bounded channel + waker      | oneshot, or a feed bounded in bytes
//! front:  Router::query / changes / follow  -> merge in row order -> JSON text
//! ```

pub mod follow;
pub mod inbox;
pub mod index;
pub mod kind;
pub mod released;
pub(crate) mod remote;
pub mod ring;
pub mod router;
pub mod shard;

use crate::ids::Tick;
use index::Miss;
use std::fmt;

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// There is no such view.
    NoSuchView {
        /// What was asked for.
        view: String,
        /// The views there are.
        known: Vec<String>,
    },
    /// A key, bound or token can't be read; the text says which and what is expected.
    Bad(String),
    /// The tick is not kept any more.
    Gone {
        /// The oldest that is.
        oldest: Tick,
    },
    /// The tick is not released yet.
    NotReleased {
        /// The newest that is.
        released: Tick,
    },
    /// The time limit passed.
    TimedOut(String),
    /// A queue is full: try again later.
    Busy,
    /// The workers are not there (yet, or any more).
    Away,
    /// A defect of Tidemark.
    Internal(String),
}

impl From<Miss> for QueryError {
    fn from(miss: Miss) -> QueryError {
        match miss {
            Miss::Gone { oldest } => QueryError::Gone { oldest },
            Miss::NotYet { newest } => QueryError::NotReleased { released: newest },
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueryError::NoSuchView { view, known } if known.is_empty() => {
                write!(f, "there is no view {view:?}: the dataflow serves none (flow.serve)")
            }
            QueryError::NoSuchView { view, known } => {
                write!(f, "there is no view {view:?}, only: {}", known.join(", "))
            }
            QueryError::Bad(text) | QueryError::TimedOut(text) | QueryError::Internal(text) => {
                f.write_str(text)
            }
            QueryError::Gone { oldest } => {
                write!(f, "the tick has left the history: the oldest is {oldest}")
            }
            QueryError::NotReleased { released } => {
                write!(f, "the tick is not released: the newest is {released} (after= waits)")
            }
            QueryError::Busy => {
                f.write_str("too many queries wait for the workers: try again later")
            }
            QueryError::Away => f.write_str("the workers do not answer: the job starts or ends"),
        }
    }
}

impl std::error::Error for QueryError {}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
