#![expect(clippy::unwrap_used, reason = "tests")]
use super::super::tests::certificates::{Authority, identity};
use super::*;
use crate::cluster::hall::Guest;
use std::net::TcpListener;
use std::thread::spawn;

const LONG: Duration = Duration::from_secs(60);

/// Both plain ends of an encrypted connection, and the sockets of TCP between them.
struct Pair {
    ends: [Socket; 2],
    pumps: [Pumps; 2],
    between: [TcpStream; 2],
}

fn pair() -> Pair {
    let tls = identity(&Authority::new(), "127.0.0.1");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let pumps = [Pumps::default(), Pumps::default()];
    let stream = TcpStream::connect(&address).unwrap();
    let accepted = listener.accept().unwrap().0;
    let between = [stream.try_clone().unwrap(), accepted.try_clone().unwrap()];
    let ends = std::thread::scope(|scope| {
        let acceptor = scope.spawn(|| {
            let mut sealing = tls.accept(accepted).unwrap();
            loop {
                match sealing.go_on() {
                    Some(outcome) => break outcome.unwrap(),
                    None => std::thread::sleep(Duration::from_millis(1)),
                }
            }
            sealing.into_socket(&pumps[1]).unwrap()
        });
        let dialer = tls.dial(stream, &address, clock::instant() + LONG, &pumps[0]).unwrap();
        [dialer, acceptor.join().unwrap()]
    });
    Pair { ends, pumps, between }
}

fn numbers(from: u8, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n % 251) as u8 ^ from).collect()
}

/// More than all buffers on the way hold.
const MANY: usize = 8 << 20;

#[test]
fn both_directions_carry_much_at_once_in_order() {
    let [a, b] = pair().ends;
    let sides = [(a, 1, 2), (b, 2, 1)].map(|(socket, sends, hears)| {
        spawn(move || {
            let writer = socket.try_clone().unwrap();
            let writing = spawn(move || {
                (&writer).write_all(&numbers(sends, MANY)).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            let mut heard = Vec::new();
            (&socket).read_to_end(&mut heard).unwrap();
            writing.join().unwrap();
            assert!(heard == numbers(hears, MANY), "{} bytes came otherwise", heard.len());
        })
    });
    sides.into_iter().for_each(|side| side.join().unwrap());
}

#[test]
fn a_direction_in_which_nobody_reads_does_not_hold_up_the_other() {
    let [a, b] = pair().ends;
    let stuck = a.try_clone().unwrap();
    let writing = spawn(move || (&stuck).write_all(&numbers(1, MANY)));
    (&b).write_all(b"through").unwrap();
    let mut heard = [0; 7];
    (&a).read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"through");
    drop(b);
    writing.join().unwrap().expect_err("the other side has gone");
}

#[test]
fn what_was_sent_before_the_end_has_left_the_process_once_drained() {
    let Pair { ends: [a, b], pumps, between: _ } = pair();
    (&a).write_all(&numbers(3, 1 << 16)).unwrap();
    a.shutdown(Shutdown::Write).unwrap();
    pumps[0].drain(LONG);
    // As if the process had ended now: its threads do nothing more.
    let mut heard = Vec::new();
    (&b).read_to_end(&mut heard).unwrap();
    assert!(heard == numbers(3, 1 << 16));
    (&b).write_all(b"still").unwrap();
    let mut heard = [0; 5];
    (&a).read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"still", "the other direction goes on");
}

#[test]
fn a_connection_that_breaks_or_is_tampered_with_ends_for_both() {
    let Pair { ends: [a, b], between, .. } = pair();
    // Not the bytes of the session.
    (&between[1]).write_all(&[0x17, 3, 3, 0, 32]).unwrap();
    (&between[1]).write_all(&[0xa5; 32]).unwrap();
    assert_eq!((&a).read(&mut [0; 8]).unwrap_or(0), 0);
    assert!(a.broken().unwrap().contains("decrypt"), "{:?}", a.broken());
    assert_eq!((&b).read(&mut [0; 8]).unwrap_or(0), 0, "the other side hears the end");

    let Pair { ends: [a, b], between, .. } = pair();
    between.iter().for_each(|stream| stream.shutdown(Shutdown::Both).unwrap());
    assert_eq!((&a).read(&mut [0; 8]).unwrap_or(0), 0);
    assert_eq!((&b).read(&mut [0; 8]).unwrap_or(0), 0);
}

#[test]
fn no_thread_stays_for_a_peer_that_says_nothing_once_the_user_has_gone() {
    for halves in [true, false] {
        let Pair { ends: [a, b], pumps, .. } = pair();
        if halves {
            a.shutdown(Shutdown::Write).unwrap();
            pumps[0].drain(LONG);
        }
        drop(a);
        let deadline = clock::instant() + LONG;
        // The threads are what holds it.
        while lock(&pumps[0].0).iter().any(|pump| pump.strong_count() > 0) {
            assert!(clock::instant() < deadline, "the threads are still there");
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(b);
    }
}
