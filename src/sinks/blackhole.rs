//! A sink that throws rows away: for measuring what comes before it, and for a dataflow that is only served. Does no I/O.

use super::{Identity, LaneTick, Progress, Row, Writer};
use crate::error::{Error, Result};
use crate::ids::Tick;

/// Takes rows, counts them, and forgets them.
///
/// It does not remember ([`Writer::remembers`]): nobody can tell afterwards what it was given, so what is replayed from the newest
/// snapshot comes again, and no older snapshot is kept for it. Rows are still ordered and encoded as for any other sink.
#[derive(Debug)]
pub struct Blackhole {
    sink: String,
    /// The tick that each lane has reached in this process.
    reached: Vec<Tick>,
    rows: u64,
    bytes: u64,
}

impl Blackhole {
    /// A writer for the sink named `sink`.
    pub fn new(sink: &str) -> Blackhole {
        Blackhole { sink: sink.to_owned(), reached: Vec::new(), rows: 0, bytes: 0 }
    }

    /// Rows and bytes of keys and values taken so far, of each tick once.
    pub fn taken(&self) -> (u64, u64) {
        (self.rows, self.bytes)
    }
}

impl Writer for Blackhole {
    fn describe(&self) -> String {
        format!("blackhole (sink {})", self.sink)
    }

    fn fence(&mut self, _identity: &Identity, lanes: u16) -> Result<Vec<Option<Progress>>> {
        self.reached.resize(usize::from(lanes), 0);
        Ok(vec![None; usize::from(lanes)])
    }

    fn remembers(&self) -> bool {
        false
    }

    fn write(&mut self, ticks: &[LaneTick]) -> Result<()> {
        for tick in ticks {
            let reached = self.reached.get_mut(usize::from(tick.lane.0)).ok_or_else(|| {
                Error::internal(format!("sink {}: lane {} was not fenced", self.sink, tick.lane.0))
            })?;
            if tick.tick <= *reached {
                continue;
            }
            *reached = tick.tick;
            self.rows += tick.rows.len() as u64;
            self.bytes += tick.rows.iter().map(Row::payload).sum::<usize>() as u64;
        }
        Ok(())
    }
}

impl Drop for Blackhole {
    fn drop(&mut self) {
        tracing::info!("sink {}: threw {} rows of {} bytes away", self.sink, self.rows, self.bytes);
    }
}

#[cfg(test)]
mod tests;
