//! Reading a snapshot back, in shares. What the rows mean is the caller's affair.

use crate::error::{Error, Result};
use crate::ids::Tick;
use crate::state::manifest::Manifest;
use crate::state::merge::{Merge, Span};
use crate::state::segment::{Entry, Segment};
use crate::state::store::Store;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A snapshot in a store. A clone is the same snapshot and shares what is read once.
#[derive(Clone)]
pub struct Snapshot(Arc<Inner>);

struct Inner {
    store: Store,
    name: String,
    manifest: Manifest,
    read: Arc<AtomicU64>,
    /// By uid; opened when the first share asks. A mutex rather than a lock a uid: shares of one uid come together.
    opened: Mutex<BTreeMap<String, Arc<Vec<Arc<Segment>>>>>,
    /// Blocks on a border of shares, until all of them had it.
    borders: Mutex<BTreeMap<BorderKey, Border>>,
    /// Readers that have all rows that they want.
    done: AtomicUsize,
}

/// uid, number of shares, segment's place, block.
type BorderKey = (String, usize, usize, usize);

struct Border {
    entries: Vec<Entry>,
    shares_left: usize,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} in {})", self.0.name, self.0.store.url())
    }
}

impl Snapshot {
    /// The snapshot that a manifest object shows.
    ///
    /// # Errors
    /// `Corrupt` if the manifest is gone or damaged, `Retry` if the store did not answer.
    pub fn load(store: &Store, manifest: &str) -> Result<Snapshot> {
        let read = Manifest::read(store, manifest)?;
        Ok(Snapshot(Arc::new(Inner {
            store: store.clone(),
            name: manifest.to_string(),
            manifest: read,
            read: Arc::new(AtomicU64::new(0)),
            opened: Mutex::default(),
            borders: Mutex::default(),
            done: AtomicUsize::new(0),
        })))
    }

    /// What it holds.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// The tick whose end it shows.
    pub fn tick(&self) -> Tick {
        self.0.manifest.facts.tick
    }

    /// The name of its manifest object.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Bytes of segments read so far through this snapshot and its clones.
    pub fn bytes_read(&self) -> u64 {
        self.0.read.load(Ordering::Relaxed)
    }

    /// The live rows of `uid` in share `share` of `of`, ascending by key; empty if the snapshot has no such uid. All shares
    /// together give each row once, and read each block once if they are taken through clones of one snapshot.
    ///
    /// # Errors
    /// Here or from the iterator, which then ends: `Corrupt`, naming object and byte, or `Retry`.
    ///
    /// # Panics
    /// If `share` is not below `of`.
    pub fn rows(&self, uid: &str, share: usize, of: usize) -> Result<Rows> {
        assert!(share < of, "share {share} of {of}");
        let segments = self.segments(uid)?;
        let cuts = cuts(&segments, of);
        let Some(span) = span(&cuts, share..share + 1) else {
            return Ok(Rows(Merge::new(&[], Span::default(), None, true)));
        };
        let (snapshot, uid, list) = (self.clone(), uid.to_string(), Arc::clone(&segments));
        let shared = move |place: usize, block: usize| {
            snapshot.border(&uid, of, &list[place], place, block, &cuts)
        };
        Ok(Rows(Merge::new(&segments, span, Some(Box::new(shared)), true)))
    }

    /// Reads and verifies what the given shares of `of` need; all shares together need every byte of the snapshot's segments. It is
    /// held, so that it is not read again for [`Snapshot::rows`], which lets go of it piece by piece, nor is it damaged in between.
    ///
    /// # Errors
    /// `Corrupt`, naming object and byte, or `Retry`.
    pub fn verify(&self, shares: Range<usize>, of: usize) -> Result<()> {
        for kept in &self.0.manifest.kept {
            let segments = self.segments(&kept.uid)?;
            let Some(span) = span(&cuts(&segments, of), shares.clone()) else { continue };
            for segment in segments.iter() {
                segment.verify(&span.blocks(segment))?;
            }
        }
        Ok(())
    }

    /// Said by each of `readers` once it has all rows that it wants: after the last of them, whom it tells so, nothing is held any
    /// more.
    pub fn done(&self, readers: usize) -> bool {
        if self.0.done.fetch_add(1, Ordering::AcqRel) + 1 < readers {
            return false;
        }
        self.0.borders.lock().expect("no panic while it is held").clear();
        let opened = self.0.opened.lock().expect("no panic while it is held");
        opened.values().flat_map(|segments| segments.iter()).for_each(|segment| segment.let_go());
        true
    }

    /// Whether anything is held.
    #[cfg(test)]
    pub(super) fn holds(&self) -> bool {
        let opened = self.0.opened.lock().expect("no panic while it is held");
        opened.values().flat_map(|segments| segments.iter()).any(|segment| segment.holds())
    }

    /// The opened segments of a uid, oldest first.
    pub(super) fn segments(&self, uid: &str) -> Result<Arc<Vec<Arc<Segment>>>> {
        let mut opened = self.0.opened.lock().expect("no panic while it is held");
        if let Some(segments) = opened.get(uid) {
            return Ok(Arc::clone(segments));
        }
        let mut segments = Vec::new();
        if let Some(kept) = self.0.manifest.kept(uid) {
            for named in &kept.segments {
                let segment = Segment::open(&self.0.store, named, Arc::clone(&self.0.read))?;
                let header = segment.header();
                if header.uid != kept.uid || header.fingerprint != kept.fingerprint {
                    return Err(Error::corrupt(format!(
                        "{} in {} is damaged at byte 0: it holds rows of {:?} with another schema than {} says",
                        named.name,
                        self.0.store.url(),
                        header.uid,
                        self.0.name
                    )));
                }
                segments.push(Arc::new(segment));
            }
        }
        let segments = Arc::new(segments);
        opened.insert(uid.to_string(), Arc::clone(&segments));
        Ok(segments)
    }

    /// The entries of a block if several shares need it: read by the first, kept for the others.
    fn border(
        &self,
        uid: &str,
        of: usize,
        segment: &Segment,
        place: usize,
        block: usize,
        cuts: &[Option<Vec<u8>>],
    ) -> Result<Option<Vec<Entry>>> {
        let shares = 1 + inside(segment, block, cuts);
        if shares == 1 {
            return Ok(None);
        }
        let key = (uid.to_string(), of, place, block);
        let mut borders = self.0.borders.lock().expect("no panic while it is held");
        if let Some(border) = borders.get_mut(&key) {
            border.shares_left -= 1;
            if border.shares_left > 0 {
                return Ok(Some(border.entries.clone()));
            }
            return Ok(borders.remove(&key).map(|border| border.entries));
        }
        let entries = segment.read(block..block + 1)?;
        borders.insert(key, Border { entries: entries.clone(), shares_left: shares - 1 });
        Ok(Some(entries))
    }
}

/// The keys of these shares; `None` if there are no rows for them, as when the cut before them is missing.
fn span(cuts: &[Option<Vec<u8>>], shares: Range<usize>) -> Option<Span> {
    let last = shares.clone().last()?;
    let low = match shares.start.checked_sub(1) {
        None => None,
        Some(before) => Some(cuts[before].clone()?),
    };
    Some(Span { low, high: cuts.get(last).cloned().flatten() })
}

/// How many cuts fall inside a block, so that a share more needs it.
fn inside(segment: &Segment, block: usize, cuts: &[Option<Vec<u8>>]) -> usize {
    let first = segment.blocks[block].first_key.as_slice();
    let next = segment.blocks.get(block + 1).map(|b| b.first_key.as_slice());
    let within = |cut: &Vec<u8>| {
        let cut = cut.as_slice();
        cut > first && next.map_or(cut <= segment.last_key(), |next| cut < next)
    };
    cuts.iter().flatten().filter(|cut| within(cut)).count()
}

/// Where shares begin, after the first: at first keys of blocks, strictly ascending, with about equal bytes between them;
/// `None` for shares that get nothing.
fn cuts(segments: &[Arc<Segment>], of: usize) -> Vec<Option<Vec<u8>>> {
    let mut blocks: Vec<(&[u8], u64)> = segments
        .iter()
        .flat_map(|s| s.blocks.iter().map(|b| (b.first_key.as_slice(), u64::from(b.bytes))))
        .collect();
    blocks.sort_unstable();
    spread(&blocks, of)
}

/// The pure part of [`cuts`], over (first key, bytes) in order.
fn spread(blocks: &[(&[u8], u64)], of: usize) -> Vec<Option<Vec<u8>>> {
    let total: u64 = blocks.iter().map(|(_, bytes)| bytes).sum();
    let mut cuts: Vec<Option<Vec<u8>>> = Vec::new();
    let (mut next, mut before) = (0, 0);
    let mut last = blocks.first().map(|(key, _)| *key);
    for share in 1..of {
        let target = u128::from(total) * share as u128 / of as u128;
        while next < blocks.len()
            && (u128::from(before) < target || last.is_some_and(|last| blocks[next].0 <= last))
        {
            before += blocks[next].1;
            next += 1;
        }
        last = blocks.get(next).map(|(key, _)| *key);
        cuts.push(last.map(<[u8]>::to_vec));
    }
    cuts
}

/// The rows of a share: key and value.
pub struct Rows(Merge);

impl Iterator for Rows {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            return match self.0.next()? {
                Ok(Entry { value: None, .. }) => continue,
                Ok(Entry { key, value: Some(value), .. }) => Some(Ok((key.into(), value.into()))),
                Err(e) => Some(Err(e)),
            };
        }
    }
}

#[cfg(test)]
mod tests;
