#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

#[test]
fn who_finds_no_room_waits_until_some_is_given_back() {
    let room = Room::new(10);
    let first = room.take(6, || false);
    let _second = room.take(4, || false);
    let (told, hear) = mpsc::channel();
    let other = Arc::clone(&room);
    let thread = std::thread::spawn(move || {
        let held = other.take(5, || false);
        told.send(()).unwrap();
        drop(held);
    });
    assert!(hear.recv_timeout(Duration::from_millis(200)).is_err(), "there was no room");
    drop(first);
    hear.recv_timeout(Duration::from_secs(60)).unwrap();
    thread.join().unwrap();
}

#[test]
fn one_alone_may_be_too_large_and_who_gives_up_does_not_wait() {
    let room = Room::new(10);
    let held = room.take(11, || false);
    let give_up = AtomicBool::new(false);
    drop(room.take(1, || give_up.swap(true, Ordering::Relaxed)));
    assert!(give_up.load(Ordering::Relaxed), "it was asked");
    assert_eq!(format!("{held:?}"), "11 bytes");
}
