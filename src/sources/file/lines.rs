//! Lines out of blocks of a growing file, without a copy of each line.
//!
//! The buffer holds the file's bytes from some offset on. A line is lent out of it; when no line feed is left, what remains is
//! moved to the front and a block read behind it. A line longer than `max` does not grow the buffer without bound: its first
//! `max + 1` bytes are kept and the rest is dropped while its end is looked for. So a partition takes at most `max` and two blocks.

use std::ops::Range;

/// How many bytes are read at once.
pub(super) const BLOCK: usize = 256 << 10;

/// A buffer over a file, and what was found in it.
pub(super) struct Lines {
    buf: Vec<u8>,
    /// Bytes of `buf` that are the file's.
    filled: usize,
    /// Where the next line starts in `buf`.
    pos: usize,
    /// No line feed lies in `pos..scanned`.
    scanned: usize,
    /// The offset of `buf[0]` in the file.
    start: u64,
    /// Bytes dropped behind `max + 1` bytes of the line at `pos`, which then is 0.
    cut: u64,
    max: usize,
    block: usize,
}

/// A line that lies in the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it starts in the file.
    pub(super) offset: u64,
    /// Where its line end starts in the file.
    pub(super) end: u64,
    /// Where the next one starts.
    pub(super) next: u64,
    /// Its bytes in the buffer without line end, cut to `max + 1`.
    bytes: Range<usize>,
    resume: usize,
}

impl Lines {
    /// Lines from `offset` on, with `max` bytes given whole.
    pub(super) fn new(offset: u64, max: usize, block: usize) -> Lines {
        let buf = Vec::new();
        Lines { buf, filled: 0, pos: 0, scanned: 0, start: offset, cut: 0, max, block }
    }

    /// The offset of the next line, all of whose predecessors were taken.
    pub(super) fn offset(&self) -> u64 {
        self.start + self.pos as u64
    }

    /// The offset up to which the file was read.
    pub(super) fn read_to(&self) -> u64 {
        self.start + self.filled as u64 + self.cut
    }

    /// The next line, if its end was read. It stays next until [`Lines::take`].
    pub(super) fn peek(&mut self) -> Option<Line> {
        match memchr::memchr(b'\n', &self.buf[self.scanned..self.filled]) {
            Some(at) => {
                // `scanned` stays before the line feed, so that a second look finds it again at once.
                self.scanned += at;
                Some(self.line(self.scanned, 1))
            }
            None => {
                self.scanned = self.filled;
                None
            }
        }
    }

    /// The bytes behind the last line feed as a line, if there are any. Right only at the end of a file that is complete.
    pub(super) fn rest(&self) -> Option<Line> {
        (self.pos < self.filled).then(|| self.line(self.filled, 0))
    }

    fn line(&self, end: usize, feed: usize) -> Line {
        let at = |index: usize| self.start + self.cut + index as u64;
        let whole = &self.buf[self.pos..end];
        // Of a cut line the end of the buffer is not what stands before its line feed; it is too long with or without.
        let kept = whole.len() - usize::from(self.cut == 0 && whole.ends_with(b"\r"));
        Line {
            offset: self.offset(),
            end: at(self.pos + kept),
            next: at(end + feed),
            bytes: self.pos..self.pos + kept.min(self.max + 1),
            resume: end + feed,
        }
    }

    /// The bytes of a line that was just peeked.
    pub(super) fn bytes(&self, line: &Line) -> &[u8] {
        &self.buf[line.bytes.clone()]
    }

    /// Goes on behind `line`, whose bytes stay readable until the next call of [`Lines::space`].
    pub(super) fn take(&mut self, line: &Line) {
        self.pos = line.resume;
        self.scanned = line.resume;
        self.start += self.cut;
        self.cut = 0;
    }

    /// Room to read a block of the file into, from [`Lines::read_to`] on. Call only when `peek` finds nothing.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.pos > 0 {
            self.buf.copy_within(self.pos..self.filled, 0);
            self.start += self.pos as u64;
            self.filled -= self.pos;
            self.scanned -= self.pos;
            self.pos = 0;
            if self.buf.len() > 2 * self.block && self.filled < self.block {
                self.buf.truncate(self.block);
                self.buf.shrink_to_fit();
            }
        }
        let kept = self.max + 1;
        if self.filled > kept {
            self.cut += (self.filled - kept) as u64;
            self.filled = kept;
            self.scanned = kept;
        }
        if self.filled == self.buf.len() {
            let longer = (2 * self.buf.len()).clamp(self.block, kept + self.block);
            self.buf.resize(longer, 0);
        }
        let end = self.buf.len().min(self.filled + self.block);
        &mut self.buf[self.filled..end]
    }

    /// `count` bytes were read into the room.
    pub(super) fn filled(&mut self, count: usize) {
        self.filled += count;
    }

    /// Gives the buffer back if nothing is in it.
    pub(super) fn release(&mut self) {
        if self.pos == self.filled {
            self.start += self.pos as u64;
            self.buf = Vec::new();
            (self.filled, self.pos, self.scanned) = (0, 0, 0);
        }
    }
}

#[cfg(test)]
mod tests;
