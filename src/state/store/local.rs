//! A store that is a directory: opened, and rid of the files that a killed writer left. It speaks over no network.

use super::{Place, Store};
use crate::error::{Error, Kind, Result};
use object_store::local::LocalFileSystem;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A file that was to become an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unfinished {
    /// The object's name.
    pub object: String,
    path: PathBuf,
}

impl Store {
    /// The store at a local directory, given as a path or as `file://` with an absolute path; the directory is made if it
    /// is missing. What is written is synced, file and directory, before a call returns.
    ///
    /// # Errors
    /// `Config` if the URL is of a kind that this build has no support for, or the directory can't be made.
    pub fn open(url_or_path: &str) -> Result<Store> {
        let path = local_path(url_or_path)?;
        let wrong = |e: &dyn fmt::Display| {
            Error::config(format!(
                "the state store {url_or_path} can't be opened as a local directory: {e}; \
                 name a directory that this user may write"
            ))
        };
        make_directory(std::path::Path::new(path)).map_err(|e| wrong(&e))?;
        let objects =
            LocalFileSystem::new_with_prefix(path).map_err(|e| wrong(&e))?.with_fsync(true);
        let objects = Arc::new(objects);
        let place = Place::Directory(PathBuf::from(path));
        Store::new(url_or_path.to_string(), objects.clone(), objects, place)
    }

    /// Files that a process left half written in a local store when it was killed, by the names of the objects that they
    /// were to become; a file of a living writer is among them too. Other stores have none.
    ///
    /// # Errors
    /// `Retry` if the directory can't be read.
    pub fn unfinished(&self, kind: &str) -> Result<Vec<Unfinished>> {
        let Place::Directory(root) = &self.0.place else { return Ok(Vec::new()) };
        let directory = root.join(kind);
        let failed = |e: std::io::Error| {
            Error::new(Kind::Retry, format!("{} can't be read: {e}", directory.display()))
        };
        let files = match std::fs::read_dir(&directory) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files.map_err(failed)?,
        };
        let mut found = Vec::new();
        for file in files {
            let file = file.map_err(failed)?;
            let name = file.file_name().to_string_lossy().into_owned();
            // The file system store writes `name#number` aside and then links it to its name.
            if let Some((object, number)) = name.rsplit_once('#')
                && number.bytes().all(|b| b.is_ascii_digit())
            {
                found.push(Unfinished { object: format!("{kind}/{object}"), path: file.path() });
            }
        }
        found.sort();
        Ok(found)
    }

    /// Deletes a half-written file. Its writer, if it lives, fails.
    ///
    /// # Errors
    /// `Retry` if it can't be deleted.
    pub fn discard(&self, unfinished: &Unfinished) -> Result<()> {
        match std::fs::remove_file(&unfinished.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::new(
                Kind::Retry,
                format!("{} can't be deleted: {e}", unfinished.path.display()),
            )),
            _ => Ok(()),
        }
    }
}

/// Makes the directory and those above it, each synced into the one that holds it.
fn make_directory(path: &std::path::Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(std::path::Path::new("."));
    make_directory(above)?;
    match std::fs::create_dir(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    std::fs::File::open(above)?.sync_all()
}

/// The local path that a URL or path means: pure.
pub(super) fn local_path(url_or_path: &str) -> Result<&str> {
    let refuse = |what: &str| {
        Err(Error::config(format!(
            "the state store {url_or_path:?} {what}; name a local directory, as a path or as file:// with an absolute \
             path, or s3://BUCKET/PREFIX"
        )))
    };
    if url_or_path.is_empty() {
        return refuse("is empty");
    }
    match url_or_path.split_once("://") {
        None => Ok(url_or_path),
        Some(("file", path)) if path.starts_with('/') => Ok(path),
        Some(("file", _)) => refuse("names a host or a relative path"),
        Some((scheme, _)) => refuse(&format!("is of kind {scheme:?}")),
    }
}
