//! The links of a generation's processes: who hears what, and what the end of one means to the others.

use super::super::peers::{Begin, Line, Link, Order, Peers, Report, Told, Up, lost};
use super::super::setup::{JobEvent, Setup};
use super::LAST_WORD_TIME_MAX;
use super::launch::Ways;
use crate::cluster::{Event, Port, Socket};
use crate::error::{Error, Result};
use crate::ids::{Generation, Nonce};
use crate::state::persister::Handle as PersisterHandle;
use crate::time::clock;
use crate::views::remote::{Answering, Relay};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// How long a process whose exchange broke waits to hear why.
const CAUSE_TIME_MAX: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(10);

/// What a process has of the others while the generation runs. The port is open until this is dropped.
pub(super) enum Cluster {
    /// There are none.
    Alone,
    /// This process leads.
    Leads { port: Arc<Port>, line: Line<Order> },
    /// Process 0 leads.
    Follows { port: Arc<Port>, line: Line<Report> },
}

impl Cluster {
    /// Tells the others that the generation ends here, and why. They end too.
    pub(super) fn tell_end(&self, error: Option<&Error>) {
        let told = error.map(Told::of);
        match (self, told) {
            (Cluster::Alone, _) | (Cluster::Follows { .. }, None) => {}
            (Cluster::Leads { line, .. }, told) => line.tell(&Order::Farewell(told)),
            (Cluster::Follows { line, .. }, Some(told)) => line.tell(&Report::Failed(told)),
        }
    }

    /// Closes the link once what was told is sent.
    pub(super) fn close(&self) {
        let port = match self {
            Cluster::Alone => return,
            Cluster::Leads { line, port } => {
                line.close(LAST_WORD_TIME_MAX);
                port
            }
            Cluster::Follows { line, port } => {
                line.close(LAST_WORD_TIME_MAX);
                port
            }
        };
        port.drain(LAST_WORD_TIME_MAX);
    }
}

type Sockets = Vec<Option<Socket>>;

/// Process 0: tells the others from where to go on, and makes the mesh with them.
pub(super) fn begin(
    setup: &Arc<Setup>,
    ways: &Ways,
    persister: PersisterHandle,
    peers: Peers,
) -> Result<(Sockets, Cluster)> {
    let Link { port, line, events } = peers;
    let (start, size) = (&setup.start, setup.size);
    let (generation, nonce) = (setup.identity.generation, setup.identity.nonce);
    line.send_all(&Order::Begin(Box::new(Begin {
        generation,
        nonce,
        manifest: start.snapshot.as_ref().map(|snapshot| snapshot.name().to_owned()),
        begins: start.begins.clone(),
        images: start.images.clone(),
        written: start.written.clone(),
        lanes: start.lanes.clone(),
        skips: start.skips.clone(),
    })))?;
    let asking = line.clone();
    let router = setup.observer.shared().router();
    let relay = Relay::new(router, move |worker, id, question| {
        asking.send(worker / size.workers, &Order::Ask(worker, id, question))
    });
    for worker in size.workers..size.peers() {
        router.attach_port(worker, relay.port(worker));
    }
    let heard = ways.clone();
    spawn(move || hear(&events, &heard, &relay, &persister))?;
    let sockets = mesh(&port, setup, generation, nonce)?;
    Ok((sockets, Cluster::Leads { port, line }))
}

/// Another process: hears process 0, and makes the mesh with all.
pub(super) fn attend(
    setup: &Arc<Setup>,
    ways: &Ways,
    feed_bytes_max: usize,
    up: Up,
) -> Result<(Sockets, Cluster)> {
    let Link { port, line, events } = up;
    let saying = line.clone();
    let router = Arc::clone(setup.observer.shared().router());
    let say = move |id, answer| saying.send(0, &Report::Answer(id, answer));
    let answering = Answering::start(router, feed_bytes_max, say)?;
    let heard = ways.clone();
    spawn(move || obey(&events, &heard, &answering))?;
    let sockets = mesh(&port, setup, setup.identity.generation, setup.identity.nonce)?;
    Ok((sockets, Cluster::Follows { port, line }))
}

fn mesh(port: &Port, setup: &Setup, generation: Generation, nonce: Nonce) -> Result<Sockets> {
    port.mesh(generation, nonce).map_err(|error| cause(setup, error))
}

fn spawn(run: impl FnOnce() + Send + 'static) -> Result<()> {
    let thread = std::thread::Builder::new().name("peers".into());
    let failed = |e| Error::internal(format!("no thread to hear the other processes: {e}"));
    thread.spawn(run).map(drop).map_err(failed)
}

/// What process 0 hears.
fn hear(events: &Receiver<Event<Report>>, ways: &Ways, relay: &Relay, persister: &PersisterHandle) {
    for event in events {
        match event {
            Event::Message { from, message, held: _held } => match message {
                Report::Part(part) => persister.part(part),
                Report::Answer(id, answer) => relay.answered(id, answer),
                Report::Facts(facts) => ways.observer.worker(&facts),
                Report::Slow(workers) => ways.observer.slow(from, workers),
                Report::Memory(percent) => ways.observer.memory(from, percent),
                Report::Stop => ways.tell(JobEvent::Stop),
                Report::Failed(told) => ways.fail(told.error(from)),
                Report::Verified(_) => {
                    let what = format!("process {from} verified a snapshot within a generation");
                    ways.fail(Error::internal(what));
                }
            },
            Event::Lost { process, why } => over(ways, process, &why),
        }
    }
}

/// What another process hears.
fn obey(events: &Receiver<Event<Order>>, ways: &Ways, answering: &Answering) {
    for event in events {
        match event {
            Event::Message { message, held: _held, .. } => match message {
                Order::Ask(worker, id, question) => answering.asked(worker, id, question),
                Order::Farewell(None) => {
                    ways.ended.store(true, Ordering::Release);
                    ways.wake.all();
                }
                Order::Farewell(Some(told)) => ways.fail(told.error(0)),
                Order::Begin(_) | Order::Verify(_) => {
                    ways.fail(Error::internal("process 0 began a generation within another"));
                }
            },
            Event::Lost { process, why } => over(ways, process, &why),
        }
    }
}

/// A process is lost: the generation ends with it, unless it has ended.
fn over(ways: &Ways, process: usize, why: &str) {
    if !ways.ended.load(Ordering::Acquire) {
        ways.fail(lost(process, why));
    }
}

/// What ended the generation, where `seen` is only what followed from it here: the link brings the word of it, a moment later.
pub(super) fn cause(setup: &Setup, seen: Error) -> Error {
    let until = clock::instant() + CAUSE_TIME_MAX;
    while clock::instant() < until && !setup.is_over() {
        std::thread::sleep(LOOK);
    }
    setup.failure.error().unwrap_or(seen)
}
