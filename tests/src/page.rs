//! A page of `doc/operating/` as a script: its `sh` blocks, run one after the other as a reader would type them.

use crate::broker::free_port;
use crate::clock::Deadline;
use crate::engine::binary;
use crate::process;
use crate::{Failure, Result};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where pages say that the job's HTTP server is.
const ADDRESS: &str = "127.0.0.1:8090";

/// A page, and a folder of its own in which its commands are run. What a page says stands for itself: only the address is another, and
/// the next line waits until a job that was started in the background answers.
pub struct Page {
    name: String,
    script: String,
    folder: tempfile::TempDir,
}

impl Page {
    /// The blocks marked `sh` of `doc/operating/NAME.md`.
    ///
    /// # Errors
    /// If there is no such page, or no such block in it.
    pub fn open(name: &str) -> Result<Page> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("has a parent");
        let text = std::fs::read_to_string(root.join(format!("doc/operating/{name}.md")))?;
        let script = script(&text);
        if script.is_empty() {
            return Err(Failure(format!("{name}.md has no block marked `sh`")));
        }
        Ok(Page { name: name.to_owned(), script, folder: tempfile::tempdir()? })
    }

    /// The folder in which the commands are run.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Follows the page; what it printed. `words` are replaced in its commands first, such as the names of machines.
    ///
    /// # Errors
    /// If a command fails or the whole takes longer than `limit`, with what was printed.
    pub fn follow(&self, words: &[(&str, &str)], limit: Duration) -> Result<String> {
        let bin = self.folder.path().join(".bin");
        std::fs::create_dir_all(&bin)?;
        let link = bin.join("tidemark");
        if !link.exists() {
            std::os::unix::fs::symlink(binary()?, &link)?;
        }
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut script = self.script.replace(ADDRESS, &address);
        for (word, here) in words {
            if !script.contains(word) {
                return Err(Failure(format!("{}.md does not say {word:?}", self.name)));
            }
            script = script.replace(word, here);
        }
        let output = self.folder.path().join(".output");
        let file = std::fs::File::create(&output)?;
        let mut command = Command::new("bash");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(["-c", &script])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("TIDEMARK_HTTP__ADDR", &address)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let mut shell = process::spawn(command)?;
        let deadline = Deadline::after(limit);
        let status = loop {
            match shell.try_wait()? {
                Some(status) => break Some(status),
                None if deadline.left().is_none() => break None,
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let printed = std::fs::read_to_string(&output)?;
        match status {
            Some(status) if status.success() => Ok(printed),
            Some(status) => Err(Failure(format!("{}.md: {status}:\n{printed}", self.name))),
            None => {
                shell.kill()?;
                Err(Failure(format!("{}.md: not done in {limit:?}:\n{printed}", self.name)))
            }
        }
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The script of a page's blocks. Jobs that are left running are ended with it.
fn script(text: &str) -> String {
    let mut script = String::new();
    for block in text.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        for line in block.lines() {
            // The list of jobs tells which one to wait for: one that has ended does not hold the script up.
            let _ = writeln!(script, "{line}");
            let code = line.split(" #").next().unwrap_or_default().trim_end();
            if code.ends_with('&') {
                script.push_str(AWAIT);
            }
        }
    }
    if script.is_empty() { script } else { format!("{HEAD}{script}") }
}

const HEAD: &str = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n";
const AWAIT: &str =
    "until tidemark query hot-items --limit 1 >/dev/null 2>&1; do kill -0 $!; sleep 0.1; done\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_marked_sh_are_commands_and_what_runs_on_is_waited_for() {
        let text =
            "a\n```sh\nrun &      # it runs\nstop\n```\n```text\nno\n```\n```sh\nagain\n```\n";
        assert_eq!(script(text), format!("{HEAD}run &      # it runs\n{AWAIT}stop\nagain\n"));
        assert_eq!(script("```toml\na = 1\n```"), "");
    }
}
