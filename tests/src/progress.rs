//! The sinks' progress, read as any user may: from the documented progress topics, live, with an ordinary client.
//! (Afterwards is too late: those topics are compacted.)

use crate::client::{Client, Record};
use crate::follow::Follower;
use crate::{Failure, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a lane's writer committed together with the rows of a tick (`doc/formats/progress.md`); the fields that tests look at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Progress {
    /// The job's name.
    pub job: String,
    /// The sink's name.
    pub sink: String,
    /// The lane.
    pub lane: u16,
    /// The generation that wrote it.
    pub generation: u64,
    /// The tick.
    pub tick: u64,
    /// Rows of the tick committed so far in the lane.
    pub rows: u64,
    /// Whether these are all rows of the tick in the lane.
    pub last: bool,
    /// The next offset of each partition after the tick, by source.
    pub next_offsets: BTreeMap<String, BTreeMap<String, u64>>,
    /// Watermarks in force at the tick in microseconds, by source.
    pub watermarks: BTreeMap<String, i64>,
}

/// The topic of a sink's progress, unless it is configured otherwise.
pub fn topic(job: &str, sink: &str) -> String {
    format!("{job}.{sink}.progress")
}

/// A record of a progress topic: who committed it, and whether it is only a mark.
fn author(record: &Record) -> Result<(u64, bool)> {
    let json: serde_json::Value = serde_json::from_str(record.text()?)?;
    let generation = json.get("generation").and_then(serde_json::Value::as_u64);
    let generation = generation.ok_or_else(|| Failure(format!("{json} has no generation")))?;
    Ok((generation, json.get("kind").and_then(|kind| kind.as_str()) != Some("progress")))
}

/// The number of lanes taken over by a generation after the first one.
///
/// # Errors
/// If in some lane anything of an older generation follows the first record of a newer one: that is its mark, the fence.
pub fn nothing_behind_a_fence(client: &Client, job: &str, sinks: &[&str]) -> Result<usize> {
    let mut marks = 0;
    for sink in sinks {
        let mut newest: BTreeMap<i32, u64> = BTreeMap::new();
        for record in client.read_committed(&topic(job, sink))? {
            let (generation, mark) = author(&record)?;
            let before = newest.insert(record.partition, generation).unwrap_or(0);
            let place = format!("{}/{}@{}", record.topic, record.partition, record.offset);
            if generation < before {
                return Err(Failure(format!("{place}: generation {generation} after {before}")));
            }
            marks += usize::from(mark && generation > 1);
        }
    }
    Ok(marks)
}

impl Progress {
    /// What a record of a progress topic says; `None` for marks and kinds that are not known.
    ///
    /// # Errors
    /// If it is not as documented.
    pub fn read(record: &Record) -> Result<Option<Progress>> {
        #[derive(Deserialize)]
        struct Kind {
            kind: String,
        }
        let text = record.text()?;
        let wrong = |error: serde_json::Error| Failure::from(error).at(text);
        let Kind { kind } = serde_json::from_str(text).map_err(wrong)?;
        if kind == "progress" {
            serde_json::from_str(text).map(Some).map_err(wrong)
        } else {
            Ok(None)
        }
    }

    /// The next offsets of a source whose partitions are numbers, in their order.
    ///
    /// # Errors
    /// If the source is not in it or its partitions are not 0, 1, 2, ...
    pub fn offsets(&self, source: &str, partitions: usize) -> Result<Vec<u64>> {
        let of_source = self.next_offsets.get(source);
        let offset = |number: usize| of_source?.get(&number.to_string()).copied();
        let all: Option<Vec<u64>> = (0..partitions).map(offset).collect();
        all.filter(|_| of_source.is_some_and(|of| of.len() == partitions)).ok_or_else(|| {
            Failure(format!(
                "tick {} of {}: not {partitions} partitions of {source}: {:?}",
                self.tick, self.sink, self.next_offsets
            ))
        })
    }
}

/// Follows the progress of some sinks from now to its drop.
///
/// # Errors
/// If no thread or client can be made.
pub fn follow(client: &Client, job: &str, sinks: &[&str]) -> Result<Follower<Progress>> {
    let topics = sinks.iter().map(|sink| topic(job, sink)).collect();
    Follower::start(client, topics, |record| Progress::read(&record))
}

#[cfg(test)]
mod tests;
