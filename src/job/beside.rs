//! Small threads beside the workers of a generation: they look at something now and then, and end with it.

use super::setup::Setup;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// Starts a thread called `name` that looks each `every`, until it breaks off or the generation ends. Without it the job does its work
/// all the same: `without` says what is missing.
pub(crate) fn look(
    setup: &Arc<Setup>,
    name: &str,
    every: Duration,
    without: &'static str,
    mut look: impl FnMut(&Setup) -> ControlFlow<()> + Send + 'static,
) {
    let setup = Arc::downgrade(setup);
    let run = move || {
        loop {
            std::thread::sleep(every);
            let Some(setup) = setup.upgrade() else { return };
            if setup.is_over() || look(&setup).is_break() {
                return;
            }
        }
    };
    let spawned = std::thread::Builder::new().name(name.into()).spawn(run);
    if let Err(error) = spawned {
        tracing::warn!(%error, "{without}");
    }
}
