#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::error::Kind;
use crate::ids::{Generation, Nonce};
use crate::sinks::{Row, contract};
use expect_test::expect;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("out")
    }

    fn writer(&self) -> FileWriter {
        FileWriter::new(self.path(), "out")
    }

    /// What a reader sees: every file and what is in it, by name.
    fn seen(&self) -> BTreeMap<String, String> {
        let Ok(entries) = fs::read_dir(self.path()) else {
            return BTreeMap::new();
        };
        let entries = entries.map(Result::unwrap).filter(|entry| entry.path().is_file());
        let read = |entry: fs::DirEntry| {
            let text = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        };
        entries.map(read).collect()
    }

    fn lines(&self) -> Vec<String> {
        self.seen().values().flat_map(|text| text.lines().map(str::to_owned)).collect()
    }
}

impl contract::Target for Files {
    fn writer(&self) -> Box<dyn Writer> {
        Box::new(self.writer())
    }

    fn committed(&self) -> Vec<Vec<u8>> {
        self.lines().into_iter().map(String::into_bytes).collect()
    }
}

/// A disk on which the process dies before its step number `left`, half way through if that writes.
struct Dying {
    left: usize,
    steps: Arc<Mutex<Vec<String>>>,
}

impl Dying {
    fn step(&mut self, what: &str, path: &Path) -> io::Result<()> {
        let Some(left) = self.left.checked_sub(1) else {
            return Err(io::Error::other("dead"));
        };
        self.left = left;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.steps.lock().unwrap().push(format!("{what} {name}"));
        Ok(())
    }
}

impl Disk for Dying {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.step("write", path) {
            System.write(path, &bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        System.write(path, bytes)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step("rename to", to)?;
        System.rename(from, to)
    }

    fn sync(&mut self, directory: &Path) -> io::Result<()> {
        self.step("sync", directory)?;
        System.sync(directory)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.step("remove", path)?;
        System.remove(path)
    }
}

fn identity(generation: u64) -> Identity {
    Identity {
        job: "job".into(),
        program: "program".into(),
        generation: Generation(generation),
        nonce: Nonce(generation),
    }
}

fn tick(tick: u64) -> LaneTick {
    // Every third tick has no rows.
    let rows = (0..tick % 3).map(|number| {
        let value = Some(format!("[{tick},{number}]").into());
        Row { shard: 0, key: None, diff: 1, value }
    });
    LaneTick {
        lane: Lane(0),
        tick,
        rows: rows.collect(),
        next_offsets: BTreeMap::new(),
        watermarks: BTreeMap::new(),
    }
}

fn ticks(range: std::ops::RangeInclusive<u64>) -> Vec<LaneTick> {
    range.map(tick).collect()
}

fn expected(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    let rows = range.flat_map(|number| tick(number).rows);
    rows.map(|row| String::from_utf8(row.value.unwrap().into()).unwrap()).collect()
}

fn held(progress: &[Option<Progress>]) -> u64 {
    progress[0].as_ref().map_or(0, |progress| progress.tick)
}

#[test]
fn keeps_the_contract() {
    contract::check(|| Box::new(Files::new()));
}

#[test]
fn names_and_contents_are_as_documented() {
    let files = Files::new();
    let mut writer = files.writer();
    writer.fence(&identity(7), 2).unwrap();
    writer.write(&ticks(1..=2)).unwrap();
    writer.write(&ticks(3..=3)).unwrap();
    writer.write(&[LaneTick { lane: Lane(1), ..tick(4) }]).unwrap();
    let seen = files.seen();
    let seen: Vec<_> = seen.iter().map(|(name, text)| format!("{name}: {text}")).collect();
    expect![[r#"
        00000-00000000000000000001-00000000000000000002.jsonl: [1,0]
        [2,0]
        [2,1]
        00001-00000000000000000004-00000000000000000004.jsonl: [4,0]
    "#]]
    .assert_eq(&seen.concat());
    let own = |name: &str| fs::read_to_string(files.path().join(".tidemark").join(name)).unwrap();
    expect![[r#"
        {"format":1,"job":"job","sink":"out","generation":7,"nonce":"0000000000000007"}
        {"format":1,"file":null,"progress":{"job":"job","sink":"out","lane":0,"program":"program","generation":7,"nonce":"0000000000000007","tick":3,"rows":0,"digest":0,"last":true,"next_offsets":{},"watermarks":{}}}
        {"format":1,"file":"00001-00000000000000000004-00000000000000000004.jsonl","progress":{"job":"job","sink":"out","lane":1,"program":"program","generation":7,"nonce":"0000000000000007","tick":4,"rows":1,"digest":10101342825238088095,"last":true,"next_offsets":{},"watermarks":{}}}
    "#]]
        .assert_eq(&(own("mark.json") + &own("lane-00000.json") + &own("lane-00001.json")));
}

/// Whatever step a process dies at, and however its successor groups the ticks: each row is there once, and a reader never sees
/// a file go or change.
#[test]
fn a_death_at_any_step_loses_and_repeats_nothing() {
    let mut deaths = 0;
    for died_at in 0.. {
        let files = Files::new();
        let mut first = files.writer();
        first.fence(&identity(1), 1).unwrap();
        first.write(&ticks(1..=3)).unwrap();
        drop(first);

        let disk = Dying { left: died_at, steps: Arc::default() };
        let mut dying = Inner::new(disk, files.path(), "out", LOCK_WAIT);
        let end = dying
            .fence(&identity(2), 1)
            .and_then(|progress| {
                assert_eq!(held(&progress), 3);
                dying.write(&ticks(4..=6))
            })
            .and_then(|()| dying.write(&ticks(7..=8)));
        drop(dying);
        let before = files.seen();

        let mut next = files.writer();
        let from = held(&next.fence(&identity(3), 1).unwrap());
        let reached = [3, 6, 8];
        assert!(reached.contains(&from), "died at {died_at}: progress {from}");
        let after = files.seen();
        assert!(
            before.iter().all(|(name, text)| after.get(name) == Some(text)),
            "died at {died_at}"
        );
        assert_eq!(files.lines(), expected(1..=from), "died at {died_at}");
        next.write(&ticks(from + 1..=5.max(from))).unwrap();
        next.write(&ticks(5.max(from) + 1..=9)).unwrap();
        assert_eq!(files.lines(), expected(1..=9), "died at {died_at}");
        let left = fs::read_dir(files.path().join(".tidemark")).unwrap().count();
        assert_eq!(left, 3, "lock, mark and one lane after a death at {died_at}");

        match end {
            Ok(()) => break,
            Err(error) => {
                let retry = error.kind() == Kind::Retry;
                assert!(retry || error.kind() == Kind::Undecided, "died at {died_at}: {error}");
                if retry {
                    assert_eq!(
                        from,
                        held_before(&before),
                        "died at {died_at}: a retry did not happen"
                    );
                }
                deaths += 1;
            }
        }
    }
    assert!(deaths > 15, "{deaths} steps");
}

/// The last tick of the last file seen, at least 3.
fn held_before(seen: &BTreeMap<String, String>) -> u64 {
    let name = seen.keys().last().unwrap();
    let last: u64 = name[27..47].parse().unwrap();
    last.max(3)
}

#[test]
fn what_is_named_is_on_the_disk_before_what_names_it() {
    let files = Files::new();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let disk = Dying { left: usize::MAX, steps: Arc::clone(&steps) };
    let mut writer = Inner::new(disk, files.path(), "out", LOCK_WAIT);
    writer.fence(&identity(1), 1).unwrap();
    steps.lock().unwrap().clear();
    writer.write(&ticks(1..=2)).unwrap();
    expect![[r#"
        write 00000-00000000000000000001-00000000000000000002.jsonl
        write lane-00000.json.new
        sync .tidemark
        rename to lane-00000.json
        sync .tidemark
        rename to 00000-00000000000000000001-00000000000000000002.jsonl
        sync out"#]]
    .assert_eq(&steps.lock().unwrap().join("\n"));
}

#[test]
fn files_that_a_reader_took_away_are_not_missed() {
    let files = Files::new();
    let mut writer = files.writer();
    writer.fence(&identity(1), 1).unwrap();
    writer.write(&ticks(1..=2)).unwrap();
    for name in files.seen().keys() {
        fs::remove_file(files.path().join(name)).unwrap();
    }
    let mut next = files.writer();
    assert_eq!(held(&next.fence(&identity(2), 1).unwrap()), 2);
    next.write(&ticks(1..=4)).unwrap();
    assert_eq!(files.lines(), expected(3..=4));
}

#[test]
fn ticks_without_rows_make_no_file() {
    let files = Files::new();
    let mut writer = files.writer();
    writer.fence(&identity(1), 1).unwrap();
    writer.write(&[tick(3), tick(6)]).unwrap();
    assert!(files.seen().is_empty());
    assert_eq!(held(&files.writer().fence(&identity(2), 1).unwrap()), 6);
}

#[test]
fn lines_of_upserts_have_their_key() {
    let files = Files::new();
    let mut writer = files.writer().keyed(true);
    writer.fence(&identity(1), 1).unwrap();
    let mut upserts = tick(2);
    upserts.rows[0].key = Some(b"1"[..].into());
    upserts.rows[1] = Row { shard: 0, key: Some(b"2"[..].into()), diff: 1, value: None };
    writer.write(&[upserts]).unwrap();
    assert_eq!(files.lines(), [r#"{"key":1,"value":[2,0]}"#, r#"{"key":2,"value":null}"#]);
}

#[test]
fn damage_and_strangers_are_named() {
    let files = Files::new();
    files.writer().fence(&identity(1), 1).unwrap();
    files.writer().fence(&identity(2), 1).unwrap();
    let fence =
        |sink: &str| FileWriter::new(files.path(), sink).fence(&identity(3), 1).unwrap_err();
    let error = fence("other");
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains("belongs to sink out of job job"), "{error}");

    let mark = files.path().join(".tidemark/mark.json");
    let text = fs::read_to_string(&mark).unwrap();
    fs::write(&mark, text.replace("\"format\":1", "\"format\":2")).unwrap();
    let error = fence("out");
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains("mark.json: has format 2"), "{error}");

    fs::write(&mark, &text[..text.len() / 2]).unwrap();
    let error = fence("out");
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.message().contains("mark.json"), "{error}");

    let file = Files::new();
    fs::write(file.path(), "").unwrap();
    assert_eq!(file.writer().fence(&identity(1), 1).unwrap_err().kind(), Kind::Config);
}
