#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::ticks::counts::Counter;
use crate::ticks::fixtures::*;
use crate::ticks::log::read_and_count;
use std::fs;
use tempfile::TempDir;

fn at(dir: &TempDir) -> PathBuf {
    dir.path().join("state/tick.log")
}

fn open_log(dir: &TempDir) -> FileLog {
    FileLog::open(at(dir)).unwrap()
}

fn all(log: &mut FileLog) -> Result<Vec<(Position, Record)>> {
    let mut seen = Vec::new();
    log.read(&mut |position, record| {
        seen.push((position, record));
        Ok(())
    })?;
    Ok(seen)
}

fn records(log: &mut FileLog) -> Result<Vec<Record>> {
    Ok(all(log)?.into_iter().map(|(_, record)| record).collect())
}

/// A log of these records, its bytes, and the byte after each record.
fn written(dir: &TempDir, records: &[Record]) -> (Vec<u8>, Vec<usize>) {
    let mut log = open_log(dir);
    let ends = records.iter().map(|record| {
        log.append(std::slice::from_ref(record)).unwrap();
        fs::metadata(at(dir)).unwrap().len() as usize
    });
    let ends = ends.collect();
    (fs::read(at(dir)).unwrap(), ends)
}

#[test]
fn what_was_appended_is_read_again_under_the_same_id() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open_log(&dir);
    let id = log.log_id();
    assert_eq!(all(&mut log).unwrap(), []);
    let first = log.append(&[open(1)]).unwrap();
    let group = log.append(&[tick(1, 1), tick(1, 2)]).unwrap();
    let entries: Vec<_> = first.into_iter().chain(group).collect();
    assert!(entries.iter().all(|e| e.own));
    assert_eq!(all(&mut log).unwrap(), [], "what one has appended is known");
    drop(log);

    let mut log = open_log(&dir);
    assert_eq!(log.log_id(), id);
    let expected: Vec<_> = entries.into_iter().map(|e| (e.position, e.record)).collect();
    assert_eq!(all(&mut log).unwrap(), expected);
}

#[test]
fn an_append_reads_what_was_not_read() {
    let dir = tempfile::tempdir().unwrap();
    open_log(&dir).append(&[open(1), tick(1, 1)]).unwrap();
    let given = open_log(&dir).append(&[open(2)]).unwrap();
    let own: Vec<_> = given.iter().map(|e| (e.own, e.record.clone())).collect();
    assert_eq!(own, [(false, open(1)), (false, tick(1, 1)), (true, open(2))]);

    let mut log = open_log(&dir);
    let stopped = log.read(&mut |_, _| Err(Error::internal("stop")));
    assert_eq!(stopped.unwrap_err().message(), "stop");
    let given = log.append(&[open(3)]).unwrap();
    let rest: Vec<_> = given.into_iter().map(|e| e.record).collect();
    assert_eq!(rest, [tick(1, 1), open(2), open(3)], "from where the reader stopped");
}

#[test]
fn one_holder_at_a_time_and_the_other_is_told_who() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_log(&dir);
    let error = FileLog::open(at(&dir)).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains(&format!("process {}", std::process::id())), "{error}");
    drop(log);
    open_log(&dir);
}

/// A crash at any byte of the last records: what was acknowledged is there, the rest is cut, and the log goes on.
#[test]
fn a_torn_tail_is_cut_at_any_byte() {
    let dir = tempfile::tempdir().unwrap();
    let log = [open(1), tick(1, 1), snapshot(1, 1), tick(1, 2)];
    let (bytes, ends) = written(&dir, &log);
    for len in ends[1]..bytes.len() {
        for zeros in [0, 9] {
            fs::write(at(&dir), [&bytes[..len], &vec![0; zeros]].concat()).unwrap();
            let whole = ends.iter().filter(|end| **end <= len).count();
            let mut torn = open_log(&dir);
            assert_eq!(records(&mut torn).unwrap(), log[..whole], "{len} bytes, {zeros} zeros");
            torn.append(&[open(2)]).unwrap();
            drop(torn);
            let expected = [&log[..whole], &[open(2)]].concat();
            assert_eq!(records(&mut open_log(&dir)).unwrap(), expected);
        }
    }
}

/// What is read beside a holder is what is whole; no byte of the file changes, nothing is made beside it, nothing can be written.
#[test]
fn a_log_is_read_beside_its_holder_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let log = [open(1), tick(1, 1), tick(1, 2)];
    let (bytes, ends) = written(&dir, &log);
    let held = open_log(&dir);
    let beside = || {
        let names = fs::read_dir(at(&dir).parent().unwrap()).unwrap();
        names.map(|entry| entry.unwrap().file_name()).collect::<std::collections::BTreeSet<_>>()
    };
    let names = beside();
    for len in ends[0]..=bytes.len() {
        fs::write(at(&dir), &bytes[..len]).unwrap();
        let whole = ends.iter().filter(|end| **end <= len).count();
        let mut read = FileLog::read_only(at(&dir)).unwrap();
        assert_eq!(records(&mut read).unwrap(), log[..whole], "{len} bytes");
        assert_eq!(read.append(&[open(2)]).unwrap_err().kind(), Kind::Internal);
        assert_eq!(fs::read(at(&dir)).unwrap(), bytes[..len]);
    }
    assert_eq!(beside(), names);
    drop(held);
    let none = dir.path().join("nowhere/tick.log");
    assert_eq!(FileLog::read_only(&none).unwrap_err().kind(), Kind::Config);
    assert!(!none.parent().unwrap().exists());
}

/// Damage of any byte is refused with file and byte, and nothing before it is given wrong.
#[test]
fn any_flipped_byte_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let log = [open(1), tick(1, 1), tick(1, 2)];
    let (bytes, ends) = written(&dir, &log);
    for byte in 0..bytes.len() {
        for flip in [0x01, 0x40, 0xff] {
            let mut damaged = bytes.clone();
            damaged[byte] ^= flip;
            fs::write(at(&dir), &damaged).unwrap();
            let record = ends.iter().filter(|end| **end <= byte).count();
            let begin = if byte < 32 { 0 } else { record.checked_sub(1).map_or(32, |r| ends[r]) };
            let mut seen = Vec::new();
            let error = FileLog::open(at(&dir))
                .and_then(|mut damaged| {
                    damaged.read(&mut |_, record| {
                        seen.push(record);
                        Ok(())
                    })
                })
                .unwrap_err();
            assert_eq!(error.kind(), Kind::Corrupt, "byte {byte} ^ {flip}: {error}");
            let place = format!("{}: byte {begin}:", at(&dir).display());
            assert!(error.message().contains(&place), "{place}: {error}");
            assert_eq!(seen, log[..record]);
            assert_eq!(fs::read(at(&dir)).unwrap(), damaged, "a refused log is left alone");
        }
    }
}

#[test]
fn a_whole_frame_that_is_no_record_is_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let (mut bytes, ends) = written(&dir, &[open(1)]);
    frame::encode(br#"{"type":"grow"}"#, &mut bytes);
    fs::write(at(&dir), bytes).unwrap();
    let error = all(&mut open_log(&dir)).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.message().contains(&format!("byte {}: ", ends[0])), "{error}");
}

/// A failed write or sync ends it: not even a disk that works again gets another append from this holder.
#[test]
fn after_a_failed_write_nothing_is_appended() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open_log(&dir);
    log.append(&[open(1)]).unwrap();
    let good = std::mem::replace(&mut log.file, File::open(at(&dir)).unwrap());
    assert_eq!(log.append(&[tick(1, 1)]).unwrap_err().kind(), Kind::Undecided);
    log.file = good;
    let error = log.append(&[tick(1, 1)]).unwrap_err();
    assert_eq!(error.kind(), Kind::Undecided);
    assert!(error.message().contains("writing failed"), "{error}");
    assert_eq!(log.cut(0).unwrap_err().kind(), Kind::Undecided);
    drop(log);
    assert_eq!(records(&mut open_log(&dir)).unwrap(), [open(1)]);
}

#[test]
fn a_cut_keeps_positions_and_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open_log(&dir);
    let id = log.log_id();
    let whole = [open(1), tick(1, 1), state(1, 1), tick(1, 2), state(1, 2)];
    let entries = log.append(&whole).unwrap();
    let place = |i: usize| entries[i].position;
    for wrong in [place(1), place(2) + 1, place(4) + 1000] {
        assert_eq!(log.cut(wrong).unwrap_err().kind(), Kind::Internal);
    }
    // No room aside: not cut, and all goes on.
    let aside = beside(&at(&dir), "new");
    fs::create_dir(&aside).unwrap();
    assert_eq!(log.cut(place(2)).unwrap_err().kind(), Kind::Retry);
    fs::remove_dir(&aside).unwrap();
    let before = fs::metadata(at(&dir)).unwrap().len();
    log.cut(place(2)).unwrap();
    assert_eq!(fs::metadata(at(&dir)).unwrap().len(), before - place(2));
    let next = log.append(&[tick(1, 3)]).unwrap().remove(0);
    log.cut(place(4)).unwrap();
    drop(log);
    let mut log = open_log(&dir);
    assert_eq!(log.log_id(), id);
    assert_eq!(all(&mut log).unwrap(), [(place(4), state(1, 2)), (next.position, tick(1, 3))]);
    let mut counter = Counter::new();
    read_and_count(&mut open_log_again(log, &dir), &mut counter).unwrap();
    assert_eq!((counter.last_tick(), counter.reaches_back_to()), (3, 2));
}

fn open_log_again(log: FileLog, dir: &TempDir) -> FileLog {
    drop(log);
    open_log(dir)
}

/// A crash in the middle of a cut, or of the first start: the file aside is in any state, the log is the old one.
#[test]
fn what_a_crash_left_aside_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, _) = written(&dir, &[open(1), tick(1, 1)]);
    let aside = beside(&at(&dir), "new");
    for len in [0, 10, bytes.len()] {
        fs::write(&aside, &bytes[..len]).unwrap();
        assert_eq!(records(&mut open_log(&dir)).unwrap(), [open(1), tick(1, 1)]);
        assert!(!aside.exists());
    }
    fs::remove_file(at(&dir)).unwrap();
    fs::write(&aside, &bytes[..10]).unwrap();
    assert_eq!(records(&mut open_log(&dir)).unwrap(), []);
}

#[test]
fn a_lost_log_comes_back_with_another_id() {
    let dir = tempfile::tempdir().unwrap();
    let id = open_log(&dir).log_id();
    fs::remove_file(at(&dir)).unwrap();
    assert_ne!(open_log(&dir).log_id(), id);
}
