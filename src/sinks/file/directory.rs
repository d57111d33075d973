//! The directory of a sink: its lock, its mark, its lanes. Knows no rows.

use super::disk::Disk;
use crate::error::{Error, Kind, Result};
use crate::ids::{Generation, Lane, Nonce, Tick};
use crate::sinks::{Identity, Progress};
use crate::time::clock;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version of the files in `.tidemark`.
const FORMAT: u32 = 1;

const OWN: &str = ".tidemark";
const MARK: &str = "mark.json";
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Who has the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    format: u32,
    job: String,
    sink: String,
    generation: Generation,
    nonce: Nonce,
}

/// A lane's progress, and the file of rows that was committed with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LaneFile {
    format: u32,
    file: Option<String>,
    progress: Progress,
}

impl Mark {
    pub(super) fn new(identity: &Identity, sink: &str) -> Mark {
        Mark {
            format: FORMAT,
            job: identity.job.clone(),
            sink: sink.to_owned(),
            generation: identity.generation,
            nonce: identity.nonce,
        }
    }

    /// Whether `self` may take over what `found` has (PROTOCOL 3).
    fn may_take_over(&self, found: Option<&Mark>) -> Result<()> {
        let Some(found) = found else {
            return Ok(());
        };
        if (&found.job, &found.sink) != (&self.job, &self.sink) {
            return Err(Error::config(format!(
                "the directory belongs to sink {} of job {}, not to sink {} of job {}: give each sink its own",
                found.sink, found.job, self.sink, self.job
            )));
        }
        let same = found.nonce == self.nonce;
        if found.generation > self.generation || found.generation == self.generation && !same {
            return Err(Error::new(
                Kind::Fenced,
                format!(
                    "generation {} finds the mark of generation {} (nonce {}): a newer leader has the directory, or the job's \
                     store was lost; with a new store use a new directory",
                    self.generation, found.generation, found.nonce
                ),
            ));
        }
        Ok(())
    }
}

impl LaneFile {
    pub(super) fn new(file: Option<String>, progress: Progress) -> LaneFile {
        LaneFile { format: FORMAT, file, progress }
    }
}

/// What is read of `.tidemark` says its version.
trait Versioned: DeserializeOwned {
    fn format(&self) -> u32;
}

impl Versioned for Mark {
    fn format(&self) -> u32 {
        self.format
    }
}

impl Versioned for LaneFile {
    fn format(&self) -> u32 {
        self.format
    }
}

/// The name of the file with the rows of `lane` in the ticks from `first` to `last`.
pub(super) fn name(lane: Lane, first: Tick, last: Tick) -> String {
    format!("{:05}-{first:020}-{last:020}.jsonl", lane.0)
}

fn lane_name(lane: Lane) -> String {
    format!("lane-{:05}.json", lane.0)
}

pub(super) struct Directory<D> {
    disk: D,
    path: PathBuf,
    own: PathBuf,
    lock_wait: Duration,
}

impl<D: Disk> Directory<D> {
    pub(super) fn new(disk: D, path: PathBuf, lock_wait: Duration) -> Directory<D> {
        let own = path.join(OWN);
        Directory { disk, path, own, lock_wait }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory for oneself until this is dropped or the process dies.
    ///
    /// # Errors
    /// `Retry` if another process holds it for too long, `Config` if the directory can't be used.
    pub(super) fn lock(&self) -> Result<File> {
        fs::create_dir_all(&self.own).map_err(|error| failed(&self.own, &error))?;
        let path = self.own.join("lock");
        let options = File::options().create(true).truncate(false).write(true).open(&path);
        let file = options.map_err(|error| failed(&path, &error))?;
        let begin = clock::instant();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(failed(&path, &error)),
            }
            if clock::instant().duration_since(begin) >= self.lock_wait {
                return Err(Error::new(
                    Kind::Retry,
                    format!(
                        "{}: another process holds it for {:?}",
                        path.display(),
                        self.lock_wait
                    ),
                ));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Puts one's mark, ends what a predecessor had committed and takes away what it had not; progress of each lane. Under the lock.
    pub(super) fn take_over(&mut self, mark: &Mark, lanes: u16) -> Result<Vec<Option<Progress>>> {
        let found = self.read::<Mark>(MARK)?;
        if found.is_none() {
            self.sync_parents()?;
        }
        // What a predecessor renamed may not be on the disk yet. It counts only once it is.
        for directory in [&self.path, &self.own] {
            self.disk.sync(directory).map_err(|error| failed(directory, &error))?;
        }
        mark.may_take_over(found.as_ref()).map_err(|error| error.at(self.path.display()))?;
        self.replace(MARK, &json(mark)?)?;
        let (mut progress, mut left) = (vec![None; usize::from(lanes)], Vec::new());
        for name in self.names()? {
            // Lanes beyond one's own count too: a sink may have had more of them.
            let is_lane = name.starts_with("lane-") && name.ends_with(".json");
            match if is_lane { self.read::<LaneFile>(&name)? } else { None } {
                Some(lane) => {
                    if let Some(file) = &lane.file {
                        self.publish(file)?;
                    }
                    if let Some(slot) = progress.get_mut(usize::from(lane.progress.lane.0)) {
                        *slot = Some(lane.progress);
                    }
                }
                None => left.push(name),
            }
        }
        for name in
            left.into_iter().filter(|name| name.ends_with(".jsonl") || name.ends_with(".new"))
        {
            let path = self.own.join(name);
            match self.disk.remove(&path) {
                // It was committed, and has just been moved to its place.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => result.map_err(|error| failed(&path, &error))?,
            }
        }
        Ok(progress)
    }

    /// Brings the names of directories that were just made to the disk.
    fn sync_parents(&mut self) -> Result<()> {
        let path = fs::canonicalize(&self.path).map_err(|error| failed(&self.path, &error))?;
        for parent in path.ancestors().skip(1) {
            match self.disk.sync(parent) {
                // Who may not read a directory has not made one in it just now.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => break,
                result => result.map_err(|error| failed(parent, &error))?,
            }
        }
        Ok(())
    }

    /// Whether nobody has taken the directory over. Under the lock.
    ///
    /// # Errors
    /// `Fenced` if somebody has.
    pub(super) fn still_held(&self, mark: &Mark) -> Result<()> {
        match self.read::<Mark>(MARK)? {
            Some(found) if found == *mark => Ok(()),
            Some(found) => Err(Error::new(
                Kind::Fenced,
                format!(
                    "{}: generation {} was fenced by generation {}",
                    self.path.display(),
                    mark.generation,
                    found.generation
                ),
            )),
            None => Err(self.gone()),
        }
    }

    fn gone(&self) -> Error {
        Error::corrupt(format!(
            "{}: {OWN}/{MARK} was removed while the sink was in use; put the directory back as it was",
            self.path.display()
        ))
    }

    /// Commits a lane's progress together with the rows, if it names a file for them. Under the lock.
    ///
    /// # Errors
    /// `Retry` if it did not happen, `Undecided` if it may have.
    pub(super) fn commit(&mut self, lane: &LaneFile, rows: &[u8]) -> Result<()> {
        if let Some(file) = &lane.file {
            let path = self.own.join(file);
            self.disk.write(&path, rows).map_err(|error| failed(&path, &error))?;
        }
        self.replace(&lane_name(lane.progress.lane), &json(lane)?)?;
        match &lane.file {
            Some(file) => self.publish(file),
            None => Ok(()),
        }
    }

    /// Moves a committed file to its place, if that is not done. Readers never see a later one of the lane before it.
    fn publish(&mut self, file: &str) -> Result<()> {
        let (from, to) = (self.own.join(file), self.path.join(file));
        match self.disk.rename(&from, &to) {
            Ok(()) => self.disk.sync(&self.path).map_err(|error| undecided(&to, &error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(undecided(&to, &error)),
        }
    }

    /// Replaces one of the directory's own files at once. The names of prepared files come to the disk with it.
    fn replace(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let (new, path) = (self.own.join(format!("{name}.new")), self.own.join(name));
        self.disk.write(&new, bytes).map_err(|error| failed(&new, &error))?;
        // A prepared file must not lose its name if the progress that names it keeps its own.
        self.disk.sync(&self.own).map_err(|error| failed(&self.own, &error))?;
        self.disk.rename(&new, &path).map_err(|error| undecided(&path, &error))?;
        self.disk.sync(&self.own).map_err(|error| undecided(&path, &error))
    }

    fn read<T: Versioned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.own.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path, &error)),
        };
        let value: T = serde_json::from_slice(&bytes).map_err(|error| {
            Error::corrupt(format!(
                "{}: is not what was written: {error}; put the directory back as it was",
                path.display()
            ))
        })?;
        if value.format() == FORMAT {
            return Ok(Some(value));
        }
        Err(Error::config(format!(
            "{}: has format {}, this program knows {FORMAT}: use the program that wrote it, or a newer one",
            path.display(),
            value.format()
        )))
    }

    fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.own).map_err(|error| failed(&self.own, &error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed(&self.own, &error))?;
            names.extend(entry.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = crate::formats::encode_json(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The error of a step before the commit.
fn failed(path: &Path, error: &std::io::Error) -> Error {
    let kind = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::NotADirectory | ErrorKind::ReadOnlyFilesystem => {
            Kind::Config
        }
        _ => Kind::Retry,
    };
    Error::new(kind, format!("{}: {error}", path.display()))
}

/// The error of a step at or after the commit.
fn undecided(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Kind::Undecided, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
