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

/// Begins to log by `filter`. Does nothing where the program has its own subscriber already.
///
/// # Errors
/// `Config` if the filter can't be read.
pub(crate) fn start(filter: &str) -> Result<()> {
    let parsed = EnvFilter::try_new(filter).map_err(|e| {
        Error::config(format!(
            "the log filter {filter:?} can't be read: {e}; allowed: a level (error, warn, info, debug, trace), or target=level with commas between"
        ))
    })?;
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_ansi(colours && screen::with_stderr(|screen| screen.is_terminal()))
        .with_writer(|| ToScreen)
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}
