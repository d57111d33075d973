//! How many updates differential's traces hold, counted from what the traces themselves tell: batches that come, merges, drops. Off
//! unless a test asks for it, or while a dataflow is only built to learn its plan. This module alone knows differential's log.

use differential_dataflow::logging::{DifferentialEvent, DifferentialEventBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use timely::worker::Worker;

/// Counts the updates in every trace of every worker of a process.
#[derive(Clone, Debug, Default)]
pub struct TraceMeter(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    traces: BTreeMap<(usize, usize), isize>,
    waiting: BTreeMap<(usize, usize), isize>,
    shares: BTreeMap<(usize, usize), isize>,
    most: isize,
}

impl TraceMeter {
    /// The updates held by each trace now, by (worker, operator).
    pub fn traces(&self) -> BTreeMap<(usize, usize), isize> {
        self.lock().traces.clone()
    }

    /// The updates in all traces now.
    pub fn updates(&self) -> isize {
        self.lock().traces.values().sum()
    }

    /// The updates that wait for their tick's end, in front of all traces.
    pub fn waiting(&self) -> isize {
        self.lock().waiting.values().sum()
    }

    /// The most updates that were in all traces at once since this was asked last.
    pub fn most(&self) -> isize {
        let mut counts = self.lock();
        let now = counts.traces.values().sum();
        std::mem::replace(&mut counts.most, now)
    }

    /// The operators of worker 0 with a trace that somebody reads.
    pub(crate) fn shared(&self) -> BTreeSet<usize> {
        let counts = self.lock();
        let shared =
            counts.shares.iter().filter(|((worker, _), readers)| *worker == 0 && **readers > 0);
        shared.map(|((_, operator), _)| *operator).collect()
    }

    /// Listens to the traces of a worker; before its dataflows are built.
    pub(crate) fn listen(&self, worker: &Worker) {
        let (meter, index) = (self.clone(), worker.index());
        let Some(mut register) = worker.log_register() else { return };
        let hear = move |_: &Duration, events: &mut Option<Vec<(Duration, DifferentialEvent)>>| {
            if let Some(events) = events {
                meter.hear(index, events.drain(..).map(|(_, event)| event));
            }
        };
        register.insert::<DifferentialEventBuilder, _>("differential/arrange", hear);
    }

    fn hear(&self, worker: usize, events: impl Iterator<Item = DifferentialEvent>) {
        let mut counts = self.lock();
        for event in events {
            let (operator, change) = match event {
                DifferentialEvent::Batch(batch) => (batch.operator, signed(batch.length)),
                DifferentialEvent::Drop(drop) => (drop.operator, -signed(drop.length)),
                DifferentialEvent::Merge(merge) => match merge.complete {
                    Some(left) => (
                        merge.operator,
                        signed(left) - signed(merge.length1) - signed(merge.length2),
                    ),
                    None => continue,
                },
                DifferentialEvent::Batcher(batcher) => {
                    let waiting = counts.waiting.entry((worker, batcher.operator)).or_default();
                    *waiting += batcher.records_diff;
                    continue;
                }
                DifferentialEvent::TraceShare(share) => {
                    *counts.shares.entry((worker, share.operator)).or_default() += share.diff;
                    continue;
                }
                DifferentialEvent::MergeShortfall(_) => continue,
            };
            *counts.traces.entry((worker, operator)).or_default() += change;
        }
        counts.most = counts.most.max(counts.traces.values().sum());
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signed(count: usize) -> isize {
    isize::try_from(count).unwrap_or(isize::MAX)
}
