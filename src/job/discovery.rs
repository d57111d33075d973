//! Looks for new partitions from time to time, and tells transports what is covered, for lag tools.

use super::setup::{JobEvent, Setup};
use crate::time::clock;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// How often the thread looks whether the generation is over.
const LOOK: Duration = Duration::from_millis(200);

/// Starts the thread; it ends with the generation.
pub(crate) fn start(setup: &Arc<Setup>, events: &Sender<JobEvent>, every: Duration) {
    let (setup, events) = (Arc::downgrade(setup), events.clone());
    let run = move || {
        let mut last = clock::instant();
        loop {
            std::thread::sleep(LOOK.min(every));
            let Some(setup) = setup.upgrade() else { return };
            if setup.is_over() {
                return;
            }
            if clock::instant() - last < every {
                continue;
            }
            last = clock::instant();
            let covered = setup.board.newest();
            for (source, transport) in &setup.transports {
                if let Some(next) =
                    covered.as_ref().and_then(|facts| facts.next_offsets.get(source))
                {
                    let next: Vec<_> = next.iter().map(|(p, n)| (p.clone(), *n)).collect();
                    transport.commit_hint(&next);
                }
                match transport.discover() {
                    Ok(partitions) => {
                        let event = JobEvent::Discovered { source: source.clone(), partitions };
                        if events.send(event).is_err() {
                            return;
                        }
                    }
                    Err(error) if error.kind() == crate::Kind::Retry => {
                        tracing::debug!(source, %error, "looking for partitions");
                    }
                    Err(error) => {
                        setup.failure.fail(error.at(format_args!("source {source}")));
                        setup.wake.all();
                        return;
                    }
                }
            }
        }
    };
    let spawned = std::thread::Builder::new().name("discovery".into()).spawn(run);
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread for discovery: new partitions are not found until the next start");
    }
}
