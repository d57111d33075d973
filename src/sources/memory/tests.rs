#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

const ALL: u64 = u64::MAX;
const PLENTY: Budget = Budget { records: 10_000, bytes: 1 << 20 };

fn reader(topic: &MemoryTopic, next: u64) -> Result<Box<dyn Reader>> {
    let mut reader = topic.open(Arc::new(|| {}))?;
    reader.assign(Inlet(2), "p", next)?;
    Ok(reader)
}

fn poll(reader: &mut dyn Reader, limit: u64, budget: Budget) -> Result<(Polled, Vec<u64>)> {
    let mut found = Vec::new();
    let polled = reader.poll(Inlet(2), limit, budget, &mut |raw| {
        assert_eq!(raw.payload.unwrap(), raw.offset.to_string().as_bytes());
        found.push(raw.offset);
        Ok(())
    })?;
    Ok((polled, found))
}

fn topic(records: u64) -> MemoryTopic {
    let topic = MemoryTopic::new();
    topic.create("p");
    for offset in 0..records {
        assert_eq!(topic.push("p", None, Some(offset.to_string().as_bytes())), offset);
    }
    topic
}

#[test]
fn gives_what_was_pushed_to_one_reader_after_another() {
    let topic = topic(1_000);
    let mut first = reader(&topic, 0).unwrap();
    assert_eq!(poll(&mut *first, ALL, PLENTY).unwrap(), (Polled::CaughtUp, (0..1_000).collect()));
    drop(first);
    let mut second = reader(&topic, 998).unwrap();
    assert_eq!(second.lag(Inlet(2)), Some(2));
    topic.push("p", None, Some(b"1000"));
    topic.finish_all();
    assert_eq!(poll(&mut *second, ALL, PLENTY).unwrap(), (Polled::Finished, vec![998, 999, 1000]));
}

#[test]
fn keeps_budget_and_limit() {
    let topic = topic(6);
    let mut reader = reader(&topic, 0).unwrap();
    let budget = |records, bytes| Budget { records, bytes };
    assert_eq!(poll(&mut *reader, ALL, budget(2, 100)).unwrap(), (Polled::More, vec![0, 1]));
    assert_eq!(poll(&mut *reader, ALL, budget(9, 0)).unwrap(), (Polled::More, vec![2]));
    assert_eq!(poll(&mut *reader, 4, PLENTY).unwrap(), (Polled::Limit, vec![3]));
    assert_eq!(poll(&mut *reader, 4, PLENTY).unwrap(), (Polled::Limit, vec![]));
    topic.down(true);
    assert_eq!(poll(&mut *reader, ALL, PLENTY).unwrap(), (Polled::Waiting, vec![]));
    topic.down(false);
    assert_eq!(poll(&mut *reader, ALL, PLENTY).unwrap(), (Polled::CaughtUp, vec![4, 5]));
}

#[test]
fn every_change_wakes_every_reader_that_is_open() {
    let topic = topic(1);
    let woken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&woken);
    let waker: Waker = Arc::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let (one, two) = (topic.open(Arc::clone(&waker)).unwrap(), topic.open(waker).unwrap());
    topic.push("p", None, None);
    assert_eq!(woken.load(Ordering::SeqCst), 2);
    drop(one);
    topic.push("q", None, None);
    topic.finish("q");
    assert_eq!(woken.load(Ordering::SeqCst), 4);
    drop(two);
    topic.push("p", None, None);
    assert_eq!(woken.load(Ordering::SeqCst), 4);
}

#[test]
fn what_is_gone_is_named() {
    let topic = topic(5);
    let refused = |result: Result<()>, parts: &[&str]| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), Kind::SourceChanged);
        assert!(parts.iter().all(|part| error.message().contains(part)), "{error}");
    };
    refused(
        reader(&topic, 6).map(drop),
        &["partition p", "wanted offset 6", "earliest 0", "latest 5"],
    );
    let mut behind = reader(&topic, 1).unwrap();
    topic.trim("p", 3);
    refused(reader(&topic, 2).map(drop), &["wanted offset 2", "earliest 3", "latest 5"]);
    refused(poll(&mut *behind, ALL, PLENTY).map(drop), &["wanted offset 1", "earliest 3"]);
    assert_eq!(topic.discover().unwrap(), [Partition { name: "p".into(), start: 3 }]);
    assert_eq!(poll(&mut *reader(&topic, 3).unwrap(), ALL, PLENTY).unwrap().1, [3, 4]);
    topic.finish("p");
    refused(poll(&mut *reader(&topic, 3).unwrap(), 9, PLENTY).map(drop), &["latest 5"]);
}

#[test]
fn rewritten_records_are_read_as_they_are_now() {
    let topic = topic(2);
    topic.rewrite("p", 1, Some(b"other"));
    let mut payloads = Vec::new();
    let mut each = |raw: Raw<'_>| {
        payloads.push(raw.payload.map(<[u8]>::to_vec));
        Ok(())
    };
    reader(&topic, 0).unwrap().poll(Inlet(2), ALL, PLENTY, &mut each).unwrap();
    assert_eq!(payloads, [Some(b"0".to_vec()), Some(b"other".to_vec())]);
}

#[test]
fn while_it_is_down_nothing_opens() {
    let topic = topic(1);
    topic.down(true);
    assert_eq!(topic.discover().unwrap_err().kind(), Kind::Retry);
    assert_eq!(reader(&topic, 0).map(drop).unwrap_err().kind(), Kind::Retry);
}
