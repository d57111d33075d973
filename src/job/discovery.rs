//! Looks for new partitions from time to time, and tells transports what is covered, for lag tools.

use super::beside;
use super::setup::{JobEvent, Setup};
use crate::error::{Error, Kind, Result};
use crate::sources::Transport;
use crate::ticks::record::InletDecl;
use crate::time::clock;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// How often the thread looks whether the generation is over.
const LOOK: Duration = Duration::from_millis(200);

/// Starts the thread; it ends with the generation.
pub(crate) fn start(setup: &Arc<Setup>, events: &Sender<JobEvent>, every: Duration) {
    let (mut last, events) = (clock::instant(), events.clone());
    let without = "no thread for discovery: new partitions are not found until the next start";
    beside::look(setup, "discovery", LOOK.min(every), without, move |setup| {
        if clock::instant() - last < every {
            return ControlFlow::Continue(());
        }
        last = clock::instant();
        let covered = setup.board.newest();
        for (source, transport) in &setup.transports {
            if let Some(next) = covered.as_ref().and_then(|facts| facts.next_offsets.get(source)) {
                let next: Vec<_> = next.iter().map(|(p, n)| (p.clone(), *n)).collect();
                transport.commit_hint(&next);
            }
            match transport.discover() {
                Ok(partitions) => {
                    let event = JobEvent::Discovered { source: source.clone(), partitions };
                    if events.send(event).is_err() {
                        return ControlFlow::Break(());
                    }
                }
                Err(error) if error.kind() == crate::Kind::Retry => {
                    tracing::debug!(source, %error, "looking for partitions");
                }
                Err(error) => {
                    setup.failure.fail(error.at(format_args!("source {source}")));
                    setup.wake.all();
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    });
}

/// Offsets of a source mean something only as long as it is the one that was read.
///
/// # Errors
/// `SourceChanged` if a source is another one than a partition of it was recorded with.
pub(crate) fn same_sources(
    inlets: &[InletDecl],
    transports: &BTreeMap<String, Arc<dyn Transport>>,
) -> Result<()> {
    for decl in inlets {
        let Some(transport) = transports.get(&decl.source) else { continue };
        if let (Some(before), Some(now)) = (&decl.identity, transport.identity())
            && *before != now
        {
            return Err(Error::new(
                Kind::SourceChanged,
                format!(
                    "source {}, partition {}: {} was made anew: its id was {before} when the job first read it and is {now}; its \
                     offsets name other records now. Bring the old one back, or begin a new job with another --state and other \
                     sinks",
                    decl.source,
                    decl.partition,
                    transport.describe()
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::ids::Inlet;
    use crate::sources::{Partition, Reader, Waker};

    struct Topic(Option<&'static str>);

    impl Transport for Topic {
        fn describe(&self) -> String {
            "kafka topic clicks".into()
        }

        fn discover(&self) -> Result<Vec<Partition>> {
            Ok(Vec::new())
        }

        fn identity(&self) -> Option<String> {
            self.0.map(str::to_owned)
        }

        fn open(&self, _: Waker) -> Result<Box<dyn Reader>> {
            Err(Error::internal("not opened here"))
        }
    }

    #[test]
    fn only_a_source_that_is_known_to_be_another_one_is_refused() {
        for (before, now, same) in [
            (None, None, true),
            (None, Some("b"), true),
            (Some("a"), None, true),
            (Some("a"), Some("a"), true),
            (Some("a"), Some("b"), false),
        ] {
            let decl = InletDecl {
                inlet: Inlet(0),
                source: "visits".into(),
                partition: "3".into(),
                start: 17,
                identity: before.map(str::to_owned),
            };
            let topic: Arc<dyn Transport> = Arc::new(Topic(now));
            let found = same_sources(&[decl], &BTreeMap::from([("visits".to_owned(), topic)]));
            assert_eq!(found.is_ok(), same, "{before:?} {now:?}");
            if !same {
                let error = found.unwrap_err();
                assert_eq!(error.kind(), Kind::SourceChanged);
                for part in ["source visits", "partition 3", "topic clicks", "id was a", "is b"] {
                    assert!(error.message().contains(part), "{error}");
                }
            }
        }
    }
}
