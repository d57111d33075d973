#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::ids::{Generation, Lane, Nonce};
use crate::sinks::Row;
use std::collections::BTreeMap;
use std::io;

/// A stream that takes everything but, once, an error.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    fail: Option<ErrorKind>,
}

impl Write for &mut Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.fail.take() {
            Some(kind) => Err(kind.into()),
            None => self.bytes.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn identity() -> Identity {
    Identity {
        job: "job".into(),
        program: "program".into(),
        generation: Generation(1),
        nonce: Nonce(1),
    }
}

fn tick(tick: u64, values: &[&str]) -> LaneTick {
    let value = |value: &&str| Some(value.to_string().into());
    let row = |text| Row { shard: 0, key: None, diff: 1, value: value(text) };
    LaneTick {
        lane: Lane(1),
        tick,
        rows: values.iter().map(row).collect(),
        next_offsets: BTreeMap::new(),
        watermarks: BTreeMap::new(),
    }
}

#[test]
fn writes_each_row_once_in_a_process() {
    let mut stream = Stream::default();
    let mut writer = StreamWriter::new(&mut stream, "out");
    assert_eq!(writer.fence(&identity(), 2).unwrap(), [None, None]);
    writer.write(&[tick(1, &["a", "b"]), tick(2, &[])]).unwrap();
    let progress = writer.fence(&identity(), 2).unwrap();
    assert_eq!(progress[1].as_ref().map(|progress| progress.tick), Some(2));
    writer.write(&[tick(2, &[]), tick(3, &["c"])]).unwrap();
    drop(writer);
    assert_eq!(stream.bytes, b"a\nb\nc\n");
    let mut again = StreamWriter::new(&mut stream, "out");
    assert_eq!(again.fence(&identity(), 1).unwrap(), [None], "another process knows nothing");
}

#[test]
fn a_closed_pipe_ends_it_and_anything_else_is_undecided() {
    for (fail, kind) in
        [(ErrorKind::BrokenPipe, Kind::Config), (ErrorKind::StorageFull, Kind::Undecided)]
    {
        let mut stream = Stream { fail: Some(fail), ..Stream::default() };
        let mut writer = StreamWriter::new(&mut stream, "out");
        writer.fence(&identity(), 2).unwrap();
        assert_eq!(writer.write(&[tick(1, &["a"])]).unwrap_err().kind(), kind);
        writer.write(&[tick(1, &["a"])]).unwrap();
        drop(writer);
        assert_eq!(stream.bytes, b"a\n");
    }
}
