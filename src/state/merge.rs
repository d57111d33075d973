//! The merge of segments by the law of `segment.rs`. It reads; it writes nothing.

use crate::error::Result;
use crate::ids::Tick;
use crate::state::cover::Cover;
use crate::state::segment::{Entry, READ_BLOCKS, Segment};
use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

/// Reads a block that several shares need; called with the segment's place in the list and the block's number.
pub(super) type ReadShared = dyn Fn(usize, usize) -> Result<Option<Vec<Entry>>> + Send;

/// Keys from `low` on and below `high`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) low: Option<Vec<u8>>,
    pub(super) high: Option<Vec<u8>>,
}

impl Span {
    fn begins_after(&self, key: &[u8]) -> bool {
        self.low.as_ref().is_some_and(|low| key < low.as_slice())
    }

    fn ends_before(&self, key: &[u8]) -> bool {
        self.high.as_ref().is_some_and(|high| key >= high.as_slice())
    }

    /// The blocks of a segment that may hold keys of the span.
    pub(super) fn blocks(&self, segment: &Segment) -> Range<usize> {
        let blocks = &segment.blocks;
        let start = self.low.as_ref().map_or(0, |low| {
            if segment.last_key() < low.as_slice() {
                return blocks.len();
            }
            blocks.partition_point(|b| b.first_key <= *low).saturating_sub(1)
        });
        let end = self
            .high
            .as_ref()
            .map_or(blocks.len(), |high| blocks.partition_point(|b| b.first_key < *high));
        start..end.max(start)
    }
}

/// The rows of a list of segments, ascending by key.
pub(super) struct Merge {
    sources: Vec<Source>,
    heap: BinaryHeap<Head>,
    cover: Cover<(Tick, usize)>,
    span: Span,
    shared: Option<Box<ReadShared>>,
    /// Whether nothing older lies below: removals are then dropped.
    bottom: bool,
    failed: bool,
    started: bool,
}

struct Source {
    segment: Arc<Segment>,
    blocks: Range<usize>,
    entries: std::vec::IntoIter<Entry>,
}

/// The next entry of a source. The greatest is the least key, and of one key the newest entry.
struct Head {
    key: Bytes,
    at: (Tick, usize),
    value: Option<Bytes>,
}

impl Ord for Head {
    fn cmp(&self, other: &Head) -> Ordering {
        other.key.cmp(&self.key).then(self.at.cmp(&other.at))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl Merge {
    /// The rows of `segments` (oldest first) within `span`.
    pub(super) fn new(
        segments: &[Arc<Segment>],
        span: Span,
        shared: Option<Box<ReadShared>>,
        bottom: bool,
    ) -> Merge {
        let mut cover = Cover::new();
        for (place, segment) in segments.iter().enumerate() {
            for (prefix, tick) in segment.tombstones() {
                cover.add(prefix, (*tick, place));
            }
        }
        let sources = segments
            .iter()
            .map(|segment| Source {
                segment: Arc::clone(segment),
                blocks: span.blocks(segment),
                entries: Vec::new().into_iter(),
            })
            .collect();
        let heap = BinaryHeap::new();
        Merge { sources, heap, cover, span, shared, bottom, failed: false, started: false }
    }

    /// The tombstones that a merge above the bottom must carry on.
    pub(super) fn tombstones(&self) -> impl Iterator<Item = (&Vec<u8>, Tick)> {
        self.cover.iter().map(|(prefix, at)| (prefix, at.0))
    }

    /// Puts the next entry of a source on the heap.
    fn advance(&mut self, place: usize) -> Result<()> {
        loop {
            let source = &mut self.sources[place];
            let Some(entry) = source.entries.next() else {
                if source.blocks.is_empty() {
                    return Ok(());
                }
                let first = source.blocks.start;
                let alone = match &self.shared {
                    Some(read) => read(place, first)?,
                    None => None,
                };
                source.entries = if let Some(entries) = alone {
                    source.blocks.start += 1;
                    entries.into_iter()
                } else {
                    // The last block of a span may be shared, and is then read by itself.
                    let most = source.blocks.end - usize::from(self.shared.is_some());
                    let end = most.clamp(first + 1, first + READ_BLOCKS);
                    source.blocks.start = end;
                    source.segment.read(first..end)?.into_iter()
                };
                continue;
            };
            if self.span.begins_after(&entry.key) {
                continue;
            }
            if self.span.ends_before(&entry.key) {
                source.blocks.start = source.blocks.end;
                source.entries = Vec::new().into_iter();
                return Ok(());
            }
            self.heap.push(Head { key: entry.key, at: (entry.tick, place), value: entry.value });
            return Ok(());
        }
    }

    fn step(&mut self) -> Result<Option<Entry>> {
        if !self.started {
            self.started = true;
            for place in 0..self.sources.len() {
                self.advance(place)?;
            }
        }
        while let Some(head) = self.heap.pop() {
            self.advance(head.at.1)?;
            while self.heap.peek().is_some_and(|other| other.key == head.key) {
                let older = self.heap.pop().expect("it was looked at");
                self.advance(older.at.1)?;
            }
            let covered = self.cover.newest(&head.key).is_some_and(|removed| removed > head.at);
            if covered || (self.bottom && head.value.is_none()) {
                continue;
            }
            return Ok(Some(Entry { key: head.key, tick: head.at.0, value: head.value }));
        }
        Ok(None)
    }
}

impl Iterator for Merge {
    type Item = Result<Entry>;

    /// The next row; nothing follows an error.
    fn next(&mut self) -> Option<Result<Entry>> {
        if self.failed {
            return None;
        }
        let next = self.step().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}
