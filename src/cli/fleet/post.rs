//! How `tidemark rescale` and `tidemark upgrade` reach the `tidemark cluster` of a job: a socket in a folder that only its user
//! may enter. One JSON value a line: what is wanted, then [`Good`](Line::Good); back comes what is done.

use crate::error::{Error, Kind, Result};
use crate::random;
use serde::{Deserialize, Serialize};
use std::fs::DirBuilder;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a word to who asked may take.
const SEND_TIME_MAX: Duration = Duration::from_secs(1);

/// What is to be otherwise from now on; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) processes: Option<usize>,
    pub(crate) workers: Option<usize>,
    pub(crate) program: Option<PathBuf>,
}

/// What is said to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Line {
    /// Change the job.
    Wanted(Wanted),
    /// The changed job is at work: never go back.
    Good,
}

/// What the supervisor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Told {
    /// The program takes the dataflow and its configuration; the job is told to end.
    Checked,
    /// All processes have ended cleanly.
    Stopped,
    /// All are started as it was asked for.
    Started,
    /// Nothing is changed: why.
    Refused(String),
    /// The job goes on as it was before: why.
    Back(String),
}

/// Who has asked for a change.
pub(super) struct Asked {
    pub(super) wanted: Wanted,
    stream: Arc<Mutex<UnixStream>>,
}

impl Asked {
    /// Says how far it is. Whoever asked may be gone.
    pub(super) fn tell(&self, told: &Told) {
        let Ok(mut line) = serde_json::to_vec(told) else { return };
        line.push(b'\n');
        let _ = self.stream.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
    }
}

/// What has come.
pub(super) enum Message {
    Wanted(Asked),
    Good,
}

/// The socket, until this is dropped.
pub(super) struct Post {
    folder: PathBuf,
    path: PathBuf,
    messages: Receiver<Message>,
}

impl Post {
    /// Listens from now on.
    ///
    /// # Errors
    /// `Retry` if there is no place for the socket.
    pub(super) fn open() -> Result<Post> {
        let folder = std::env::temp_dir().join(format!("tidemark-cluster-{}", random::nonce()));
        let failed = |e: std::io::Error| {
            let place = folder.display();
            Error::new(Kind::Retry, format!("the supervisor can't listen in {place}: {e}"))
        };
        DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).map_err(failed)?;
        let (sender, messages) = channel();
        let accept = move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                // Rare, and each ends with its connection.
                std::thread::spawn(move || hear(stream, &sender));
            }
        };
        std::thread::Builder::new().name("post".into()).spawn(accept).map_err(failed)?;
        Ok(Post { path, messages, folder: folder.clone() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The next thing that has come; never waits.
    pub(super) fn next(&self) -> Option<Message> {
        self.messages.try_recv().ok()
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        // What can't be removed from a folder for such things harms nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn hear(stream: UnixStream, sender: &Sender<Message>) {
    let Ok(writer) = stream.try_clone() else { return };
    // It fails on a socket that is closed already.
    let _ = writer.set_write_timeout(Some(SEND_TIME_MAX));
    let writer = Arc::new(Mutex::new(writer));
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let message = match serde_json::from_str(&line) {
            Ok(Line::Wanted(wanted)) => {
                Message::Wanted(Asked { wanted, stream: Arc::clone(&writer) })
            }
            Ok(Line::Good) => Message::Good,
            Err(error) => {
                tracing::warn!(%error, "what was asked of the supervisor is not known");
                return;
            }
        };
        if sender.send(message).is_err() {
            return;
        }
    }
}
