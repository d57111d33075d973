//! A generation that runs, as whoever started it holds it.

use super::super::keeper::Keeper;
use super::super::setup::{JobEvent, Setup};
use super::super::shared::Shared;
use super::super::writers::SinkThread;
use crate::error::{Error, Kind, Result};
use crate::ids::Tick;
use crate::state::persister::Persister;
use crate::telemetry::status::State;
use crate::ticks::log::thread::LogThread;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

/// A job that runs.
pub struct Running {
    pub(super) setup: Arc<Setup>,
    pub(super) events: Sender<JobEvent>,
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
        // An error says that it has ended already.
        let _ = self.events.send(JobEvent::Stop);
        self.setup.wake.all();
    }

    /// A hand that asks for a clean end from any thread.
    pub fn stopper(&self) -> impl Fn() + Send + Sync + 'static {
        let (events, wake) = (self.events.clone(), self.setup.wake.clone());
        move || {
            // An error says that it has ended already.
            let _ = events.send(JobEvent::Stop);
            wake.all();
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

    fn finish(&mut self) -> Result<()> {
        if let (true, Some(persister)) = (self.setup.failure.is_set(), &self.persister) {
            // A worker may wait there for a store that does not answer.
            persister.handle().close();
        }
        if let Some(guards) = self.guards.take() {
            for outcome in guards.join() {
                if let Err(panic) = outcome {
                    self.setup.failure.fail(Error::internal(format!("a worker ended: {panic}")));
                }
            }
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
