//! Workers that do not come round: told in the log and in the status, and nothing else happens to them. How long a tick may take is
//! the user's matter.

use super::beside;
use super::peers::Report;
use super::setup::Setup;
use super::whereabouts::Whereabouts;
use crate::ids::Tick;
use crate::telemetry::status::SlowWorker;
use crate::time::clock;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A worker that has not come round for so long is told of; again when it is twice as long.
const SLOW: Duration = Duration::from_secs(5);
/// How often the workers are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// When each worker of a process came round last, and with which tick it is busy.
pub(crate) struct Rounds {
    begun: Instant,
    workers: Vec<Round>,
}

struct Round {
    /// Milliseconds since `begun`; the greatest number before the first time: a restore takes as long as it takes.
    at: AtomicU64,
    tick: AtomicU64,
    whereabouts: Arc<Whereabouts>,
}

impl Rounds {
    /// None of them has come round yet.
    pub(crate) fn new(workers: usize) -> Rounds {
        let none = || Round {
            at: AtomicU64::new(u64::MAX),
            tick: AtomicU64::new(0),
            whereabouts: Arc::default(),
        };
        let workers = std::iter::repeat_with(none).take(workers).collect();
        Rounds { begun: clock::instant(), workers }
    }

    /// Worker `local` of this process has come round and goes on with `tick`.
    pub(crate) fn round(&self, local: usize, tick: Tick) {
        let at = clock::instant() - self.begun;
        self.workers[local].at.store(millis(at), Ordering::Relaxed);
        self.workers[local].tick.store(tick, Ordering::Relaxed);
    }

    /// The tick that worker `local` is busy with.
    pub(crate) fn tick(&self, local: usize) -> Tick {
        self.workers[local].tick.load(Ordering::Relaxed)
    }

    /// Which step worker `local` runs.
    pub(crate) fn whereabouts(&self, local: usize) -> Arc<Whereabouts> {
        Arc::clone(&self.workers[local].whereabouts)
    }

    /// Those that have not for long, by their number in this process.
    fn slow(&self, now: Instant) -> Vec<(usize, Tick, Duration)> {
        let now = millis(now - self.begun);
        let each = self.workers.iter().enumerate().map(|(local, round)| {
            let since = now.saturating_sub(round.at.load(Ordering::Relaxed));
            (local, round.tick.load(Ordering::Relaxed), Duration::from_millis(since))
        });
        each.filter(|(_, _, since)| *since >= SLOW).collect()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What is told of one worker, so that it is not told again and again.
struct Told {
    worker: SlowWorker,
    /// When it is told again.
    next: Duration,
}

/// What to write of the workers that are slow now, given what was told: lines, oldest workers first.
fn lines(told: &mut BTreeMap<usize, Told>, slow: &[(usize, SlowWorker, Duration)]) -> Vec<String> {
    let mut lines = Vec::new();
    told.retain(|local, told| {
        let still = slow.iter().any(|(other, _, _)| other == local);
        if !still {
            let SlowWorker { worker, tick, seconds, .. } = &told.worker;
            lines.push(format!(
                "worker {worker} has come round again, after more than {seconds} s in tick {tick}"
            ));
        }
        still
    });
    for (local, worker, since) in slow {
        let before = told.entry(*local).or_insert(Told { worker: worker.clone(), next: SLOW });
        before.worker = worker.clone();
        if *since >= before.next {
            before.next = *since * 2;
            lines.push(worker.to_string());
        }
    }
    lines
}

/// Starts the thread that watches the workers of this process.
pub(crate) fn watch(setup: &Arc<Setup>) {
    let (mut told, mut shown) = (BTreeMap::new(), Vec::new());
    let without = "no thread to watch workers: slow ticks are not told of";
    beside::look(setup, "slow", LOOK, without, move |setup| {
        let waits = setup.persister.counters().waiting.load(Ordering::Relaxed) > 0;
        let (first, process) = (setup.size.process * setup.size.workers, setup.size.process);
        let slow = setup.rounds.slow(clock::instant()).into_iter().map(|(local, tick, since)| {
            let (worker, seconds) = (first + local, since.as_secs());
            let step = setup.rounds.whereabouts(local).step();
            let slow = SlowWorker { worker, tick, step, seconds, waits_for_store: waits };
            (local, slow, since)
        });
        let slow: Vec<_> = slow.collect();
        for line in lines(&mut told, &slow) {
            tracing::warn!("{line}");
        }
        let now: Vec<_> = slow.into_iter().map(|(_, worker, _)| worker).collect();
        if now != shown {
            shown.clone_from(&now);
            match &setup.up {
                None => setup.observer.slow(process, now),
                Some(up) => {
                    if let Err(error) = up.send(0, &Report::Slow(now)) {
                        tracing::debug!(%error, "slow workers could not be told of");
                    }
                }
            }
        }
        ControlFlow::Continue(())
    });
}

#[cfg(test)]
mod tests;
