//! A generation that runs, as whoever started it holds it.

use super::super::keeper::Keeper;
use super::super::panics;
use super::super::peers::Report;
use super::super::setup::{JobEvent, Setup};
use super::super::shared::Shared;
use super::super::writers::SinkThread;
use super::links::Cluster;
use crate::error::{Error, Kind, Result};
use crate::ids::Tick;
use crate::state::persister::Persister;
use crate::telemetry::status::State;
use crate::ticks::log::thread::LogThread;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// How often the end of the workers is looked for.
const LOOK: Duration = Duration::from_millis(1);

/// A job that runs.
pub struct Running {
    pub(super) setup: Arc<Setup>,
    pub(super) events: Sender<JobEvent>,
    pub(super) cluster: Cluster,
    pub(super) guards: Option<timely::communication::WorkerGuards<()>>,
    pub(super) sinks: Vec<SinkThread>,
    pub(super) persister: Option<Persister>,
    pub(super) log: Option<LogThread>,
    pub(super) keeper: Option<Keeper>,
    pub(super) notes: Vec<String>,
}

impl Running {
    /// What the user should know of how kept state goes on, as it was logged.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Asks for a clean end.
    pub fn stop(&self) {
        self.stopper()();
    }

    /// A hand that asks for a clean end from any thread.
    pub fn stopper(&self) -> impl Fn() + Send + Sync + 'static {
        let (events, wake) = (self.events.clone(), self.setup.wake.clone());
        let up = self.setup.up.clone();
        move || match &up {
            // Process 0 decides at which tick.
            Some(up) => up.tell(&Report::Stop),
            None => {
                // An error says that it has ended already.
                let _ = events.send(JobEvent::Stop);
                wake.all();
            }
        }
    }

    /// The restored tick.
    pub(crate) fn setup_start(&self) -> Tick {
        self.setup.start.tick
    }

    /// Whether every sink has committed `tick`.
    pub(crate) fn sinks_have(&self, tick: Tick) -> bool {
        self.setup.sinks.values().all(|sink| sink.committed() >= tick)
    }

    /// Bytes of segments that were read for the restored snapshot; 0 if nothing was restored.
    #[cfg(test)]
    pub(crate) fn restored_bytes(&self) -> u64 {
        self.setup.start.snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes_read())
    }

    /// Ticks read again by this generation.
    pub(crate) fn replayed(&self) -> u64 {
        self.setup.observer.replayed_ticks()
    }

    /// Changes of kept state that the workers have handed to the persister.
    pub(crate) fn handed_over(&self) -> u64 {
        self.setup.persister.counters().changes.load(Ordering::Relaxed)
    }

    pub(crate) fn send(&self, event: JobEvent) {
        // An error says that it has ended already.
        let _ = self.events.send(event);
        self.setup.wake.all();
    }

    /// Ends as a crash does, as far as a living process can: nothing more is committed by workers.
    pub(crate) fn crash(mut self) {
        self.setup.failure.fail(Error::new(Kind::Retry, "crashed by a test"));
        // The error is the crash itself.
        let _ = self.finish();
    }

    /// What the job shares with its front.
    pub fn shared(&self) -> &Arc<Shared> {
        self.setup.observer.shared()
    }

    /// Whether the generation has ended or is about to.
    pub fn is_over(&self) -> bool {
        self.setup.is_over()
    }

    /// The error that ended it.
    pub fn error(&self) -> Option<Error> {
        self.setup.failure.error()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// What ended the generation, unless it was a clean end.
    pub fn wait(mut self) -> Result<()> {
        self.finish()
    }

    /// Leaves a generation that has failed to the end of the process, once the other processes are told why: threads that hang in
    /// a client must not keep it, and what counts is in the log.
    pub fn abandon(self) {
        self.cluster.tell_end(self.setup.failure.error().as_ref());
        self.cluster.close();
        std::mem::forget(self);
    }

    /// Waits for the workers, but for those that stand still.
    fn join(&self, guards: timely::communication::WorkerGuards<()>) {
        while guards.guards().iter().any(|worker| !worker.is_finished()) {
            if self.setup.stuck.load(Ordering::Acquire) {
                std::mem::forget(guards);
                return;
            }
            std::thread::sleep(LOOK);
        }
        let join = std::panic::AssertUnwindSafe(|| guards.join());
        let outcomes = match std::panic::catch_unwind(join) {
            Ok(outcomes) => outcomes,
            // A connection broke at the end: what that means the link has told, or means nothing any more.
            Err(panic) => {
                let panic = panics::text(panic.as_ref());
                tracing::debug!(panic, "a thread between the processes ended");
                Vec::new()
            }
        };
        for outcome in outcomes {
            if let Err(panic) = outcome {
                self.setup.failure.fail(Error::internal(format!("a worker ended: {panic}")));
            }
        }
    }

    fn finish(&mut self) -> Result<()> {
        if let (true, Some(persister)) = (self.setup.failure.is_set(), &self.persister) {
            // A worker may wait there for a store that does not answer.
            persister.handle().close();
        }
        // Before the workers are waited for: their connections end when those of the other processes do.
        self.cluster.tell_end(self.setup.failure.error().as_ref());
        if let Some(guards) = self.guards.take() {
            self.join(guards);
        }
        for sink in &self.sinks {
            sink.end();
        }
        self.sinks.clear();
        self.keeper = None;
        self.persister = None;
        if let Some(log) = self.log.take() {
            log.stop();
        }
        self.cluster.close();
        match self.setup.failure.error() {
            None => Ok(()),
            Some(error) => {
                self.shared().update(|status| {
                    status.state = State::Failed;
                    status.error = Some(error.to_string());
                });
                Err(error)
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.guards.is_some() {
            self.setup.failure.fail(Error::new(Kind::Retry, "the job was dropped"));
            // The error is the one just set.
            let _ = self.finish();
        }
    }
}
