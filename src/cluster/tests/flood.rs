use super::super::refusal::Refusal;
use super::super::wire::{Greeting, VERSION};
use super::fixture::*;
use std::collections::VecDeque;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Connections that one flooding thread keeps open.
const OPEN: usize = 200;

/// Connects again and again until told to stop: of four one sends garbage, one greets and is silent then, and two say nothing.
fn flood(at: SocketAddr, made: &AtomicUsize, stop: &AtomicBool) {
    let greeting = Greeting { version: VERSION, nonce: [1; 32] }.encode();
    let mut open = VecDeque::new();
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(at) else { continue };
        // It may have been dropped already.
        let _ = match made.fetch_add(1, Ordering::Relaxed) % 4 {
            0 => stream.write_all(&[0xa5; 64]),
            1 => stream.write_all(&greeting),
            _ => Ok(()),
        };
        open.push_back(stream);
        if open.len() > OPEN {
            open.pop_front();
        }
    }
}

#[test]
fn ten_thousand_that_say_nothing_or_garbage_do_not_stop_the_right_one() {
    let mut all = members(2);
    let (one, zero) = (all.pop().unwrap(), all.pop().unwrap());
    let at = zero.0.local_addr().unwrap();
    let (made, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let wait_for = |count: usize| {
        while made.load(Ordering::Relaxed) < count {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    };
    let process_0 = std::thread::spawn(move || join(zero).unwrap());
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (made, stop) = (Arc::clone(&made), Arc::clone(&stop));
            std::thread::spawn(move || flood(at, &made, &stop))
        })
        .collect();
    wait_for(5_000);
    let one = join(one).unwrap();
    let zero = process_0.join().unwrap();
    wait_for(10_000);
    // The flood goes on; who has joined does not notice.
    zero.control.send(1, &"through".into()).unwrap();
    assert_eq!(one.hears(), "0 says through");
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let complaints = &zero.port.inner.complaints;
    assert!(complaints.count(Refusal::Garbage) > 1_000, "garbage was heard");
    assert!(complaints.count(Refusal::Crowd) > 1_000, "and the silent were dropped for newer ones");
}
