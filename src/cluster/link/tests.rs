#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;

fn frame(bytes: usize) -> Arc<[u8]> {
    vec![0; bytes].into()
}

#[test]
fn the_queue_is_bounded_in_bytes_until_they_are_written() {
    let queue = Queue::new(10);
    assert_eq!(queue.push(&frame(12)), Ok(()), "one alone may always wait");
    assert_eq!(queue.push(&frame(1)), Err(Full::Bytes(12)));
    let frames = queue.take().unwrap();
    assert_eq!(queue.push(&frame(1)), Err(Full::Bytes(12)), "they are being written");
    queue.sent(&frames);
    assert_eq!(queue.push(&frame(4)), Ok(()));
    assert_eq!(queue.push(&frame(6)), Ok(()));
    assert_eq!(queue.push(&frame(1)), Err(Full::Bytes(10)));
}

#[test]
fn a_closed_queue_gives_what_it_has_and_takes_no_more() {
    let queue = Queue::new(10);
    queue.push(&frame(3)).unwrap();
    queue.close();
    assert_eq!(queue.push(&frame(1)), Err(Full::Closed));
    assert_eq!(queue.take().map(|frames| frames.len()), Some(1));
    assert!(queue.take().is_none());
}
