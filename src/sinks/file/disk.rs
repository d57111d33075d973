//! The steps that change a disk. Tests put a disk in its place that dies at any of them.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// A disk. Each call is a step after which the process may die.
pub(super) trait Disk: Send {
    /// Makes a file of these bytes, whatever was at `path`; they are on the disk when this returns, the name perhaps not.
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Gives a file another name, replacing what had it. Either name is seen at any moment, never none.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Brings the names in a directory to the disk.
    fn sync(&mut self, directory: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
}

/// The machine's.
#[derive(Clone, Copy, Debug)]
pub(super) struct System;

impl Disk for System {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        // A new file each time: after a failed sync the pages of the old one may pass for written.
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync(&mut self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}
