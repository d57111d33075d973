//! What `GET /api/v1/job` answers.

use crate::ids::{Generation, Tick};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a job is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Claims its generation, fences sinks, restores a snapshot.
    #[default]
    Starting,
    /// Recomputes recorded ticks.
    Replaying,
    /// Leads: new ticks are made.
    Running,
    /// Was told to stop and makes its last tick.
    Stopping,
    /// Runs no dataflow; `error` says why.
    Failed,
}

/// How far a replay has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Ticks replayed.
    pub replayed: u64,
    /// Ticks to replay.
    pub of: u64,
}

/// A source's watermark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatermarkStatus {
    /// Microseconds of event time; absent before the first.
    pub watermark: Option<i64>,
    /// The partition with the least stamp.
    pub holding: Option<String>,
    /// Records behind the ends of all partitions, as far as transports say.
    pub lag_records: Option<u64>,
}

/// A sink's progress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkStatus {
    /// The tick through which every lane has committed; absent before the first commit.
    pub committed_tick: Option<Tick>,
    /// Released ticks that are not committed.
    pub behind_ticks: u64,
    /// How long the last commit took, in milliseconds.
    pub commit_ms: Option<u64>,
}

/// A worker that does not come round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowWorker {
    /// Its number, over all processes.
    pub worker: usize,
    /// The tick that is not done on it.
    pub tick: Tick,
    /// The step whose code runs, as `explain` names it; `None` outside the code of all steps, as in differential's own operators.
    #[serde(default)]
    pub step: Option<String>,
    /// For how long.
    pub seconds: u64,
    /// Whether the store takes no more changes at present, which holds workers up; else it is in the user's code.
    pub waits_for_store: bool,
}

impl std::fmt::Display for SlowWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let SlowWorker { worker, tick, step, seconds, waits_for_store } = self;
        let why = match (waits_for_store, step) {
            (true, _) => "the store takes no more changes of state".to_owned(),
            (false, Some(step)) => format!("the step {step} does not end"),
            (false, None) => "a step of the dataflow does not end".to_owned(),
        };
        write!(
            f,
            "worker {worker} has been in tick {tick} for {seconds} s: {why}; the job waits for it"
        )
    }
}

/// The job as a whole. Fields may be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The job's name.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// The generation; 0 before it is claimed.
    pub generation: Generation,
    /// Fingerprint of the program.
    pub program: String,
    /// Its processes.
    pub processes: usize,
    /// Worker threads of each process.
    pub workers: usize,
    /// The socket of the `tidemark cluster` that started the processes, if one did.
    pub supervisor: Option<String>,
    /// The tick of the snapshot that the generation went on from; 0 if it began without one.
    pub restored: Option<Tick>,
    /// The newest released tick: what queries see.
    pub tick: Tick,
    /// The newest tick that the clock has issued.
    pub tick_current: Tick,
    /// The newest tick that is known to count.
    pub tick_durable: Tick,
    /// By source, those that have event time.
    pub watermarks: BTreeMap<String, WatermarkStatus>,
    /// By sink.
    pub sinks: BTreeMap<String, SinkStatus>,
    /// The tick of the newest snapshot that counts.
    pub snapshot: Option<Tick>,
    /// While replaying, or how far the last replay went.
    pub replay: Option<Replay>,
    /// Why the job failed.
    pub error: Option<String>,
    /// What holds the job up ([`crate::telemetry::holding`]); empty if nothing does.
    pub holding: String,
    /// Workers that do not come round at present.
    pub slow: Vec<SlowWorker>,
}

/// Whether the job answers queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// Not yet: it comes up.
    Rising,
    /// Not any more, or never.
    Down,
}

impl Status {
    /// Whether queries are answered in this state. A job that stops still answers.
    pub fn readiness(&self) -> Readiness {
        match self.state {
            State::Starting | State::Replaying => Readiness::Rising,
            State::Running | State::Stopping => Readiness::Ready,
            State::Failed => Readiness::Down,
        }
    }
}

impl State {
    /// The state as it stands in JSON.
    pub fn name(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Replaying => "replaying",
            State::Running => "running",
            State::Stopping => "stopping",
            State::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests;
