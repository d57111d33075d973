#![expect(clippy::unwrap_used, reason = "tests")]
use super::super::handshake::Hearing;
use super::super::secret::Secret;
use super::super::socket::Socket;
use super::super::wire::{Greeting, VERSION};
use super::*;
use std::io::Write;
use std::net::{TcpListener, TcpStream};

const LONG: Duration = Duration::from_secs(3600);

struct Hosted {
    hall: Hall<Hearing>,
    listener: TcpListener,
    /// The other ends, so that they stay open.
    guests: Vec<TcpStream>,
}

fn hosted(max: usize, time_max: Duration) -> Hosted {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Hosted { hall: Hall::new(max, time_max), listener, guests: Vec::new() }
}

impl Hosted {
    /// One comes that has said this: who leaves for it, by the number in which they came.
    fn comes(&mut self, says: &[u8]) -> Vec<(usize, Refusal)> {
        let mut guest = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        guest.write_all(says).unwrap();
        let (stream, from) = self.listener.accept().unwrap();
        while !says.is_empty() && stream.peek(&mut [0; 64]).unwrap() < says.len().min(64) {}
        self.guests.push(guest);
        let secret = Secret::new(&[1; 16]).unwrap();
        let hearing = Hearing::new(Socket::plain(stream).unwrap(), &secret).unwrap();
        let leaves = self.hall.enter(hearing, from);
        self.numbers(leaves)
    }

    fn numbers(&self, leaves: Vec<Leaves<Hearing>>) -> Vec<(usize, Refusal)> {
        let number = |from| self.guests.iter().position(|g| g.local_addr().unwrap() == from);
        let one =
            |leaves: Leaves<Hearing>| (number(leaves.from).unwrap(), leaves.outcome.err().unwrap());
        leaves.into_iter().map(one).collect()
    }
}

#[test]
fn the_oldest_silent_one_goes_and_no_silent_one_drives_out_who_has_greeted() {
    let mut hosted = hosted(2, LONG);
    let greeting = Greeting { version: VERSION, nonce: [1; 32] }.encode();
    assert_eq!(hosted.comes(&greeting), []);
    assert_eq!(hosted.comes(b""), []);
    assert_eq!(hosted.comes(b"TIDE"), []);
    assert_eq!(hosted.comes(b""), [(1, Refusal::Crowd)]);
    assert_eq!(hosted.comes(b""), [(2, Refusal::Crowd)]);
    assert_eq!(hosted.comes(b"TIDY"), [(5, Refusal::Garbage)], "it takes nobody's place");
    assert_eq!(hosted.comes(&greeting), []);
    assert_eq!(hosted.comes(&greeting), [(0, Refusal::Crowd)]);
    let leaves = hosted.hall.look();
    assert_eq!(hosted.numbers(leaves), [], "there is time");
}

#[test]
fn who_has_had_the_time_goes_greeted_or_not() {
    let mut hosted = hosted(2, Duration::ZERO);
    let greeting = Greeting { version: VERSION, nonce: [1; 32] }.encode();
    assert_eq!(hosted.comes(b""), []);
    assert_eq!(hosted.comes(&greeting), []);
    let leaves = hosted.hall.look();
    assert_eq!(hosted.numbers(leaves), [(1, Refusal::Silence), (0, Refusal::Silence)]);
    assert!(hosted.hall.is_empty());
}
