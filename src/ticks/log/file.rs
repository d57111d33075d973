//! The tick log in a local file: one holder at a time, one write and one sync for all records of an append.
//!
//! ```text
//! header  "TIDELOG\n"  version u32  log id u64  start u64  CRC32C of these 28 bytes u32        (little-endian)
//! frame   length u32   CRC32C of the payload u32   payload: one record as JSON                 ...
//! ```
//! `start` is the position of the first frame, so that positions go on through cuts. A crash leaves a tail that ends inside the last
//! frame or in zeros: it was never acknowledged and is cut off with a warning. Anything else that is not as it was written is refused
//! by file and byte. `tick.log.lock` beside the file is locked and names the holder's process; `tick.log.new` is the log as it will
//! be after a cut, until it is renamed.

use super::{Entry, Log, Position, RECORD_BYTES_MAX};
use crate::error::{Error, Kind, Result};
use crate::ids::Nonce;
use crate::random;
use crate::ticks::record::Record;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub(super) mod frame;

use frame::{FRAME_HEAD, HEADER_LEN, Header, Tail};

/// A tick log in a file that this process holds alone until the value is dropped.
#[derive(Debug)]
pub struct FileLog {
    path: PathBuf,
    file: File,
    header: Header,
    /// Byte at which the next frame is read or written.
    next: u64,
    /// Whether everything up to the end was read, so that `next` is the end.
    at_end: bool,
    broken: Option<String>,
    /// Held by who may write.
    lock: Option<File>,
}

impl FileLog {
    /// Opens the log at `path`, or makes it with a new identity if there is no file. Directories on the way are made.
    ///
    /// # Errors
    /// `Config` if another process holds it or the place can't be used, `Corrupt` if the header is damaged.
    pub fn open(path: impl Into<PathBuf>) -> Result<FileLog> {
        let path = path.into();
        let unusable = |e: std::io::Error| {
            Error::config(format!(
                "tick log file {}: can't be opened: {e}; make the directory writable or choose another",
                path.display()
            ))
        };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(unusable)?;
        }
        let lock = lock(&path)?;
        // What a crash in the middle of a cut, or of the first start, has left: never acknowledged.
        match std::fs::remove_file(beside(&path, "new")) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(unusable(e)),
            _ => {}
        }
        if !path.try_exists().map_err(unusable)? {
            let header = Header { log_id: random::nonce(), start: 0 };
            write_aside(&path, &header, &mut std::io::empty()).map_err(unusable)?;
            put_in_place(&path).map_err(unusable)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(unusable)?;
        let header = read_header(&mut file).map_err(unusable)?;
        FileLog::at(path, file, &header, Some(lock))
    }

    /// Opens the log at `path` to read what is there, beside whoever holds it. Nothing is made, locked or cut: a record that is not written
    /// to its end, since it is being written or was torn by a crash, ends what is read.
    ///
    /// # Errors
    /// `Config` if there is no log or it can't be read, `Corrupt` if the header is damaged.
    pub fn read_only(path: impl Into<PathBuf>) -> Result<FileLog> {
        let path = path.into();
        let unusable = |e: std::io::Error| {
            Error::config(format!("tick log file {}: can't be read: {e}", path.display()))
        };
        let mut file = File::open(&path).map_err(unusable)?;
        let header = read_header(&mut file).map_err(unusable)?;
        FileLog::at(path, file, &header, None)
    }

    /// At the first record of a file that begins with `header`.
    fn at(path: PathBuf, file: File, header: &[u8], lock: Option<File>) -> Result<FileLog> {
        let header = Header::decode(header)
            .map_err(|e| e.at(format_args!("tick log file {}", path.display())))?;
        Ok(FileLog { path, file, header, next: HEADER_LEN, at_end: false, broken: None, lock })
    }

    fn position(&self, byte: u64) -> Position {
        self.header.start + (byte - HEADER_LEN)
    }

    fn io<'a>(&'a self, what: &'a str) -> impl Fn(std::io::Error) -> Error + 'a {
        move |e| Error::new(Kind::Retry, format!("{}: {what} failed: {e}", self.describe()))
    }

    /// The file is not what was written, at `byte`.
    fn damaged(&self, byte: u64, what: &str) -> Error {
        Error::corrupt(format!(
            "{}: byte {byte}: {what}; restore the file from a copy, or begin a new job from a savepoint",
            self.describe()
        ))
    }

    /// No append any more; `e` was met while `what`.
    fn break_off(&mut self, what: &str, e: &std::io::Error) -> Error {
        self.broken = Some(format!("{what} failed: {e}"));
        self.undecided()
    }

    fn undecided(&self) -> Error {
        Error::new(
            Kind::Undecided,
            format!(
                "{}: {}; the records may be in it, the generation ends: see to the disk, then start again",
                self.describe(),
                self.broken.as_deref().unwrap_or("no answer")
            ),
        )
    }

    fn check_whole(&self) -> Result<()> {
        if self.lock.is_none() {
            let text = format!("{}: it was opened to be read only", self.describe());
            return Err(Error::internal(text));
        }
        if self.broken.is_some() { Err(self.undecided()) } else { Ok(()) }
    }

    /// Reads frames from `next` on.
    fn read_frames(&mut self, each: &mut dyn FnMut(Position, Record) -> Result<()>) -> Result<()> {
        let len = self.file.metadata().map_err(self.io("asking for the length"))?.len();
        let file = self.file.try_clone().map_err(self.io("reading"))?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        reader.seek(SeekFrom::Start(self.next)).map_err(self.io("reading"))?;
        let mut payload = Vec::new();
        while self.next < len {
            let left = len - self.next;
            if !read_frame(&mut reader, left, &mut payload).map_err(self.io("reading"))? {
                return self.end_badly(left);
            }
            let at = self.next;
            let record = Record::from_json(&payload).map_err(|e| {
                self.damaged(at, &format!("the checksum is right, but {}", e.message()))
            })?;
            self.next += FRAME_HEAD + payload.len() as u64;
            each(self.position(at), record)?;
        }
        self.at_end = true;
        Ok(())
    }

    /// What stands at `next` is no whole frame: cuts a torn tail, refuses anything else.
    fn end_badly(&mut self, left: u64) -> Result<()> {
        let mut rest = vec![0; usize::try_from(left).expect("a file in memory's reach")];
        self.file.read_exact_at(&mut rest, self.next).map_err(self.io("reading"))?;
        match frame::judge_tail(&rest) {
            Tail::Corrupt(what) => Err(self.damaged(self.next, &what)),
            // What is read ends before it.
            Tail::Torn if self.lock.is_none() => {
                self.at_end = true;
                Ok(())
            }
            Tail::Torn => {
                tracing::warn!(
                    "{}: byte {}: the last {left} bytes are a record that was not written to its end and never acknowledged; cut off",
                    self.describe(),
                    self.next
                );
                self.file.set_len(self.next).map_err(self.io("cutting the torn tail"))?;
                self.file.sync_all().map_err(self.io("cutting the torn tail"))?;
                self.at_end = true;
                Ok(())
            }
        }
    }
}

impl Log for FileLog {
    fn describe(&self) -> String {
        format!("tick log file {}", self.path.display())
    }

    fn log_id(&self) -> Nonce {
        self.header.log_id
    }

    fn read(&mut self, each: &mut dyn FnMut(Position, Record) -> Result<()>) -> Result<()> {
        // Nobody else writes: at the end there is nothing new.
        if self.at_end { Ok(()) } else { self.read_frames(each) }
    }

    fn append(&mut self, records: &[Record]) -> Result<Vec<Entry>> {
        self.check_whole()?;
        let mut entries = Vec::with_capacity(records.len());
        self.read(&mut |position, record| {
            entries.push(Entry { position, record, own: false });
            Ok(())
        })?;
        let mut bytes = Vec::new();
        for record in records {
            let position = self.position(self.next + bytes.len() as u64);
            let payload = record.to_json();
            if payload.len() > RECORD_BYTES_MAX {
                return Err(Error::config(format!(
                    "{}: {} has {} bytes, more than the {RECORD_BYTES_MAX} that a record may have; make ticks smaller",
                    self.describe(),
                    record.describe(),
                    payload.len()
                )));
            }
            frame::encode(&payload, &mut bytes);
            entries.push(Entry { position, record: record.clone(), own: true });
        }
        if let Err(e) = self.file.write_all_at(&bytes, self.next) {
            return Err(self.break_off("writing", &e));
        }
        if let Err(e) = self.file.sync_data() {
            return Err(self.break_off("the sync after writing", &e));
        }
        self.next += bytes.len() as u64;
        Ok(entries)
    }

    fn cut(&mut self, position: Position) -> Result<()> {
        self.check_whole()?;
        let byte = position.checked_sub(self.header.start).map(|at| at + HEADER_LEN);
        let byte = byte.filter(|byte| *byte < self.next).filter(|byte| self.is_state(*byte));
        let Some(byte) = byte else {
            return Err(Error::internal(format!(
                "{}: no state record at position {position}, so it can't be cut there",
                self.describe()
            )));
        };
        let header = Header { start: position, ..self.header };
        let mut source = self.file.try_clone().map_err(self.io("cutting"))?;
        source.seek(SeekFrom::Start(byte)).map_err(self.io("cutting"))?;
        let file = write_aside(&self.path, &header, &mut source.take(self.next - byte))
            .map_err(self.io("cutting"))?;
        if let Err(e) = put_in_place(&self.path) {
            // Which of the two files an append would go to is not known.
            return Err(self.break_off("cutting", &e));
        }
        self.file = file;
        self.header = header;
        self.next -= byte - HEADER_LEN;
        Ok(())
    }
}

impl FileLog {
    fn is_state(&self, byte: u64) -> bool {
        let mut head = [0; FRAME_HEAD as usize];
        if byte + FRAME_HEAD > self.next || self.file.read_exact_at(&mut head, byte).is_err() {
            return false;
        }
        let mut reader = BufReader::new(&self.file);
        let mut payload = Vec::new();
        reader.seek(SeekFrom::Start(byte)).is_ok()
            && read_frame(&mut reader, self.next - byte, &mut payload).unwrap_or(false)
            && matches!(Record::from_json(&payload), Ok(Record::State(_)))
    }
}

/// Reads one frame's payload of at most `left` bytes with its head. `false` if no whole frame with a right checksum stands there.
fn read_frame(reader: &mut impl Read, left: u64, payload: &mut Vec<u8>) -> std::io::Result<bool> {
    if left < FRAME_HEAD {
        return Ok(false);
    }
    let mut head = [0; FRAME_HEAD as usize];
    reader.read_exact(&mut head)?;
    let (len, sum) = frame::head(&head);
    if len == 0 || len as usize > RECORD_BYTES_MAX || u64::from(len) > left - FRAME_HEAD {
        return Ok(false);
    }
    payload.resize(len as usize, 0);
    reader.read_exact(payload)?;
    Ok(frame::sum(payload) == sum)
}

/// Writes and syncs a log with this header and these frames beside `path`, and gives it.
fn write_aside(path: &Path, header: &Header, frames: &mut impl Read) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    let mut file = options.open(beside(path, "new"))?;
    file.write_all(&header.encode())?;
    std::io::copy(frames, &mut file)?;
    file.sync_all()?;
    Ok(file)
}

/// Puts the log written aside in the place of `path`; a crash leaves the old one or the new one.
fn put_in_place(path: &Path) -> std::io::Result<()> {
    std::fs::rename(beside(path, "new"), path)?;
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Locks the log; the lock ends with the file that is given back, at the latest with the process.
fn lock(path: &Path) -> Result<File> {
    let beside = beside(path, "lock");
    let failed = |e: std::io::Error| {
        Error::config(format!("tick log file {}: can't be locked: {e}", path.display()))
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&beside)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(e)) => return Err(failed(e)),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let holder = match (&mut file).take(20).read_to_string(&mut holder) {
                Ok(_) if !holder.trim().is_empty() => format!("process {}", holder.trim()),
                _ => "another process".into(),
            };
            return Err(Error::config(format!(
                "tick log file {}: {holder} holds it, and a file log has one leader at a time; stop that process, or give this job a state directory of its own",
                path.display()
            )));
        }
    }
    // For whoever finds it locked; nothing depends on it.
    file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(file)
}

fn read_header(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(HEADER_LEN).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests;
