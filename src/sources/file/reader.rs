//! A worker's hold on files.

use super::lines::{BLOCK, Line, Lines};
use crate::error::{Error, Kind, Result};
use crate::hash::Map;
use crate::ids::{Inlet, Pos};
use crate::sources::ticker::Ticker;
use crate::sources::{Budget, PAYLOAD_BYTES_MAX, Polled, Raw, Reader, Waker};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often files at whose end a reader stands are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Blocks that one poll reads at most, so that a line without end does not hold the worker.
const BLOCKS_MAX: usize = 16;

/// With more files than this a reader keeps those closed, and without a buffer, that it has not begun or at whose end it stands.
const OPEN_KEPT: usize = 64;

pub(super) struct FileReader {
    root: PathBuf,
    followed: bool,
    files: Map<Inlet, OpenFile>,
    watched: Watched,
    _ticker: Option<Ticker>,
}

/// Files at whose end the reader stands, with the size that they had.
#[derive(Clone, Default)]
struct Watched(Arc<Mutex<Map<Inlet, (PathBuf, u64)>>>);

impl Watched {
    fn lock(&self) -> MutexGuard<'_, Map<Inlet, (PathBuf, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is something to see at one of the files.
    fn changed(&self) -> bool {
        self.lock()
            .values()
            .any(|(path, size)| fs::metadata(path).map_or(true, |m| m.len() != *size))
    }
}

impl FileReader {
    pub(super) fn open(root: &Path, followed: bool, waker: Waker) -> Result<FileReader> {
        let watched = Watched::default();
        let theirs = watched.clone();
        let ticker = followed.then(|| {
            Ticker::start("file-watch", LOOK_EVERY, move || {
                if theirs.changed() {
                    waker();
                }
            })
        });
        let _ticker = ticker.transpose()?;
        Ok(FileReader { root: root.to_owned(), followed, files: Map::default(), watched, _ticker })
    }

    fn path(&self, partition: &str) -> PathBuf {
        if self.root.is_dir() { self.root.join(partition) } else { self.root.clone() }
    }
}

impl Reader for FileReader {
    fn assign(&mut self, inlet: Inlet, partition: &str, next: u64) -> Result<()> {
        let mut file = OpenFile::open(self.path(partition), next, !self.followed)?;
        if self.files.len() >= OPEN_KEPT {
            file.close();
        }
        self.files.insert(inlet, file);
        Ok(())
    }

    fn poll(
        &mut self,
        inlet: Inlet,
        limit: u64,
        budget: Budget,
        each: &mut dyn FnMut(Raw<'_>) -> Result<()>,
    ) -> Result<Polled> {
        let many = self.files.len() > OPEN_KEPT;
        let file = self.files.get_mut(&inlet).ok_or_else(|| {
            Error::internal(format!("inlet {} was polled before it was assigned", inlet.0))
        })?;
        let polled = file.poll(limit, budget, each)?;
        if polled == Polled::Finished || many && polled == Polled::CaughtUp {
            file.close();
        }
        if polled == Polled::CaughtUp {
            let place = (file.path.clone(), file.lines.read_to());
            self.watched.lock().insert(inlet, place);
            file.watched = true;
        } else if std::mem::take(&mut file.watched) {
            self.watched.lock().remove(&inlet);
        }
        Ok(polled)
    }

    /// How many lines lie ahead nobody knows before reading them.
    fn lag(&self, _inlet: Inlet) -> Option<u64> {
        None
    }
}

struct OpenFile {
    path: PathBuf,
    /// `None` while it is closed.
    file: Option<File>,
    /// Device and number of the file that was opened.
    identity: (u64, u64),
    /// Where a bounded file ends.
    end: Option<u64>,
    lines: Lines,
    /// Whether it is among the [`Watched`].
    watched: bool,
}

impl OpenFile {
    fn open(path: PathBuf, next: u64, bounded: bool) -> Result<OpenFile> {
        let file = File::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => gone(&path, next),
            _ => failed(&path, next, &error),
        })?;
        let meta = file.metadata().map_err(|error| failed(&path, next, &error))?;
        if meta.len() < next {
            return Err(shorter(&path, next, meta.len()));
        }
        check_line_start(&path, &file, next, meta.len())?;
        let identity = (meta.dev(), meta.ino());
        let end = bounded.then_some(meta.len());
        let lines = Lines::new(next, PAYLOAD_BYTES_MAX, BLOCK);
        Ok(OpenFile { path, file: Some(file), identity, end, lines, watched: false })
    }

    fn close(&mut self) {
        self.file = None;
        self.lines.release();
    }

    /// Opens the file again after [`OpenFile::close`], if it is still the same.
    fn reopen(&self) -> Result<File> {
        let wanted = self.lines.read_to();
        let file = File::open(&self.path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => gone(&self.path, wanted),
            _ => failed(&self.path, wanted, &error),
        })?;
        let meta = file.metadata().map_err(|error| failed(&self.path, wanted, &error))?;
        if (meta.dev(), meta.ino()) == self.identity {
            return Ok(file);
        }
        Err(replaced(&self.path, wanted, meta.len()))
    }

    fn poll(
        &mut self,
        limit: u64,
        budget: Budget,
        each: &mut dyn FnMut(Raw<'_>) -> Result<()>,
    ) -> Result<Polled> {
        let (mut records, mut bytes, mut blocks) = (0, 0, 0);
        loop {
            if self.lines.offset() >= limit {
                return Ok(Polled::Limit);
            }
            let line = match self.lines.peek() {
                Some(line) => line,
                None if self.at_end() => match self.lines.rest() {
                    Some(line) => line,
                    None => return Ok(Polled::Finished),
                },
                None if blocks == BLOCKS_MAX => return Ok(Polled::More),
                None => {
                    blocks += 1;
                    if self.read()? == 0 {
                        return self.stands(limit);
                    }
                    continue;
                }
            };
            let size = self.lines.bytes(&line).len();
            if records > 0 && (records >= budget.records || bytes + size > budget.bytes) {
                return Ok(Polled::More);
            }
            self.lines.take(&line);
            if size > 0 {
                records += 1;
                bytes += size;
                each(self.raw(&line, limit))?;
            }
        }
    }

    fn raw(&self, line: &Line, limit: u64) -> Raw<'_> {
        // A last line without line feed was recorded up to its end; if it has got one since, a replay gives it as it was.
        let next = if line.end <= limit { line.next.min(limit) } else { line.next };
        let payload = Some(self.lines.bytes(line));
        Raw { offset: line.offset, next, key: None, payload, timestamp: None }
    }

    fn at_end(&self) -> bool {
        self.end.is_some_and(|end| self.lines.read_to() >= end)
    }

    /// Reads a block; 0 if there is nothing more at present.
    fn read(&mut self) -> Result<usize> {
        let from = self.lines.read_to();
        if from > Pos::OFFSET_MAX {
            return Err(Error::new(
                Kind::Input,
                format!("file {}: larger than 2^48 bytes; split it", self.path.display()),
            ));
        }
        if self.file.is_none() {
            self.file = Some(self.reopen()?);
        }
        let file = self.file.as_ref().expect("opened just now");
        let space = self.lines.space();
        let wanted = match self.end {
            Some(end) => space.len().min(usize::try_from(end - from).unwrap_or(usize::MAX)),
            None => space.len(),
        };
        loop {
            match file.read_at(&mut space[..wanted], from) {
                Ok(count) => {
                    self.lines.filled(count);
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(&self.path, from, &error)),
            }
        }
    }

    /// Nothing more to read: is the file still the one that was read?
    fn stands(&self, limit: u64) -> Result<Polled> {
        let read_to = self.lines.read_to();
        let meta = match fs::metadata(&self.path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(gone(&self.path, read_to));
            }
            Err(error) => return Err(failed(&self.path, read_to, &error)),
        };
        if (meta.dev(), meta.ino()) != self.identity {
            return Err(replaced(&self.path, read_to, meta.len()));
        }
        // The size that the end of a bounded file or a limit from the log says it had.
        let wanted = self.end.unwrap_or(read_to);
        let wanted = if limit <= Pos::OFFSET_MAX { wanted.max(limit) } else { wanted };
        if meta.len() < wanted {
            return Err(shorter(&self.path, wanted, meta.len()));
        }
        Ok(if self.end.is_some() { Polled::More } else { Polled::CaughtUp })
    }
}

/// An offset that is no start of a line now was one when it was recorded.
fn check_line_start(path: &Path, file: &File, next: u64, size: u64) -> Result<()> {
    if next == 0 || next == size {
        return Ok(());
    }
    let mut around = [0; 3];
    let count = file.read_at(&mut around, next - 1).map_err(|error| failed(path, next, &error))?;
    // What was a last line without line feed has got one since.
    let fits = matches!(&around[..count], [b'\n', ..] | [_, b'\n', ..] | [_, b'\r', b'\n']);
    if fits {
        return Ok(());
    }
    Err(Error::new(
        Kind::SourceChanged,
        format!(
            "file {}: wanted offset {next} is not at the start of a line any more, size {size}; \
             put back the file as it was",
            path.display()
        ),
    ))
}

fn shorter(path: &Path, wanted: u64, size: u64) -> Error {
    Error::new(
        Kind::SourceChanged,
        format!(
            "file {}: wanted offset {wanted} lies behind its end, size {size}: it was cut or replaced; \
             put back the file as it was",
            path.display()
        ),
    )
}

fn replaced(path: &Path, wanted: u64, size: u64) -> Error {
    Error::new(
        Kind::SourceChanged,
        format!(
            "file {}: was replaced by another of size {size}, wanted offset {wanted}; \
             files may only grow: begin a file of another name instead",
            path.display()
        ),
    )
}

fn gone(path: &Path, wanted: u64) -> Error {
    Error::new(
        Kind::SourceChanged,
        format!(
            "file {}: was removed, wanted offset {wanted}; put back the file as it was",
            path.display()
        ),
    )
}

fn failed(path: &Path, offset: u64, error: &std::io::Error) -> Error {
    let kind = if error.kind() == ErrorKind::PermissionDenied { Kind::Config } else { Kind::Retry };
    Error::new(kind, format!("file {}, offset {offset}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
