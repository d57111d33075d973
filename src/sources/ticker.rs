//! Calls something again and again, for transports that nothing wakes.

use crate::error::{Error, Kind, Result};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A thread that calls a function at an interval until it is dropped.
pub(super) struct Ticker {
    stopped: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Calls `each` every `interval`, first after one.
    ///
    /// # Errors
    /// `Retry` if the system gives no thread.
    pub(super) fn start(
        name: &str,
        interval: Duration,
        mut each: impl FnMut() + Send + 'static,
    ) -> Result<Ticker> {
        let stopped = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&stopped);
        let run = move || {
            let (flag, changed) = &*theirs;
            loop {
                let guard = flag.lock().unwrap_or_else(PoisonError::into_inner);
                let waited = changed
                    .wait_timeout_while(guard, interval, |stop| !*stop)
                    .unwrap_or_else(PoisonError::into_inner);
                if *waited.0 {
                    return;
                }
                drop(waited);
                each();
            }
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|error| Error::new(Kind::Retry, format!("thread {name}: {error}")))?;
        Ok(Ticker { stopped, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.stopped.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stopped.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic in `each` ended the thread; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
