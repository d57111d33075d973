use super::super::hall::Guest;
use super::super::handshake::{self, Hearing};
use super::super::socket::Socket;
use super::super::wire::{Answer, Purpose};
use super::super::*;
use super::fixture::*;
use crate::time::clock;
use std::net::TcpListener;
use std::time::{Duration, Instant};

#[test]
fn a_process_that_goes_is_lost_at_once_and_once_after_all_that_it_said() {
    let mut processes = join_all(members(3));
    let two = processes.pop().unwrap();
    for i in 0..1000 {
        two.control.send(0, &format!("last words {i}")).unwrap();
    }
    let begun = clock::instant();
    two.control.close(Duration::from_millis(1));
    drop(two.port);
    for i in 0..1000 {
        let heard = processes[0].hears();
        // Closing has cut the rest off.
        if heard.starts_with("2 is lost") {
            break;
        }
        assert_eq!(heard, format!("2 says last words {i}"));
        if i == 999 {
            assert_eq!(processes[0].hears(), "2 is lost: it has closed its connections");
        }
    }
    // Long before silence would be noticed.
    assert!(begun.elapsed() < Limits::default().heartbeat_limit / 2, "{:?}", begun.elapsed());
    let error = processes[0].control.send(2, &"x".into()).unwrap_err();
    assert_eq!(error.kind(), crate::error::Kind::Retry, "{error}");
    assert!(processes[0].events.try_recv().is_err(), "it is lost once");
    processes[0].control.send(1, &"still here".into()).unwrap();
    assert_eq!(processes[1].hears(), "0 says still here");
}

#[test]
fn the_others_hear_that_process_0_is_lost() {
    let mut processes = join_all(members(3));
    processes.remove(0).crash();
    for process in &processes {
        assert_eq!(process.hears(), "0 is lost: it has closed its connections");
    }
}

#[test]
fn a_process_that_says_nothing_after_the_handshake_is_lost_within_the_limit() {
    let limit = Duration::from_millis(400);
    let mut all = members_with(2, |members| members.limits.heartbeat_limit = limit);
    let (_listener, one) = all.pop().unwrap();
    let process_0 = std::thread::spawn(move || join(all.pop().unwrap()).unwrap());
    let mute = dialer(&one);
    let dial = |purpose| loop {
        if let Ok(stream) = dial_as(&mute.inner, 0, purpose, 7) {
            break stream;
        }
    };
    let _control = dial(Purpose::Control);
    let begun = clock::instant();
    let _heartbeat = dial(Purpose::Heartbeat);
    let zero = process_0.join().unwrap();
    assert_eq!(zero.hears(), "1 is lost: nothing was heard of it for 400ms");
    assert_in_time(begun, limit);
}

/// Not before the limit, and not much later.
fn assert_in_time(begun: Instant, limit: Duration) {
    let took = begun.elapsed();
    assert!(took >= limit && took < limit + Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_process_0_that_says_nothing_after_the_handshake_is_lost_within_the_limit() {
    let limit = Duration::from_millis(400);
    let mut all = members_with(2, |members| members.limits.heartbeat_limit = limit);
    let (one, (listener, zero)) = (all.pop().unwrap(), all.pop().unwrap());
    let mute = std::thread::spawn(move || {
        [(); 2].map(|()| {
            let (stream, _) = listener.accept().unwrap();
            let socket = Socket::plain(stream).unwrap();
            let mut hearing = Hearing::new(socket, &zero.secret).unwrap();
            let proven = loop {
                match hearing.go_on() {
                    Some(outcome) => break outcome.unwrap(),
                    None => std::thread::sleep(Duration::from_millis(1)),
                }
            };
            let stream = hearing.into_stream();
            let welcome = Answer { code: Answer::WELCOME, reason: String::new() };
            handshake::answer(&stream, &zero.secret, &proven, &welcome).unwrap();
            stream
        })
    });
    let begun = clock::instant();
    let one = join(one).unwrap();
    assert_eq!(one.hears(), "0 is lost: nothing was heard of it for 400ms");
    assert_in_time(begun, limit);
    drop(mute.join().unwrap());
}

#[test]
fn heartbeats_go_on_while_the_main_thread_is_busy() {
    let limit = Duration::from_secs(1);
    let all = members_with(3, |members| members.limits.heartbeat_limit = limit);
    let processes = join_all(all);
    // The main thread of all of them computes.
    let begun = clock::instant();
    let mut number = 1_u64;
    while begun.elapsed() < 3 * limit {
        number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005));
    }
    for process in &processes {
        assert!(process.events.try_recv().is_err(), "nobody is lost");
    }
    processes[1].control.send(0, &"alive".into()).unwrap();
    assert_eq!(processes[0].hears(), "1 says alive");
}

#[test]
fn a_closure_that_is_stuck_does_not_stop_heartbeats() {
    let limit = Duration::from_secs(1);
    let mut all = members_with(2, |members| members.limits.heartbeat_limit = limit);
    let (one, (listener, zero)) = (all.pop().unwrap(), all.pop().unwrap());
    let port = Port::open_on(listener, zero).unwrap();
    let (free, stuck) = std::sync::mpsc::channel::<()>();
    let stuck = std::sync::Mutex::new(stuck);
    let process_1 = std::thread::spawn(move || join(one).unwrap());
    let on_event = move |_: Event<String>| {
        // Until the other end is dropped.
        let _ = lock(&stuck).recv();
    };
    let control: Control<String> = port.join(on_event).unwrap();
    let one = process_1.join().unwrap();
    one.control.send(0, &"stick".into()).unwrap();
    assert!(one.events.recv_timeout(3 * limit).is_err(), "nobody is lost");
    control.send(1, &"alive".into()).unwrap();
    assert_eq!(one.hears(), "0 says alive");
    drop(free);
}

#[test]
fn bytes_that_are_no_message_lose_the_process_that_sent_them() {
    use std::io::Write;
    let mut all = members(2);
    let (_listener, one) = all.pop().unwrap();
    let process_0 = std::thread::spawn(move || join(all.pop().unwrap()).unwrap());
    let liar = dialer(&one);
    let mut control = dial_as(&liar.inner, 0, Purpose::Control, 7).unwrap();
    let _heartbeat = dial_as(&liar.inner, 0, Purpose::Heartbeat, 7).unwrap();
    control.write_all(&[0xff; 64]).unwrap();
    let zero = process_0.join().unwrap();
    let heard = zero.hears();
    assert_eq!(heard, "1 is lost: it sent a message of 4294967295 bytes; 16777216 are allowed");
}

#[test]
fn a_port_that_is_dropped_is_free_again() {
    let mut all = members(2);
    let (listener, zero) = all.remove(0);
    let port = Port::open_on(listener, zero).unwrap();
    let address = port.address();
    assert!(TcpListener::bind(address).is_err());
    drop(port);
    assert!(TcpListener::bind(address).is_ok());
}
