//! The records of the progress topic, byte by byte as `doc/formats/progress.md` says. No I/O; the digest in them is every sink's.

use crate::ids::{Generation, Lane, Nonce};
use crate::sinks::{Identity, Progress};
use serde::{Deserialize, Serialize};

/// The key of progress records in the progress topic; compaction keeps the newest.
pub const PROGRESS_KEY: &str = "progress";

/// The header of each row: the tick in decimal.
pub const TICK_HEADER: &str = "tidemark-tick";

/// What whoever takes a lane over commits to its progress partition before anything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The job's name.
    pub job: String,
    /// The sink's name.
    pub sink: String,
    /// The lane.
    pub lane: Lane,
    /// The generation that takes the lane.
    pub generation: Generation,
    /// The generation's nonce.
    pub nonce: Nonce,
    /// Drawn for this one taking, since a generation may take a lane several times.
    pub taking: Nonce,
}

impl Mark {
    /// The mark of one taking of `lane`.
    pub fn new(identity: &Identity, sink: &str, lane: Lane, taking: Nonce) -> Mark {
        Mark {
            job: identity.job.clone(),
            sink: sink.to_owned(),
            lane,
            generation: identity.generation,
            nonce: identity.nonce,
            taking,
        }
    }

    /// The key of the generation's marks: compaction keeps one of each generation.
    pub fn key(&self) -> String {
        format!("mark/{}", self.generation)
    }
}

/// A record of a progress partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A lane was taken over.
    Mark(Mark),
    /// A tick, or rows of one, were committed.
    Progress(Progress),
    /// Of a kind that this version does not know; to be passed over.
    Unknown,
}

/// A value with its kind beside its fields.
#[derive(Serialize)]
struct Kinded<'a, T> {
    kind: &'static str,
    #[serde(flatten)]
    value: &'a T,
}

/// The bytes of a mark.
pub fn mark_bytes(mark: &Mark) -> Vec<u8> {
    serde_json::to_vec(&Kinded { kind: "mark", value: mark }).expect("a mark is plain data")
}

/// The bytes of a progress record.
pub fn progress_bytes(progress: &Progress) -> Vec<u8> {
    serde_json::to_vec(&Kinded { kind: "progress", value: progress })
        .expect("progress is plain data")
}

/// The record that `bytes` hold.
///
/// # Errors
/// What is wrong with them, in words.
pub fn parse(bytes: &[u8]) -> Result<Entry, String> {
    #[derive(Deserialize)]
    struct Kind {
        kind: String,
    }
    // Two passes: a tagged enum would go through serde's own buffer, which loses numbers kept at arbitrary precision.
    let Kind { kind } = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    match kind.as_str() {
        "mark" => serde_json::from_slice(bytes).map(Entry::Mark),
        "progress" => serde_json::from_slice(bytes).map(Entry::Progress),
        _ => Ok(Entry::Unknown),
    }
    .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
