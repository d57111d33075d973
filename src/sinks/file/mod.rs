//! Files of JSON lines in a directory, exactly once. No transaction spans two files: one rename is the commit.
//!
//! ```text
//! DIR/00000-00000000000000000004-00000000000000000006.jsonl   rows of lane 0, ticks 4 to 6: whole, never changed
//! DIR/.tidemark/lock                                          held while a writer takes over or commits
//! DIR/.tidemark/mark.json                                     the generation that has the directory
//! DIR/.tidemark/lane-00000.json                               progress of lane 0, and the file that belongs to it
//! DIR/.tidemark/00000-...jsonl                                a file that is not yet committed or not yet moved
//! ```
//! A commit: (1) the rows of a lane are written beside and synced; (2) the lane's progress, which names that file, replaces the old by a
//! rename: **this is the commit**; (3) the file is moved to its place. Who takes over does (3) if it is missing, and removes
//! files that no progress names. So ticks 4 to 6 and 5 to 7 are never both there (PROTOCOL 9, counterexample 16), and a reader
//! may move files away once it has read them.
//!
//! One file holds all ticks of a lane in one [`Writer::write`]; ticks without rows make no file. So the larger the groups that the
//! caller gives, the fewer the files.

mod directory;
mod disk;

use super::lines::Lines;
use super::resume::{Resume, progress, resume};
use super::{Identity, LaneTick, Progress, Writer};
use crate::error::{Error, Result};
use crate::ids::Lane;
use directory::{Directory, LaneFile, Mark};
use disk::{Disk, System};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How long a writer waits for another one to end its commit.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// A writer of files. The directory has to be on a local file system, where locks and renames are what they should be.
pub struct FileWriter(Inner<System>);

impl FileWriter {
    /// A writer into the directory at `path`, which is made if need be, for the sink named `sink`. A directory belongs to one sink.
    pub fn new(path: impl Into<PathBuf>, sink: &str) -> FileWriter {
        FileWriter(Inner::new(System, path.into(), sink, LOCK_WAIT))
    }

    /// The same, where a line is `{"key":..,"value":..}` if `yes`, for upsert sinks, whose values need not hold their key. Otherwise
    /// it is the row's value as it was encoded.
    #[must_use]
    pub fn keyed(mut self, yes: bool) -> FileWriter {
        self.0.lines = if yes { Lines::Keyed } else { Lines::Plain };
        self
    }
}

impl Writer for FileWriter {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn fence(&mut self, identity: &Identity, lanes: u16) -> Result<Vec<Option<Progress>>> {
        self.0.fence(identity, lanes)
    }

    fn write(&mut self, ticks: &[LaneTick]) -> Result<()> {
        self.0.write(ticks)
    }
}

struct Inner<D> {
    directory: Directory<D>,
    sink: String,
    lines: Lines,
    held: Option<Held>,
}

/// What a fence gave, kept up to date.
struct Held {
    identity: Identity,
    mark: Mark,
    progress: Vec<Option<Progress>>,
}

impl<D: Disk> Inner<D> {
    fn new(disk: D, path: PathBuf, sink: &str, lock_wait: Duration) -> Inner<D> {
        let directory = Directory::new(disk, path, lock_wait);
        Inner { directory, sink: sink.to_owned(), lines: Lines::default(), held: None }
    }

    /// Commits the ticks of one lane; what of them the lane lacks.
    fn commit(&mut self, held: &mut Held, lane: Lane, ticks: &[&LaneTick]) -> Result<()> {
        let slot = held.progress.get_mut(usize::from(lane.0)).ok_or_else(|| {
            Error::internal(format!("sink {}: lane {} was not fenced", self.sink, lane.0))
        })?;
        let (mut rows, mut first, mut last) = (Vec::new(), None, slot.clone());
        for tick in ticks {
            if let Resume::From(from) = resume(&self.sink, last.as_ref(), tick)? {
                for row in &tick.rows[from..] {
                    self.lines.put(row, &mut rows)?;
                }
                first.get_or_insert(tick.tick);
                last = Some(progress(&held.identity, &self.sink, tick, tick.rows.len()));
            }
        }
        let (Some(first), Some(progress)) = (first, last) else {
            return Ok(());
        };
        let name = directory::name(lane, first, progress.tick);
        let file = (!rows.is_empty()).then_some(name);
        self.directory.commit(&LaneFile::new(file, progress.clone()), &rows)?;
        *slot = Some(progress);
        Ok(())
    }
}

impl<D: Disk> Writer for Inner<D> {
    fn describe(&self) -> String {
        format!("files in {}", self.directory.path().display())
    }

    fn fence(&mut self, identity: &Identity, lanes: u16) -> Result<Vec<Option<Progress>>> {
        self.held = None;
        let mark = Mark::new(identity, &self.sink);
        let lock = self.directory.lock()?;
        let progress = self.directory.take_over(&mark, lanes)?;
        drop(lock);
        self.held = Some(Held { identity: identity.clone(), mark, progress: progress.clone() });
        Ok(progress)
    }

    fn write(&mut self, ticks: &[LaneTick]) -> Result<()> {
        let Some(mut held) = self.held.take() else {
            return Err(Error::internal(format!("sink {}: a write without a fence", self.sink)));
        };
        let mut lanes = BTreeMap::<Lane, Vec<&LaneTick>>::new();
        for tick in ticks {
            lanes.entry(tick.lane).or_default().push(tick);
        }
        // Nobody takes the directory over between the look at the mark and the commits.
        let lock = self.directory.lock()?;
        self.directory.still_held(&held.mark)?;
        for (lane, ticks) in lanes {
            self.commit(&mut held, lane, &ticks)?;
        }
        drop(lock);
        self.held = Some(held);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
