//! The one place where threads of a generation leave the error that ends it.

use crate::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The first error that ends the generation; later ones are logged and dropped.
#[derive(Clone, Default)]
pub(crate) struct Failure {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    set: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl Failure {
    /// Ends the generation with `error`, unless it ends already.
    pub(crate) fn fail(&self, error: Error) {
        let mut slot = self.inner.error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if slot.is_none() {
            *slot = Some(error);
            self.inner.set.store(true, Ordering::Release);
        } else {
            tracing::debug!(%error, "a further error while the generation ends");
        }
    }

    /// Whether there is an error; cheap.
    pub(crate) fn is_set(&self) -> bool {
        self.inner.set.load(Ordering::Acquire)
    }

    /// The error, if there is one.
    pub(crate) fn error(&self) -> Option<Error> {
        self.inner.error.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
