//! Standard error, shared by the log and the progress line: a log line takes the place of the progress line, which is
//! drawn again below it.

use std::io::{IsTerminal, Stderr, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Back to the start of the line, and erase it.
const ERASE: &[u8] = b"\r\x1b[K";
/// A line that is too long is cut by the terminal instead of wrapped, so that erasing one line erases it.
const NO_WRAP: &[u8] = b"\x1b[?7l";
const WRAP: &[u8] = b"\x1b[?7h";

/// A place for lines, with at most one that is rewritten. Failed writes are lost: there is nobody to tell.
pub(crate) struct Screen<W> {
    to: W,
    terminal: bool,
    drawn: bool,
}

impl<W: Write> Screen<W> {
    pub(crate) fn new(to: W, terminal: bool) -> Screen<W> {
        Screen { to, terminal, drawn: false }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Shows the progress line: in place of the last one on a terminal, else as a line of its own.
    pub(crate) fn draw(&mut self, text: &str) {
        let parts: &[&[u8]] = match self.terminal {
            true => &[ERASE, NO_WRAP, text.as_bytes(), WRAP],
            false => &[text.as_bytes(), b"\n"],
        };
        self.drawn = self.terminal;
        let _ = self.to.write_all(&parts.concat()).and_then(|()| self.to.flush());
    }

    /// Writes whole log lines.
    pub(crate) fn log(&mut self, lines: &[u8]) {
        let erase = if self.drawn { ERASE } else { b"" };
        self.drawn = false;
        let _ = self.to.write_all(&[erase, lines].concat());
    }

    /// Leaves the last progress line standing.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = self.to.write_all(b"\n");
        }
    }
}

/// Standard error of the process.
pub(crate) fn with_stderr<T>(f: impl FnOnce(&mut Screen<Stderr>) -> T) -> T {
    static STDERR: OnceLock<Mutex<Screen<Stderr>>> = OnceLock::new();
    let screen = STDERR.get_or_init(|| {
        let stderr = std::io::stderr();
        let terminal = stderr.is_terminal();
        Mutex::new(Screen::new(stderr, terminal))
    });
    f(&mut screen.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests;
