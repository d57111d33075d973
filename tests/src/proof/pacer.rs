//! The input, written at a pace, and never further than it is allowed to go: so that all kills fall within it.

use super::PARTITIONS;
use crate::client::Client;
use crate::{Failure, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tidemark_oracle::{Generator, Output};

const PAUSE: Duration = Duration::from_millis(5);

/// A thread that writes events of a generator, in turn to each partition. Ends when dropped.
pub struct Pacer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Default)]
struct Shared {
    allowed: AtomicU64,
    sent: AtomicU64,
    end: AtomicBool,
}

impl Pacer {
    /// Writes the first `events` events of `generator` to the input topic, about `per_second`; at first none is allowed.
    ///
    /// # Errors
    /// If no producer or thread can be made.
    pub fn start(
        client: &Client,
        generator: Generator,
        events: u64,
        per_second: u64,
    ) -> Result<Pacer> {
        let shared = Arc::new(Shared::default());
        let producer = client.producer()?;
        let of_a_pause = (per_second * PAUSE.as_millis() as u64 / 1_000).max(1);
        let thread = std::thread::Builder::new().name("pacer".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                let partitions = PARTITIONS as u64;
                let mut sent = 0;
                while sent < events && !shared.end.load(Ordering::Relaxed) {
                    let allowed = shared.allowed.load(Ordering::Relaxed).min(events);
                    let end = allowed.min(sent + of_a_pause).max(sent);
                    for number in sent..end {
                        let (partition, offset) = (number % partitions, number / partitions);
                        let line = generator.line(partition, offset);
                        let partition = i32::try_from(partition).expect("few partitions");
                        producer.send(
                            Output::INPUT_TOPIC,
                            partition,
                            None,
                            Some(line.as_bytes()),
                        )?;
                    }
                    sent = end;
                    shared.sent.store(sent, Ordering::Relaxed);
                    std::thread::sleep(PAUSE);
                }
                producer.flush()
            }
        })?;
        Ok(Pacer { shared, thread: Some(thread) })
    }

    /// Lets it go on to `events` in all.
    pub fn allow(&self, events: u64) {
        self.shared.allowed.fetch_max(events, Ordering::Relaxed);
    }

    /// Events handed to the producer so far.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Waits until at least `events` were sent.
    ///
    /// # Errors
    /// If the thread ended before.
    pub fn wait(&self, events: u64) -> Result<()> {
        while self.sent() < events {
            if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                return Err(Failure(format!("the input ended at {} events", self.sent())));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Waits until everything is written and acknowledged.
    ///
    /// # Errors
    /// If something was not.
    pub fn finish(mut self) -> Result<()> {
        let thread = self.thread.take().expect("only this takes it");
        thread.join().map_err(|_| Failure::new("the pacer panicked"))?
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.shared.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Whoever drops it has failed already.
            drop(thread.join());
        }
    }
}
