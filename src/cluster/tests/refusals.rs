use super::super::refusal::{Refusal, Refused, Sitting, belongs, may_mesh, may_sit};
use super::super::wire::{Answer, Claim, GREETING_BYTES, Greeting, Purpose, VERSION};
use super::super::*;
use super::fixture::*;
use crate::error::Kind;
use crate::ids::{Generation, Nonce};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

fn claim(purpose: Purpose) -> Claim {
    Claim {
        purpose,
        from: 1,
        to: 0,
        processes: 3,
        workers: 2,
        generation: 4,
        nonce: 9,
        cluster: "shop".into(),
        program: "visits-5a".into(),
    }
}

fn what(decision: Result<(), Refused>) -> Option<Refusal> {
    decision.err().map(|refused| refused.what)
}

#[test]
fn who_belongs() {
    type Change = fn(&mut Claim);
    let none: Change = |_| {};
    let as_process_1: Change = |claim| (claim.from, claim.to) = (2, 1);
    let table: &[(usize, Purpose, Change, Option<Refusal>)] = &[
        (0, Purpose::Control, none, None),
        (0, Purpose::Heartbeat, none, None),
        (0, Purpose::Mesh, none, None),
        (1, Purpose::Mesh, as_process_1, None),
        (1, Purpose::Control, as_process_1, Some(Refusal::Number)),
        (1, Purpose::Heartbeat, as_process_1, Some(Refusal::Number)),
        (0, Purpose::Control, |claim| claim.cluster = "other".into(), Some(Refusal::Cluster)),
        (0, Purpose::Control, |claim| claim.program = "visits-5b".into(), Some(Refusal::Program)),
        (0, Purpose::Control, |claim| claim.processes = 2, Some(Refusal::Processes)),
        (0, Purpose::Mesh, |claim| claim.workers = 1, Some(Refusal::Workers)),
        (0, Purpose::Control, |claim| claim.to = 1, Some(Refusal::Number)),
        (0, Purpose::Control, |claim| claim.from = 0, Some(Refusal::Number)),
        (0, Purpose::Control, |claim| claim.from = 3, Some(Refusal::Number)),
        (0, Purpose::Control, |claim| claim.from = u16::MAX, Some(Refusal::Number)),
        (2, Purpose::Mesh, |claim| (claim.from, claim.to) = (1, 2), Some(Refusal::Number)),
    ];
    for (row, (process, purpose, change, expected)) in table.iter().enumerate() {
        let (_, members) = members(3).remove(*process);
        let mut claim = claim(*purpose);
        change(&mut claim);
        assert_eq!(what(belongs(&claim, &members)), *expected, "row {row}");
    }
}

#[test]
fn who_may_sit() {
    use Refusal::{Early, Taken};
    let half = |nonce, beating, gone| Sitting::Half { instance: Nonce(nonce), beating, gone };
    let table = [
        // what sits there, may messages, may heartbeats
        (Sitting::Nobody, None, Some(Early)),
        (half(9, false, false), Some(Taken), None),
        (half(9, true, false), Some(Taken), Some(Taken)),
        (half(8, false, false), Some(Taken), Some(Early)),
        (half(8, false, true), None, Some(Early)),
        (half(9, true, true), None, Some(Taken)),
        (Sitting::Whole { gone: false }, Some(Taken), Some(Taken)),
        (Sitting::Whole { gone: true }, None, Some(Early)),
    ];
    for (sitting, messages, heartbeats) in table {
        assert_eq!(what(may_sit(&claim(Purpose::Control), sitting)), messages, "{sitting:?}");
        assert_eq!(what(may_sit(&claim(Purpose::Heartbeat), sitting)), heartbeats, "{sitting:?}");
    }
}

#[test]
fn who_may_mesh() {
    let table = [
        (None, false, Some(Refusal::Later)),
        (Some((4, 9)), false, None),
        (Some((4, 9)), true, Some(Refusal::Taken)),
        (Some((5, 9)), false, Some(Refusal::Generation)),
        (Some((3, 9)), false, Some(Refusal::Generation)),
        (Some((4, 8)), false, Some(Refusal::Generation)),
    ];
    for (ours, taken, expected) in table {
        let generation = ours.map(|(generation, nonce)| (Generation(generation), Nonce(nonce)));
        assert_eq!(what(may_mesh(&claim(Purpose::Mesh), generation, taken)), expected, "{ours:?}");
    }
}

/// The port of process 0 of 3.
fn zero(change: impl Fn(&mut Members)) -> (Port, Members) {
    let (listener, mut zero) = members(3).remove(0);
    change(&mut zero);
    (Port::open_on(listener, zero.clone()).unwrap(), Members { process: 1, ..zero })
}

/// Waits until the port has complained of this as often.
fn complained(port: &Port, refusal: Refusal, times: u64) {
    let begun = crate::time::clock::instant();
    while port.inner.complaints.count(refusal) < times {
        assert!(begun.elapsed() < LONG, "{refusal:?} was not noticed");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_difference_is_refused_with_its_reason_and_disturbs_nobody() {
    type Change = fn(&mut Members);
    let (port, one) = zero(|_| {});
    let other = |members: &mut Members| members.secret = Secret::new(&[7; 16]).unwrap();
    let table: &[(Change, Refusal, &str)] = &[
        (other, Refusal::Secret, "it has another secret"),
        (|m| m.cluster = "other".into(), Refusal::Cluster, "name \"shop\", the caller \"other\""),
        (|m| m.program = "b".into(), Refusal::Program, "program \"visits-5a\", the caller \"b\""),
        (|m| m.workers = 3, Refusal::Workers, "workers 2, the caller 3"),
        (|m| m.hosts.push("x:1".into()), Refusal::Processes, "processes 3, the caller 4"),
    ];
    for (change, refusal, reason) in table {
        let mut wrong = one.clone();
        change(&mut wrong);
        let stranger = dialer(&wrong);
        for purpose in [Purpose::Control, Purpose::Heartbeat, Purpose::Mesh] {
            let not_yet = dial_as(&stranger.inner, 0, purpose, 7).unwrap_err();
            assert_eq!(not_yet.kind, Kind::Config);
            assert!(not_yet.why.contains(reason), "{} instead of {reason}", not_yet.why);
        }
        complained(&port, *refusal, 3);
        assert_eq!(port.inner.complaints.count(*refusal), 3);
    }
    // Twice the same process; heartbeats of another instance; a mesh that is not known yet.
    let right = dialer(&one);
    let control = dial_as(&right.inner, 0, Purpose::Control, 7).unwrap();
    let refused = |purpose, nonce| dial_as(&right.inner, 0, purpose, nonce).unwrap_err().why;
    assert!(refused(Purpose::Control, 7).contains("process 1 is here already"));
    assert!(refused(Purpose::Heartbeat, 8).contains("no connection for messages"));
    assert!(refused(Purpose::Mesh, 8).contains("not known yet"));
    assert!(lock(&port.inner.seats).begin_mesh(Generation(1), Nonce(8)));
    assert!(refused(Purpose::Mesh, 7).contains("this is generation 1 (0000000000000008), not 1"));
    let _mesh = dial_as(&right.inner, 0, Purpose::Mesh, 8).unwrap();
    assert!(refused(Purpose::Mesh, 8).contains("process 1 is here already"));
    let _heartbeat = dial_as(&right.inner, 0, Purpose::Heartbeat, 7).unwrap();
    drop(control);
}

/// Sends these bytes, and gives what comes until the other side closes.
fn answer_to(port: &Port, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(port.address()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // What was not read on the other side resets the connection after the answer.
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// What who has not proved the secret is told: the code of "refused", no reason, no proof.
fn nothing_but_refused() -> Vec<u8> {
    let mut answer = vec![0; 35];
    answer[0] = Answer::REFUSED;
    answer
}

#[test]
fn what_is_no_handshake_is_told_nothing() {
    let (port, _) = zero(|_| {});
    let hello = |version| Greeting { version, nonce: [1; 32] }.encode().to_vec();
    let claim = claim(Purpose::Control).encode();
    let unproved = [&hello(VERSION)[..], &claim, &[0; 32]].concat();
    let too_long = [&hello(VERSION)[..], &1025_u16.to_le_bytes()].concat();
    let after_the_greeting = [
        (unproved, Refusal::Secret),
        (too_long, Refusal::Garbage),
        (hello(VERSION + 1), Refusal::Version),
    ];
    for (bytes, refusal) in after_the_greeting {
        let answer = answer_to(&port, &bytes);
        assert_eq!(answer[GREETING_BYTES..], nothing_but_refused(), "{refusal:?}");
        complained(&port, refusal, 1);
    }
    assert_eq!(answer_to(&port, b"TIDECLU "), nothing_but_refused());
    complained(&port, Refusal::Garbage, 2);
    answer_to(&port, b"GET / HTTP/1.1\r\nhost: tidemark\r\n\r\n");
    complained(&port, Refusal::Garbage, 3);
}

#[test]
fn silence_and_drops_of_bytes_end_with_the_time_for_a_handshake() {
    let (port, one) = zero(|zero| zero.limits.handshake_time_max = Duration::from_millis(300));
    assert_eq!(answer_to(&port, b""), b"");
    complained(&port, Refusal::Silence, 1);
    // A byte now and then gets no more time than silence.
    let mut slow = TcpStream::connect(port.address()).unwrap();
    let hello = Greeting { version: VERSION, nonce: [1; 32] }.encode();
    for byte in hello.iter().cycle() {
        if slow.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    complained(&port, Refusal::Silence, 2);
    let closed = TcpStream::connect(port.address()).unwrap();
    closed.shutdown(Shutdown::Write).unwrap();
    complained(&port, Refusal::Silence, 3);
    dial_as(&dialer(&one).inner, 0, Purpose::Control, 7).unwrap();
}

#[test]
fn a_dialer_is_told_what_it_has_reached_instead() {
    let greeting = Greeting { version: VERSION, nonce: [1; 32] }.encode();
    let answers = |answer: &[u8]| [&greeting[..], answer].concat();
    let strangers = [
        (vec![b'H'; 200], "no process of this kind"),
        ([MAGIC_OF_VERSION_9, &[0; 200]].concat(), "version 9"),
        (answers(&nothing_but_refused()), "another secret"),
        // It has seen a handshake, but knows no secret.
        (answers(&[&[Answer::WELCOME, 0, 0], &[7; 32][..]].concat()), "does not know the secret"),
        (answers(&[Answer::WELCOME; 35]), "does not know the secret"),
    ];
    for (says, expected) in strangers {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (_, mut one) = members(2).remove(1);
        one.hosts[0] = listener.local_addr().unwrap().to_string();
        let stranger = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&says).unwrap();
            // Until the dialer has had enough.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let not_yet = dial_as(&dialer(&one).inner, 0, Purpose::Control, 7).unwrap_err();
        assert!(not_yet.why.contains(expected), "{} instead of {expected}", not_yet.why);
        assert_eq!(not_yet.kind, Kind::Config);
        stranger.join().unwrap();
    }
}

#[test]
fn an_overheard_handshake_opens_nothing() {
    let (port, mut one) = zero(|_| {});
    let ear = TcpListener::bind("127.0.0.1:0").unwrap();
    one.hosts[0] = ear.local_addr().unwrap().to_string();
    let behind = port.address();
    let listening = std::thread::spawn(move || {
        let (mut dialer, _) = ear.accept().unwrap();
        let mut acceptor = TcpStream::connect(behind).unwrap();
        let [mut back, mut forth] = [&acceptor, &dialer].map(|s| s.try_clone().unwrap());
        let answering = std::thread::spawn(move || std::io::copy(&mut back, &mut forth));
        let (mut heard, mut bytes) = (Vec::new(), [0; 4096]);
        while let Ok(read @ 1..) = dialer.read(&mut bytes) {
            heard.extend(&bytes[..read]);
            acceptor.write_all(&bytes[..read]).unwrap();
        }
        acceptor.shutdown(Shutdown::Both).unwrap();
        answering.join().unwrap().unwrap();
        heard
    });
    // Who only passes bytes on is not noticed.
    drop(dial_as(&dialer(&one).inner, 0, Purpose::Control, 7).unwrap());
    let heard = listening.join().unwrap();
    assert_eq!(heard.len(), GREETING_BYTES + claim(Purpose::Control).encode().len() + 32);
    assert_eq!(answer_to(&port, &heard)[GREETING_BYTES..], nothing_but_refused());
    complained(&port, Refusal::Secret, 1);
}

const MAGIC_OF_VERSION_9: &[u8] = b"TIDECLU\n\x09\x00";

#[test]
fn a_secret_does_not_show_itself_and_is_long_enough() {
    let (port, one) = zero(|_| {});
    assert!(!format!("{one:?}").contains("sixteen"), "{one:?}");
    let mut wrong = one.clone();
    wrong.secret = Secret::new(b"another secret of many bytes").unwrap();
    let not_yet = dial_as(&dialer(&wrong).inner, 0, Purpose::Control, 7).unwrap_err();
    assert!(!not_yet.why.contains("many bytes"), "{}", not_yet.why);
    drop(port);
    assert_eq!(Secret::new(&[1; 15]).unwrap_err().kind(), Kind::Config);
}

#[test]
fn members_out_of_range_open_no_port() {
    type Change = fn(&mut Members);
    let table: &[Change] = &[
        |m| m.hosts.truncate(1),
        |m| m.process = 3,
        |m| m.workers = 0,
        |m| m.workers = 1 << 16,
        |m| m.cluster.clear(),
        |m| m.cluster = "x".repeat(256),
        |m| m.program.clear(),
        |m| m.limits.handshakes_max = 0,
        |m| m.limits.queue_bytes_max = m.limits.message_bytes_max - 1,
        |m| m.limits.heartbeat_limit = Duration::ZERO,
    ];
    for (row, change) in table.iter().enumerate() {
        let (listener, mut zero) = members(3).remove(0);
        change(&mut zero);
        let error = Port::open_on(listener, zero).err();
        assert_eq!(error.map(|error| error.kind()), Some(Kind::Config), "row {row}");
    }
}
