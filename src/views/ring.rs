//! The newest changes of a view as event text, bounded in bytes. Subscribers read at their own pace and hold nothing themselves;
//! who falls out of the ring is told where to resume.

use crate::ids::{Generation, Tick};
use bytes::Bytes;
use std::collections::VecDeque;

/// A chunk of event text is at most about this large, in bytes: what a slow subscriber holds.
pub const CHUNK_BYTES: usize = 64 << 10;

/// The changes of one tick as event text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickText {
    /// The tick.
    pub tick: Tick,
    /// Text in pieces, each of whole events, the last ending with the `tick` event.
    pub chunks: Vec<Bytes>,
    bytes: usize,
}

/// The event that ends a tick: what came before it since the last is whole. Its id resumes behind it.
pub fn tick_event(generation: Generation, tick: Tick, changes: usize) -> String {
    format!(
        "event: tick\nid: {generation}-{tick}\ndata: {{\"tick\":{tick},\"generation\":{generation},\"changes\":{changes}}}\n\n"
    )
}

/// The last event of a subscriber that was too slow: nothing before `from_tick` is missing.
pub fn lagged_event(generation: Generation, from_tick: Tick) -> String {
    format!(
        "event: lagged\ndata: {{\"generation\":{generation},\"from_tick\":{from_tick},\"message\":\"too slow for the kept \
         changes: connect again with from_tick={from_tick}\"}}\n\n"
    )
}

impl TickText {
    /// Event text of a tick's changes (JSON objects).
    pub fn new(generation: Generation, tick: Tick, rows: &[String]) -> TickText {
        let mut chunks = Vec::new();
        let mut chunk = String::new();
        let mut bytes = 0;
        for row in rows {
            // JSON holds no line breaks, so one line carries it.
            chunk.push_str("event: change\ndata: ");
            chunk.push_str(row);
            chunk.push_str("\n\n");
            if chunk.len() >= CHUNK_BYTES {
                bytes += chunk.len();
                chunks.push(Bytes::from(std::mem::take(&mut chunk)));
            }
        }
        chunk.push_str(&tick_event(generation, tick, rows.len()));
        bytes += chunk.len();
        chunks.push(Bytes::from(chunk));
        TickText { tick, chunks, bytes }
    }
}

/// A place in a ring: the next chunk to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Everything before this tick was read.
    pub tick: Tick,
    /// Chunks of this tick that were read.
    pub chunk: usize,
}

/// What a ring has at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// This text, and the place behind it.
    Text(Bytes, Place),
    /// Nothing changed up to the tick of this place; more will come.
    Wait(Place),
    /// The place lies before what is kept; the ring begins at this tick.
    Before(Tick),
}

/// The newest changes of a view: whole ticks, oldest first.
#[derive(Debug)]
pub struct Ring {
    ticks: VecDeque<TickText>,
    bytes: usize,
    bytes_max: usize,
    /// Everything that changed in start..=through is in the ring.
    start: Tick,
    through: Tick,
}

impl Ring {
    /// A ring that begins at tick `start`.
    pub fn new(start: Tick, bytes_max: usize) -> Ring {
        Ring {
            ticks: VecDeque::new(),
            bytes: 0,
            bytes_max,
            start,
            through: start.saturating_sub(1),
        }
    }

    /// The first tick in it, and the last through which it is complete.
    pub fn span(&self) -> (Tick, Tick) {
        (self.start, self.through)
    }

    /// Adds a tick; the oldest go if there is no room. A tick larger than the ring is kept alone.
    pub fn push(&mut self, text: TickText) {
        self.through = self.through.max(text.tick);
        self.bytes += text.bytes;
        self.ticks.push_back(text);
        while self.bytes > self.bytes_max && self.ticks.len() > 1 {
            if let Some(gone) = self.ticks.pop_front() {
                self.bytes -= gone.bytes;
                self.start = gone.tick + 1;
            }
        }
    }

    /// Says that everything up to `tick` was pushed.
    pub fn complete(&mut self, tick: Tick) {
        self.through = self.through.max(tick);
    }

    /// What comes at `place`.
    pub fn read(&self, place: Place) -> Read {
        if place.tick < self.start {
            return Read::Before(self.start);
        }
        let at = self.ticks.partition_point(|text| text.tick < place.tick);
        let Some(text) = self.ticks.get(at) else {
            let tick = place.tick.max(self.through + 1);
            return Read::Wait(Place { tick, chunk: 0 });
        };
        let chunk = if text.tick == place.tick { place.chunk } else { 0 };
        let next = if chunk + 1 < text.chunks.len() {
            Place { tick: text.tick, chunk: chunk + 1 }
        } else {
            Place { tick: text.tick + 1, chunk: 0 }
        };
        Read::Text(text.chunks[chunk].clone(), next)
    }
}

#[cfg(test)]
mod tests;
