//! Files, line by line: a file, or a directory of them. Knows nothing of what a line holds; compressed files are bytes to it.
//!
//! A file is a partition, named by its path within the directory. A record is a line; its offset is the byte at which the
//! line starts, its next offset the byte behind its line feed. Lines end in LF or CRLF; an empty line is no record.

mod lines;
mod reader;

use super::{Partition, Reader, Transport, Waker};
use crate::error::{Error, Kind, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A file or a directory as a source.
///
/// In a directory every regular file is a partition, at any depth, except where a name begins with a dot; links to
/// directories are not followed.
///
/// - *Bounded* (the default): the files that the first discovery finds, each up to the size that it has when it is opened. Bytes
///   behind the last line feed are a record.
/// - *Followed*: files are read on as they grow, and new ones are found. A line is a record once its line feed is there.
///
/// Files may only grow. A file that is shorter than what was read of it, that was replaced or removed is reported as
/// [`Kind::SourceChanged`]; so rotate logs by beginning a file of another name. Changes within what was read are found
/// at a replay, by the checksum of the tick.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    followed: bool,
    found: Mutex<Option<Vec<Partition>>>,
}

impl Files {
    /// The file or directory at `path`, bounded. Nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Files {
        Files { root: path.into(), followed: false, found: Mutex::new(None) }
    }

    /// The same, followed as it grows if `yes`.
    #[must_use]
    pub fn follow(mut self, yes: bool) -> Files {
        self.followed = yes;
        self
    }

    fn list(&self) -> Result<Vec<Partition>> {
        let meta = fs::metadata(&self.root).map_err(|error| refused(&self.root, &error))?;
        let mut names = Vec::new();
        if meta.is_dir() {
            walk(&self.root, "", &mut names)?;
            names.sort();
        } else {
            names.push(text(self.root.file_name().unwrap_or_default().as_ref())?);
        }
        Ok(names.into_iter().map(|name| Partition { name, start: 0 }).collect())
    }
}

impl Transport for Files {
    fn describe(&self) -> String {
        format!("file {}", self.root.display())
    }

    fn discover(&self) -> Result<Vec<Partition>> {
        if self.followed {
            return self.list();
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(partitions) = &*found {
            return Ok(partitions.clone());
        }
        let partitions = self.list()?;
        *found = Some(partitions.clone());
        Ok(partitions)
    }

    fn open(&self, waker: Waker) -> Result<Box<dyn Reader>> {
        Ok(Box::new(reader::FileReader::open(&self.root, self.followed, waker)?))
    }
}

/// Adds the names of all files below `dir`, whose own name is `prefix`.
fn walk(dir: &Path, prefix: &str, names: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(|error| refused(dir, &error))? {
        let entry = entry.map_err(|error| refused(dir, &error))?;
        let name = text(entry.file_name().as_ref())?;
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let kind = entry.file_type().map_err(|error| refused(&path, &error))?;
        if kind.is_dir() {
            walk(&path, &name, names)?;
        } else if kind.is_file() || fs::metadata(&path).is_ok_and(|meta| meta.is_file()) {
            names.push(name);
        }
    }
    Ok(())
}

fn text(name: &Path) -> Result<String> {
    name.to_str().map(str::to_owned).ok_or_else(|| {
        Error::config(format!("file name {} is not UTF-8: rename the file", name.display()))
    })
}

/// The error for a file or directory that can't be looked at.
fn refused(path: &Path, error: &std::io::Error) -> Error {
    let kind = match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::NotADirectory => {
            Kind::Config
        }
        _ => Kind::Retry,
    };
    Error::new(kind, format!("file {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
