//! Standard output: a line a row, at least once. Keeps no progress, since nobody can ask a terminal or a pipe what it has seen.

use super::lines::Lines;
use super::resume::{Resume, progress, resume};
use super::{Identity, LaneTick, Progress, Writer};
use crate::error::{Error, Kind, Result};
use std::io::{ErrorKind, Write};

/// Writes rows to standard output, or to another stream.
///
/// **At least once.** Within a process each row is written once. A process that starts again does not know what its
/// predecessor wrote: [`Writer::fence`] gives no progress, and so the rows of all ticks that are replayed come again. Two
/// processes can't be kept apart either, so nothing is fenced.
pub struct StreamWriter<W> {
    stream: W,
    sink: String,
    lines: Lines,
    identity: Option<Identity>,
    /// What this process has written, by lane.
    written: Vec<Option<Progress>>,
}

impl StreamWriter<std::io::Stdout> {
    /// A writer to standard output for the sink named `sink`.
    pub fn stdout(sink: &str) -> Self {
        StreamWriter::new(std::io::stdout(), sink)
    }
}

impl<W: Write + Send> StreamWriter<W> {
    /// A writer to `stream` for the sink named `sink`.
    pub fn new(stream: W, sink: &str) -> Self {
        let (sink, lines) = (sink.to_owned(), Lines::default());
        StreamWriter { stream, sink, lines, identity: None, written: Vec::new() }
    }

    /// The same, where a line is `{"key":..,"value":..}` if `yes`, for upsert sinks, whose values need not hold their key.
    #[must_use]
    pub fn keyed(mut self, yes: bool) -> Self {
        self.lines = if yes { Lines::Keyed } else { Lines::Plain };
        self
    }
}

impl<W: Write + Send> Writer for StreamWriter<W> {
    fn remembers(&self) -> bool {
        false
    }

    fn describe(&self) -> String {
        format!("standard output (sink {})", self.sink)
    }

    fn fence(&mut self, identity: &Identity, lanes: u16) -> Result<Vec<Option<Progress>>> {
        self.identity = Some(identity.clone());
        self.written.resize(usize::from(lanes), None);
        Ok(self.written.clone())
    }

    fn write(&mut self, ticks: &[LaneTick]) -> Result<()> {
        let Some(identity) = &self.identity else {
            return Err(Error::internal(format!("sink {}: a write without a fence", self.sink)));
        };
        let mut out = Vec::new();
        let mut written = self.written.clone();
        for tick in ticks {
            let lane = written.get_mut(usize::from(tick.lane.0)).ok_or_else(|| {
                Error::internal(format!("sink {}: lane {} was not fenced", self.sink, tick.lane.0))
            })?;
            if let Resume::From(from) = resume(&self.sink, lane.as_ref(), tick)? {
                for row in &tick.rows[from..] {
                    self.lines.put(row, &mut out)?;
                }
                *lane = Some(progress(identity, &self.sink, tick, tick.rows.len()));
            }
        }
        match self.stream.write_all(&out).and_then(|()| self.stream.flush()) {
            Ok(()) => {
                self.written = written;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Error::config(format!(
                "sink {}: nobody reads standard output any more",
                self.sink
            ))),
            Err(error) => Err(Error::new(
                Kind::Undecided,
                format!("sink {}: standard output: {error}", self.sink),
            )),
        }
    }
}

#[cfg(test)]
mod tests;
