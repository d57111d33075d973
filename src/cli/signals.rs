//! SIGINT and SIGTERM: the first asks for a clean stop, the second for one at once. Nothing is stopped here.

use crate::error::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How quickly the process is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Finish the tick, let sinks commit, write a snapshot.
    Clean,
    /// End now; a crash is what recovery is for.
    AtOnce,
}

impl Urgency {
    /// What the `count`-th signal asks for, counted from 1.
    fn of(count: u64) -> Urgency {
        if count <= 1 { Urgency::Clean } else { Urgency::AtOnce }
    }
}

/// Calls `on_signal` for every SIGINT and SIGTERM from now on, on a thread of its own; they no longer kill the process.
/// Call once a process.
///
/// # Errors
/// `Internal` if the system refuses.
pub fn watch(mut on_signal: impl FnMut(Urgency) + Send + 'static) -> Result<()> {
    let refused = |e| Error::internal(format!("signals can't be watched: {e}"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    let (mut interrupt, mut terminate) = {
        let _within = runtime.enter();
        (
            signal(SignalKind::interrupt()).map_err(refused)?,
            signal(SignalKind::terminate()).map_err(refused)?,
        )
    };
    let run = move || {
        let mut count = 0;
        while runtime.block_on(either(&mut interrupt, &mut terminate)) {
            count += 1;
            on_signal(Urgency::of(count));
        }
    };
    let spawned = std::thread::Builder::new().name("signals".into()).spawn(run);
    spawned.map(drop).map_err(refused)
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> bool {
    tokio::select! {
        got = interrupt.recv() => got.is_some(),
        got = terminate.recv() => got.is_some(),
    }
}

#[cfg(test)]
mod tests;
