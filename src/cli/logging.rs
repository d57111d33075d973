//! The log of a running job: lines on standard error, by level and target.

use super::screen;
use crate::error::{Error, Result};
use std::io::{self, Write};
use tracing_subscriber::EnvFilter;

/// Whole events, as the formatter hands them over.
struct ToScreen;

impl Write for ToScreen {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        screen::with_stderr(|screen| screen.log(event));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins to log by `filter`, else at `info`. Targets are shown where somebody asked for a filter or no person reads along. Does nothing where the program has its own subscriber already.
///
/// # Errors
/// `Config` if the filter can't be read.
pub(crate) fn start(asked: Option<&str>) -> Result<()> {
    let filter = asked.unwrap_or("info");
    let parsed = EnvFilter::try_new(filter).map_err(|e| {
        Error::config(format!(
            "the log filter {filter:?} can't be read: {e}; allowed: a level (error, warn, info, debug, trace), or target=level with commas between"
        ))
    })?;
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let terminal = screen::with_stderr(|screen| screen.is_terminal());
    let subscriber = tracing_subscriber::fmt()
        .with_target(asked.is_some() || !terminal)
        .with_env_filter(parsed)
        .with_ansi(colours && terminal)
        .with_writer(|| ToScreen)
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}
