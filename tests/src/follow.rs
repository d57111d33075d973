//! Follows topics on a thread of its own and keeps what was read of them. Topics may come into being later.

use crate::client::{Client, Record};
use crate::clock::Deadline;
use crate::{Failure, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the thread waits for a record, or for a topic, before it looks whether it is still wanted.
const PAUSE: Duration = Duration::from_millis(100);

/// A thread that reads committed records of topics, and what it read, in the order of arrival. Ends when dropped.
pub struct Follower<T> {
    shared: Arc<Shared<T>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared<T> {
    read: Mutex<Read<T>>,
    more: Condvar,
    end: AtomicBool,
}

struct Read<T> {
    items: Vec<T>,
    failure: Option<Failure>,
}

impl<T> Shared<T> {
    fn read(&self) -> MutexGuard<'_, Read<T>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + Send + 'static> Follower<T> {
    /// Follows `topics` from their beginnings; `parse` says what a record is, `None` passes it over.
    ///
    /// # Errors
    /// If no thread can be made. What the thread meets is told by the other calls.
    pub fn start(
        client: &Client,
        topics: Vec<String>,
        parse: impl Fn(Record) -> Result<Option<T>> + Send + 'static,
    ) -> Result<Follower<T>> {
        let read = Mutex::new(Read { items: Vec::new(), failure: None });
        let shared = Arc::new(Shared { read, more: Condvar::new(), end: AtomicBool::new(false) });
        let thread = std::thread::Builder::new().name("follower".into()).spawn({
            let (shared, client) = (Arc::clone(&shared), client.clone());
            move || {
                if let Err(failure) = run(&shared, &client, &topics, &parse) {
                    shared.read().failure = Some(failure.at(topics.join(", ")));
                    shared.more.notify_all();
                }
            }
        })?;
        Ok(Follower { shared, thread: Some(thread) })
    }

    /// What was read so far, from number `from` on.
    ///
    /// # Errors
    /// If following failed.
    pub fn since(&self, from: usize) -> Result<Vec<T>> {
        let read = self.shared.read();
        match &read.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(read.items.get(from..).unwrap_or_default().to_vec()),
        }
    }

    /// Waits until something that was read, number `from` or later, satisfies `done`.
    ///
    /// # Errors
    /// If following failed, or it did not come within `limit`.
    pub fn wait(&self, from: usize, limit: Duration, done: impl Fn(&T) -> bool) -> Result<T> {
        let deadline = Deadline::after(limit);
        let mut seen = from;
        let mut read = self.shared.read();
        loop {
            if let Some(failure) = &read.failure {
                return Err(failure.clone());
            }
            if let Some(item) = read.items.iter().skip(seen).find(|item| done(item)) {
                return Ok(item.clone());
            }
            seen = read.items.len().max(from);
            let left = deadline.left();
            let left = left.ok_or_else(|| Failure(format!("it was not read within {limit:?}")))?;
            let waited = self.shared.more.wait_timeout(read, left);
            read = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn run<T>(
    shared: &Shared<T>,
    client: &Client,
    topics: &[String],
    parse: &dyn Fn(Record) -> Result<Option<T>>,
) -> Result<()> {
    let wanted = || !shared.end.load(Ordering::Relaxed);
    // A broker that is away, or a topic that is not there yet, is waited for.
    while wanted() && !client.topics().is_ok_and(|there| topics.iter().all(|t| there.contains(t))) {
        std::thread::park_timeout(PAUSE);
    }
    if !wanted() {
        return Ok(());
    }
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut tail = client.tail(&names)?;
    while wanted() {
        let Some(record) = tail.poll(PAUSE)? else { continue };
        if let Some(item) = parse(record)? {
            shared.read().items.push(item);
            shared.more.notify_all();
        }
    }
    Ok(())
}

impl<T> Drop for Follower<T> {
    fn drop(&mut self) {
        self.shared.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It ends by itself; a panic in it was a failed parse and has printed itself.
            drop(thread.join());
        }
    }
}
