//! The thread that waits for object storage, so that the store's callers need not be asynchronous. It knows no object.

use crate::error::{Error, Kind, Result};
use std::sync::{Arc, mpsc};

/// A thread that drives what object stores wait for. It ends when the last store that uses it is dropped.
#[derive(Clone)]
pub(super) struct Runtime {
    handle: tokio::runtime::Handle,
    _alive: Arc<tokio::sync::oneshot::Sender<()>>,
}

impl Runtime {
    pub(super) fn start() -> Result<Runtime> {
        let failed = |e: std::io::Error| Error::internal(format!("no thread for the store: {e}"));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (alive, ended) = tokio::sync::oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("store".to_string())
            .spawn(move || {
                let _ = runtime.block_on(ended);
            })
            .map_err(failed)?;
        Ok(Runtime { handle, _alive: Arc::new(alive) })
    }

    /// The outcome of `work`. Spawned and awaited over a channel rather than by `block_on`, so that it may also be called
    /// inside another runtime.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let (done, outcome) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            let _ = done.send(work.await);
        });
        outcome.recv().map_err(|_| {
            Error::new(Kind::Undecided, "the store's thread ended during a call".to_string())
        })
    }
}
