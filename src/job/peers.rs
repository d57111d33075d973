//! What the processes of one generation say to each other: process 0 leads, the others do their share of the work.
//!
//! ```text
//! 0 -> p   Verify (a snapshot), Begin (where the generation goes on from), Ask (a query), Farewell (the end, and why)
//! p -> 0   Verified (its share of the snapshot), Part (of a new one), Answer (to a query), Facts (of its workers), Slow (workers),
//!          Memory (that it uses), Stop (it was told to), Failed (it can't go on)
//! ```
//! Rows, ticks and watermarks go through timely, not here. A process that is lost ends the generation.

use super::upgrade::Begins;
use crate::cluster::{Control, Event, Port};
use crate::error::{Error, Kind, Result};
use crate::hash::Map;
use crate::ids::{Generation, Inlet, Nonce, Tick};
use crate::state::persister::Part;
use crate::telemetry::status::SlowWorker;
use crate::ticks::record::{Image, SkipRecord};
use crate::views::index::Size;
use crate::views::remote::{Answer, Question};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// From where a generation goes on: all that a process has to know that does not lead.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub(crate) generation: Generation,
    pub(crate) nonce: Nonce,
    /// The snapshot's manifest, if there is one.
    pub(crate) manifest: Option<String>,
    /// How each kept state begins, in the plan's order.
    pub(crate) begins: Vec<Begins>,
    /// As [`super::setup::Start`] has them.
    pub(crate) images: Map<String, Image>,
    pub(crate) written: Map<String, Tick>,
    pub(crate) lanes: Map<String, u16>,
    pub(crate) skips: Vec<SkipRecord>,
}

/// What process 0 says to another.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// To verify its share of this manifest's snapshot, and to answer with [`Report::Verified`].
    Verify(String),
    Begin(Box<Begin>),
    /// A question to a worker, under a number.
    Ask(usize, u64, Question),
    /// The generation ends; the error, unless it was told to.
    Farewell(Option<Told>),
}

/// What a process says to process 0.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// Its share of the snapshot that it was asked about is whole, or damaged.
    Verified(std::result::Result<(), Told>),
    /// Its part of a snapshot is in the store.
    Part(Part),
    /// The answer to a question.
    Answer(u64, Answer),
    /// What one of its workers has and has done.
    Facts(WorkerFacts),
    /// Its workers that do not come round now.
    Slow(Vec<SlowWorker>),
    /// Per cent of its memory's budget that it uses now.
    Memory(u64),
    /// It was told to end the job cleanly.
    Stop,
    /// It can't go on.
    Failed(Told),
}

/// What a worker says of itself now and then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerFacts {
    /// Its number.
    pub(crate) worker: usize,
    /// Records that it has read since it began.
    pub(crate) records: u64,
    /// Records of its partitions that wait to be read.
    pub(crate) lags: Vec<(Inlet, u64)>,
    /// Its rows of kept state, by uid.
    pub(crate) kept: Vec<(String, u64)>,
    /// Its late records since it began, by uid.
    pub(crate) late: Vec<(String, u64)>,
    /// Its part of the views.
    pub(crate) served: Vec<(String, Size)>,
}

/// An error of another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The kind's code.
    kind: String,
    message: String,
}

impl Told {
    pub(crate) fn of(error: &Error) -> Told {
        Told { kind: error.kind().code().to_owned(), message: error.message().to_owned() }
    }

    /// The error, with the process that told it.
    pub(crate) fn error(&self, process: usize) -> Error {
        let kind = Kind::ALL.into_iter().find(|kind| kind.code() == self.kind);
        Error::new(kind.unwrap_or(Kind::Internal), format!("process {process}: {}", self.message))
    }
}

/// That a process is lost.
pub(crate) fn lost(process: usize, why: &str) -> Error {
    Error::new(
        Kind::Retry,
        format!(
            "process {process} of the cluster is lost ({why}); no result is lost with it: start all processes again"
        ),
    )
}

/// The sending end of a link; a clone is the same end. Closed once, for all.
pub(crate) struct Line<Out>(Arc<Mutex<Option<Control<Out>>>>);

impl<Out> Clone for Line<Out> {
    fn clone(&self) -> Self {
        Line(Arc::clone(&self.0))
    }
}

impl<Out: Serialize> Line<Out> {
    fn with<T>(&self, act: impl FnOnce(&Control<Out>) -> Result<T>) -> Result<T> {
        let control = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || Error::internal("the link between the processes is closed");
        control.as_ref().ok_or_else(closed).and_then(act)
    }

    /// As [`Control::send`].
    pub(crate) fn send(&self, to: usize, message: &Out) -> Result<()> {
        self.with(|control| control.send(to, message))
    }

    /// As [`Control::send_all`].
    pub(crate) fn send_all(&self, message: &Out) -> Result<()> {
        self.with(|control| control.send_all(message))
    }

    /// Sends to whoever can still hear it, at the end of the generation.
    pub(crate) fn tell(&self, last: &Out) {
        if let Err(error) = self.send_all(last) {
            tracing::debug!(%error, "the end of the generation could not be told to all");
        }
    }

    /// Closes the link once all that waits is sent, at most so long.
    pub(crate) fn close(&self, time_max: Duration) {
        let control = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(control) = control {
            control.close(time_max);
        }
    }
}

/// The connection of a process with the others of its generation.
pub(crate) struct Link<Out, In> {
    /// Without it the connections are cut, whatever waits in them.
    pub(crate) port: Arc<Port>,
    pub(crate) line: Line<Out>,
    pub(crate) events: Receiver<Event<In>>,
}

/// The other processes, as process 0 has them.
pub(crate) type Peers = Link<Order, Report>;

/// Process 0, as another has it.
pub(crate) type Up = Link<Report, Order>;

impl<Out, In> Link<Out, In>
where
    Out: Serialize,
    In: DeserializeOwned + Send + 'static,
{
    /// Waits for the others, or for process 0.
    ///
    /// # Errors
    /// As [`Port::join`].
    pub(crate) fn join(port: Port) -> Result<Link<Out, In>> {
        let (sender, events) = channel();
        let control = port.join(move |event| {
            // An error says that the generation has ended.
            let _ = sender.send(event);
        })?;
        Ok(Link { port: Arc::new(port), line: Line(Arc::new(Mutex::new(Some(control)))), events })
    }
}
