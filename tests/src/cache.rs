//! What is fetched once from Maven Central into a folder outside the tree. Knows nothing of what it is.

use crate::failure::{Failure, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder `name` of the cache, filled by `fill` if it is not there whole. Several processes may call this at once.
///
/// # Errors
/// If there is no place for a cache, or `fill` fails; the next call fills it anew.
pub(crate) fn folder(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = place()?;
    let folder = cache.join(name);
    if !folder.join("complete").exists() {
        fs::create_dir_all(&cache)?;
        let lock = File::create(cache.join(format!("{name}.lock")))?;
        lock.lock()?;
        if !folder.join("complete").exists() {
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir_all(&folder)?;
            fill(&folder)?;
            File::create(folder.join("complete"))?.sync_all()?;
        }
    }
    Ok(folder)
}

fn place() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("TIDEMARK_TEST_CACHE") {
        return Ok(folder.into());
    }
    let home = std::env::var_os("HOME").ok_or_else(|| {
        Failure::new("neither TIDEMARK_TEST_CACHE nor HOME is set: no place for what is fetched")
    })?;
    Ok(Path::new(&home).join(".cache").join("tidemark"))
}

/// Runs `command` to its end.
///
/// # Errors
/// If it can't be run or fails; the message begins with `otherwise` and has its output.
pub(crate) fn run(command: &mut Command, otherwise: &str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        Failure::from(error)
            .at(format!("{otherwise}: cannot run {program} (apt-get install it, or use ./test)"))
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure(format!(
        "{otherwise}: {program} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}

/// A new folder in the system's place for such, named `prefix`, this process and something random; folders of test processes that
/// are gone are removed first, since what all tests of a process share is never dropped.
///
/// # Errors
/// If it can't be made.
pub(crate) fn scratch(prefix: &str) -> Result<PathBuf> {
    let place = std::env::temp_dir();
    for entry in fs::read_dir(&place)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(prefix).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another test process may be removing it at this moment.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
    let prefix = format!("{prefix}{}-", std::process::id());
    Ok(tempfile::Builder::new().prefix(&prefix).tempdir_in(place)?.keep())
}
