//! Stops a writer at a step of the protocol: its phase lines are heard on its own thread, as they are told.

use std::fmt;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Calls a function with the name of each phase that the thread tells.
pub(crate) struct Phases<F>(pub(crate) F);

impl<F: Fn(&str) + Send + Sync + 'static> Phases<F> {
    /// What `act` gives, its phases heard.
    pub(crate) fn during<T>(self, act: impl FnOnce() -> T) -> T {
        tracing::subscriber::with_default(self, act)
    }
}

impl<F: Fn(&str) + Send + Sync + 'static> Subscriber for Phases<F> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tidemark::phase"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Name(Option<String>);
        impl Visit for Name {
            fn record_str(&mut self, field: &Field, value: &str) {
                if field.name() == "phase" {
                    self.0 = Some(value.to_owned());
                }
            }
            fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
        }
        let mut name = Name(None);
        event.record(&mut name);
        (self.0)(&name.0.expect("a phase line has a phase"));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An act on a thread of its own that is halted at a phase.
pub(crate) struct Halted<T> {
    thread: JoinHandle<T>,
    release: Sender<()>,
}

impl<T: Send + 'static> Halted<T> {
    /// Begins `act` and returns once it has come to `phase` for the first time.
    pub(crate) fn at(phase: &str, act: impl FnOnce() -> T + Send + 'static) -> Halted<T> {
        let ((reach, reached), (release, released)) = (channel::<()>(), channel());
        let (wanted, gate) = (phase.to_owned(), Mutex::new(Some((reach, released))));
        let thread = std::thread::spawn(move || {
            let halt = Phases(move |phase: &str| {
                if phase == wanted
                    && let Some((reach, released)) = gate.lock().unwrap().take()
                {
                    reach.send(()).unwrap();
                    released.recv().unwrap();
                }
            });
            halt.during(act)
        });
        if reached.recv().is_err() {
            drop(thread.join().unwrap());
            panic!("it ended without coming to {phase}");
        }
        Halted { thread, release }
    }

    /// Lets it go on, and gives what it comes to.
    pub(crate) fn go_on(self) -> T {
        self.release.send(()).unwrap();
        self.thread.join().unwrap()
    }
}
