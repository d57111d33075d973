#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::sources::Transport as _;
use crate::sources::file::Files;
use std::io::Write;
use std::sync::mpsc;

const INLET: Inlet = Inlet(3);
const ALL: u64 = u64::MAX;
const PLENTY: Budget = Budget { records: 1000, bytes: 1 << 30 };

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new(content: impl AsRef<[u8]>) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), content).unwrap();
        Fixture { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("f")
    }

    fn append(&self, content: impl AsRef<[u8]>) {
        let mut file = File::options().append(true).open(self.path()).unwrap();
        file.write_all(content.as_ref()).unwrap();
    }

    fn reader(&self, followed: bool, next: u64) -> Box<dyn Reader> {
        self.try_reader(followed, next).unwrap()
    }

    fn try_reader(&self, followed: bool, next: u64) -> Result<Box<dyn Reader>> {
        let mut reader = Files::new(self.dir.path()).follow(followed).open(Arc::new(|| {}))?;
        reader.assign(INLET, "f", next)?;
        Ok(reader)
    }
}

type Found = Vec<(u64, u64, String)>;

fn poll(reader: &mut dyn Reader, limit: u64, budget: Budget) -> Result<(Polled, Found)> {
    let mut found = Vec::new();
    let polled = reader.poll(INLET, limit, budget, &mut |raw| {
        let text = String::from_utf8(raw.payload.unwrap().to_vec()).unwrap();
        found.push((raw.offset, raw.next, text));
        Ok(())
    })?;
    Ok((polled, found))
}

fn all(reader: &mut dyn Reader) -> (Polled, Found) {
    poll(reader, ALL, PLENTY).unwrap()
}

fn lines(found: &[(u64, u64, &str)]) -> Found {
    found.iter().map(|(offset, next, text)| (*offset, *next, (*text).to_owned())).collect()
}

#[test]
fn bounded_ends_where_the_file_ended_when_it_was_opened() {
    let fixture = Fixture::new("one\r\n\ntwo\nthree");
    let mut reader = fixture.reader(false, 0);
    fixture.append("more\n");
    let found = lines(&[(0, 5, "one"), (6, 10, "two"), (10, 15, "three")]);
    assert_eq!(all(&mut *reader), (Polled::Finished, found));
    assert_eq!(all(&mut *reader), (Polled::Finished, vec![]));
}

#[test]
fn any_offset_of_a_record_gives_the_rest_again() {
    let fixture = Fixture::new("one\r\n\ntwo\nthree");
    let (_, found) = all(&mut *fixture.reader(false, 0));
    for (at, (_, next, _)) in found.iter().enumerate() {
        assert_eq!(all(&mut *fixture.reader(false, *next)).1, found[at + 1..], "from {next}");
    }
}

#[test]
fn followed_waits_for_the_line_feed() {
    let fixture = Fixture::new("one\ntw");
    let mut reader = fixture.reader(true, 0);
    assert_eq!(all(&mut *reader), (Polled::CaughtUp, lines(&[(0, 4, "one")])));
    fixture.append("o");
    assert_eq!(all(&mut *reader), (Polled::CaughtUp, vec![]));
    fixture.append("\nthree\n");
    assert_eq!(all(&mut *reader), (Polled::CaughtUp, lines(&[(4, 8, "two"), (8, 14, "three")])));
}

#[test]
fn budget_and_limit_are_kept() {
    let fixture = Fixture::new("aaaa\nbb\ncc\ndd\n");
    let mut reader = fixture.reader(true, 0);
    let few = |records, bytes| Budget { records, bytes };
    let got = poll(&mut *reader, ALL, few(10, 1)).unwrap();
    assert_eq!(got, (Polled::More, lines(&[(0, 5, "aaaa")])), "the first however large");
    let got = poll(&mut *reader, 5, few(10, 100)).unwrap();
    assert_eq!(got, (Polled::Limit, vec![]));
    let got = poll(&mut *reader, ALL, few(1, 100)).unwrap();
    assert_eq!(got, (Polled::More, lines(&[(5, 8, "bb")])));
    let got = poll(&mut *reader, 11, few(10, 100)).unwrap();
    assert_eq!(got, (Polled::Limit, lines(&[(8, 11, "cc")])));
    let got = poll(&mut *reader, ALL, few(10, 100)).unwrap();
    assert_eq!(got, (Polled::CaughtUp, lines(&[(11, 14, "dd")])));
}

#[test]
fn after_an_error_the_record_counts_as_given() {
    let fixture = Fixture::new("a\nb\nc\n");
    let mut reader = fixture.reader(true, 0);
    let mut calls = 0;
    let error = reader
        .poll(INLET, ALL, PLENTY, &mut |_| {
            calls += 1;
            if calls == 2 { Err(Error::internal("stop")) } else { Ok(()) }
        })
        .unwrap_err();
    assert_eq!((calls, error.message()), (2, "stop"));
    assert_eq!(all(&mut *reader).1, lines(&[(4, 6, "c")]));
}

#[test]
fn a_last_line_that_got_its_line_feed_later_is_replayed_as_it_was() {
    let fixture = Fixture::new("one\ntwo");
    assert_eq!(all(&mut *fixture.reader(false, 0)).1[1], (4, 7, "two".to_owned()));
    fixture.append("\r\nthree\n");
    let mut reader = fixture.reader(false, 0);
    let (polled, found) = poll(&mut *reader, 7, PLENTY).unwrap();
    assert_eq!((polled, found), (Polled::Limit, lines(&[(0, 4, "one"), (4, 7, "two")])));
    assert_eq!(all(&mut *fixture.reader(false, 7)).1, lines(&[(9, 15, "three")]));
}

#[test]
fn changed_files_are_named_with_wanted_and_size() {
    let changed = |result: Result<(Polled, Found)>, parts: &[&str]| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), Kind::SourceChanged, "{error}");
        for part in parts.iter().chain(&["/f: "]) {
            assert!(error.message().contains(part), "{part:?} in {error}");
        }
    };
    let caught_up = |content: &str| {
        let fixture = Fixture::new(content);
        let mut reader = fixture.reader(true, 0);
        assert_eq!(all(&mut *reader).0, Polled::CaughtUp);
        (fixture, reader)
    };

    let (fixture, mut reader) = caught_up("one\ntwo\n");
    File::options().write(true).open(fixture.path()).unwrap().set_len(3).unwrap();
    changed(poll(&mut *reader, ALL, PLENTY), &["wanted offset 8", "size 3"]);

    let (fixture, mut reader) = caught_up("one\ntwo\n");
    fs::write(fixture.dir.path().join("g"), "other contents\n").unwrap();
    fs::rename(fixture.dir.path().join("g"), fixture.path()).unwrap();
    changed(poll(&mut *reader, ALL, PLENTY), &["replaced", "size 15", "wanted offset 8"]);

    let (fixture, mut reader) = caught_up("one\ntwo\n");
    fs::remove_file(fixture.path()).unwrap();
    changed(poll(&mut *reader, ALL, PLENTY), &["removed", "wanted offset 8"]);

    let fixture = Fixture::new("one\ntwo\n");
    let reopened = |next| fixture.try_reader(true, next).map(|_| unreachable!("refused"));
    changed(reopened(9), &["wanted offset 9", "size 8"]);
    changed(reopened(2), &["offset 2 is not at the start of a line", "size 8"]);

    let mut reader = fixture.reader(true, 4);
    changed(poll(&mut *reader, 20, PLENTY), &["wanted offset 20", "size 8"]);

    let mut reader = fixture.reader(false, 0);
    File::options().write(true).open(fixture.path()).unwrap().set_len(5).unwrap();
    changed(poll(&mut *reader, ALL, PLENTY), &["wanted offset 8", "size 5"]);
}

#[test]
fn a_line_without_end_neither_holds_the_worker_nor_fills_memory() {
    let fixture = Fixture::new("");
    let long = PAYLOAD_BYTES_MAX + 8 * BLOCK;
    fs::write(fixture.path(), "x".repeat(long)).unwrap();
    fixture.append("\nnext\n");
    let mut reader = fixture.reader(true, 0);
    let (mut polls, mut found) = (0, Vec::new());
    loop {
        let (polled, more) = all(&mut *reader);
        polls += 1;
        found.extend(more);
        if polled == Polled::CaughtUp {
            break;
        }
    }
    assert!(polls > 2, "{polls} polls for {long} bytes");
    let next = long as u64 + 1;
    assert_eq!((found[0].0, found[0].1, found[0].2.len()), (0, next, PAYLOAD_BYTES_MAX + 1));
    assert_eq!(found[1..], lines(&[(next, next + 5, "next")]));
}

#[test]
fn growth_wakes_the_worker() {
    let fixture = Fixture::new("one\n");
    let (sender, woken) = mpsc::channel();
    let waker = move || {
        let _ = sender.send(());
    };
    let mut reader = Files::new(fixture.path()).follow(true).open(Arc::new(waker)).unwrap();
    reader.assign(INLET, "f", 0).unwrap();
    assert_eq!(all(&mut *reader).0, Polled::CaughtUp);
    assert!(woken.try_recv().is_err(), "nothing has grown");
    fixture.append("two\n");
    woken.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(all(&mut *reader), (Polled::CaughtUp, lines(&[(4, 8, "two")])));
}

#[test]
fn of_many_files_few_are_open_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let count = 3 * u16::try_from(OPEN_KEPT).unwrap();
    let path = |number: u16| dir.path().join(number.to_string());
    let open = || {
        let links = fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
        links.filter(|link| link.starts_with(dir.path())).count()
    };
    for number in 0..count {
        fs::write(path(number), "one\n").unwrap();
    }
    let mut reader = Files::new(dir.path()).follow(true).open(Arc::new(|| {})).unwrap();
    for number in 0..count {
        reader.assign(Inlet(number), &number.to_string(), 0).unwrap();
    }
    assert!(open() <= OPEN_KEPT, "{} open", open());
    let mut read = |number: u16, expected: &str| {
        let mut found = String::new();
        let polled = reader.poll(Inlet(number), ALL, PLENTY, &mut |raw| {
            found.push_str(std::str::from_utf8(raw.payload.unwrap()).unwrap());
            Ok(())
        });
        assert_eq!((polled, found.as_str()), (Ok(Polled::CaughtUp), expected), "file {number}");
    };
    for number in 0..count {
        read(number, "one");
    }
    assert!(open() <= OPEN_KEPT, "{} open", open());
    for number in 0..count {
        let mut file = File::options().append(true).open(path(number)).unwrap();
        file.write_all(b"two\n").unwrap();
        read(number, "two");
    }
    fs::remove_file(path(count - 1)).unwrap();
    let polled = reader.poll(Inlet(count - 1), ALL, PLENTY, &mut |_| Ok(()));
    assert_eq!(polled.unwrap_err().kind(), Kind::SourceChanged);
}
