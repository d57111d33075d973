//! What a child prints, line by line, kept and searched while it comes. Prints nothing itself.

use crate::clock::Deadline;
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// At most this many lines are kept; older ones are forgotten.
const KEPT_LINES_MAX: usize = 200_000;

/// The lines of one or more streams, numbered from 0 in the order of arrival. Cheap to clone; clones see the same lines.
#[derive(Clone, Default)]
pub struct Lines {
    shared: Arc<(Mutex<Kept>, Condvar)>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<String>,
    /// The number of the first line in `lines`.
    first: usize,
    /// Streams that have not ended.
    open: usize,
}

/// How waiting for a line ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The line and its number.
    Line(usize, String),
    /// All streams have ended without it.
    Ended,
    /// The time is over.
    TimedOut,
}

impl Found {
    /// The line, if it was found.
    pub fn line(self) -> Option<(usize, String)> {
        match self {
            Found::Line(number, line) => Some((number, line)),
            Found::Ended | Found::TimedOut => None,
        }
    }
}

impl Lines {
    /// No lines yet and no stream.
    pub fn new() -> Lines {
        Lines::default()
    }

    /// Follows `stream` to its end on a thread of its own.
    pub fn follow(&self, stream: impl Read + Send + 'static) {
        self.kept().open += 1;
        let lines = self.clone();
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut bytes = Vec::new();
            while matches!(stream.read_until(b'\n', &mut bytes), Ok(read) if read > 0) {
                lines.push(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).into());
                bytes.clear();
            }
            lines.kept().open -= 1;
            lines.shared.1.notify_all();
        });
    }

    fn push(&self, line: String) {
        let mut kept = self.kept();
        if kept.lines.len() == KEPT_LINES_MAX {
            kept.lines.pop_front();
            kept.first += 1;
        }
        kept.lines.push_back(line);
        drop(kept);
        self.shared.1.notify_all();
    }

    /// The number that the next line will have.
    pub fn next(&self) -> usize {
        let kept = self.kept();
        kept.first + kept.lines.len()
    }

    /// Waits for a line with number `from` or higher for which `matches` holds; the first such line is found.
    pub fn wait_from(&self, from: usize, limit: Duration, matches: impl Fn(&str) -> bool) -> Found {
        let deadline = Deadline::after(limit);
        let mut from = from;
        let mut kept = self.kept();
        loop {
            from = from.max(kept.first);
            while from < kept.first + kept.lines.len() {
                let line = &kept.lines[from - kept.first];
                if matches(line) {
                    return Found::Line(from, line.clone());
                }
                from += 1;
            }
            if kept.open == 0 {
                return Found::Ended;
            }
            let Some(left) = deadline.left() else { return Found::TimedOut };
            kept = self.shared.1.wait_timeout(kept, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a line that contains `text`, from the first line kept.
    pub fn wait_for(&self, text: &str, limit: Duration) -> Found {
        self.wait_from(0, limit, |line| line.contains(text))
    }

    /// All lines kept with number `from` or higher.
    pub fn since(&self, from: usize) -> Vec<String> {
        let kept = self.kept();
        kept.lines.iter().skip(from.saturating_sub(kept.first)).cloned().collect()
    }

    /// The last `count` lines, joined, for messages.
    pub fn tail(&self, count: usize) -> String {
        let kept = self.kept();
        let skip = kept.lines.len().saturating_sub(count);
        kept.lines.iter().skip(skip).cloned().collect::<Vec<_>>().join("\n")
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
