use super::super::refusal::Refusal;
use super::super::wire::Purpose;
use super::super::*;
use super::certificates::{Authority, identity, identity_that_trusts};
use super::fixture::*;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

/// Two processes that have joined with certificates of one authority.
fn sealed() -> [Joined; 2] {
    let authority = Authority::new();
    let all = members_with(2, |members| members.tls = Some(identity(&authority, "127.0.0.1")));
    join_all(all).try_into().unwrap_or_else(|_| panic!("two were asked for"))
}

#[test]
fn processes_with_certificates_of_one_authority_join_and_talk_and_are_missed() {
    let [zero, one] = sealed();
    let much = "much ".repeat(1 << 18);
    for _ in 0..4 {
        zero.control.send(1, &much).unwrap();
        one.control.send(0, &much).unwrap();
    }
    for _ in 0..4 {
        assert!(one.hears() == format!("0 says {much}"));
        assert!(zero.hears() == format!("1 says {much}"));
    }
    one.crash();
    assert_eq!(zero.hears(), "1 is lost: it has closed its connections");
}

#[test]
fn a_last_word_is_heard_although_the_process_ends_at_once() {
    let [zero, one] = sealed();
    let closing = std::thread::spawn(move || {
        zero.control.send(1, &"farewell".into()).unwrap();
        zero.control.close(LONG);
        zero.port.drain(LONG);
    });
    assert_eq!(one.hears(), "0 says farewell");
    one.control.close(LONG);
    closing.join().unwrap();
}

/// What a dialer is told that has `dialing` where `accepting` listens, and what is complained of there.
fn told(accepting: Option<Tls>, dialing: Option<Tls>) -> (String, Vec<Refusal>) {
    let mut all = members_with(2, |members| {
        members.tls = if members.process == 0 { accepting.clone() } else { dialing.clone() };
    });
    let (_, one) = all.pop().unwrap();
    let (listener, zero) = all.pop().unwrap();
    let port = Port::open_on(listener, zero).unwrap();
    let dialer = dialer(&one);
    let refused = dial_as(&dialer.inner, 0, Purpose::Control, 7).unwrap_err();
    let all = [Refusal::Encrypted, Refusal::Plain, Refusal::Certificate, Refusal::Silence];
    let deadline = crate::time::clock::instant() + LONG;
    loop {
        let seen = all.into_iter().filter(|what| port.inner.complaints.count(*what) > 0);
        let seen: Vec<_> = seen.collect();
        if !seen.is_empty() || crate::time::clock::instant() > deadline {
            return (refused.why, seen);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn who_does_not_encrypt_and_who_does_say_so_to_each_other() {
    let authority = Authority::new();
    let tls = || Some(identity(&authority, "127.0.0.1"));
    let (why, seen) = told(tls(), None);
    assert!(why.starts_with("it encrypts its connections"), "{why}");
    assert_eq!(seen, [Refusal::Plain]);
    let (why, seen) = told(None, tls());
    assert!(why.starts_with("it does not encrypt"), "{why}");
    assert_eq!(seen, [Refusal::Encrypted]);
}

#[test]
fn certificates_of_others_are_refused_on_both_sides() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let right = || Some(identity(&ours, "127.0.0.1"));
    // The dialer does not take what it is shown.
    let (why, seen) = told(right(), Some(identity_that_trusts(&ours, "127.0.0.1", &theirs)));
    assert!(why.contains("no encrypted session") && why.contains("invalid peer"), "{why}");
    assert_eq!(seen, [Refusal::Certificate]);
    let (why, _) = told(Some(identity(&ours, "elsewhere.test")), right());
    assert!(why.contains("no encrypted session") && why.contains("not valid for name"), "{why}");
    // It takes it, but is not taken: whether it hears why depends on who closes first.
    let (why, seen) = told(right(), Some(identity_that_trusts(&theirs, "127.0.0.1", &ours)));
    assert!(why.contains("has ended the encrypted session") || why.contains("broke"), "{why}");
    assert_eq!(seen, [Refusal::Certificate]);
}

#[test]
fn strangers_at_an_encrypted_port_disturb_nobody() {
    let authority = Authority::new();
    let all = members_with(2, |members| {
        members.tls = Some(identity(&authority, "127.0.0.1"));
        members.limits.handshakes_max = 8;
    });
    let at = all[0].0.local_addr().unwrap();
    // The beginning of a session, with which it ends.
    let begun = [&[0x16, 3, 1, 1, 0][..], &[1, 0, 0, 252, 3, 3], &[7; 20]].concat();
    let strangers: Vec<_> = (0..60)
        .map(|number| {
            let mut stream = TcpStream::connect(at).unwrap();
            let _ = match number % 4 {
                0 => stream.write_all(&[0xa5; 64]),
                1 => stream.write_all(&begun),
                2 => stream.write_all(b"TIDECLU\n"),
                _ => Ok(()),
            };
            stream
        })
        .collect();
    let mut processes = join_all(all);
    let (one, zero) = (processes.pop().unwrap(), processes.pop().unwrap());
    zero.control.send(1, &"through".into()).unwrap();
    assert_eq!(one.hears(), "0 says through");
    drop(strangers);
    let complaints = &zero.port.inner.complaints;
    let deadline = crate::time::clock::instant() + LONG;
    let expected = [Refusal::Garbage, Refusal::Plain, Refusal::Crowd];
    while expected.iter().any(|what| complaints.count(*what) == 0) {
        assert!(crate::time::clock::instant() < deadline);
        std::thread::sleep(Duration::from_millis(1));
    }
}
