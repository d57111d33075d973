use super::super::room::Held;
use super::super::*;
use super::fixture::*;
use crate::error::Kind;
use std::time::Duration;

#[test]
fn messages_go_both_ways_in_order() {
    let processes = join_all(members(3));
    let [zero, one, two] = &processes[..] else { unreachable!() };
    for i in 0..100 {
        zero.control.send_all(&format!("all {i}")).unwrap();
        zero.control.send(2, &format!("two {i}")).unwrap();
        one.control.send(0, &format!("up {i}")).unwrap();
    }
    for i in 0..100 {
        assert_eq!(one.hears(), format!("0 says all {i}"));
        assert_eq!(two.hears(), format!("0 says all {i}"));
        assert_eq!(two.hears(), format!("0 says two {i}"));
        assert_eq!(zero.hears(), format!("1 says up {i}"));
    }
    for (process, nowhere) in [(0, 0), (0, 3), (1, 1), (1, 2)] {
        let error = processes[process].control.send(nowhere, &"x".into()).unwrap_err();
        assert_eq!(error.kind(), Kind::Internal, "{process} to {nowhere}: {error}");
    }
}

#[test]
fn a_close_sends_what_is_queued_and_is_no_loss_to_who_closes() {
    let mut processes = join_all(members(2));
    let (one, zero) = (processes.pop().unwrap(), processes.pop().unwrap());
    let text = "x".repeat(1 << 20);
    for _ in 0..20 {
        zero.control.send(1, &text).unwrap();
    }
    let closing = std::thread::spawn(move || {
        zero.control.close(LONG);
        zero.events.try_iter().map(|event| shown(&event)).collect::<Vec<_>>()
    });
    for _ in 0..20 {
        assert_eq!(one.hears().len(), "0 says ".len() + text.len());
    }
    assert_eq!(one.hears(), "0 is lost: it has closed its connections");
    assert_eq!(closing.join().unwrap(), Vec::<String>::new());
}

#[test]
fn who_takes_no_messages_fills_the_queue_and_stops_nobody() {
    let all = members_with(2, |members| {
        members.limits.message_bytes_max = 1 << 20;
        members.limits.queue_bytes_max = 1 << 20;
    });
    let processes = join_all(all);
    let [zero, one] = &processes[..] else { unreachable!() };
    let error = zero.control.send(1, &"x".repeat(1 << 20)).unwrap_err();
    assert_eq!(error.kind(), Kind::Internal, "{error}");
    // The events hold their room until they are dropped.
    let text = "x".repeat(1 << 16);
    let mut sent = 0;
    let full = loop {
        match zero.control.send(1, &text) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1 << 20, "the queue has a bound");
    };
    assert_eq!(full.kind(), Kind::Retry, "{full}");
    let mut held: Option<Held> = None;
    for _ in 0..sent {
        let Event::Message { held: room, .. } = one.events.recv_timeout(LONG).unwrap() else {
            panic!("process 0 is lost");
        };
        held = Some(room);
    }
    drop(held);
    zero.control.send(1, &"there is room again".into()).unwrap();
    assert_eq!(one.hears(), "0 says there is room again");
}

#[test]
fn process_0_names_who_did_not_come_and_who_was_refused() {
    let mut all = members_with(3, |members| {
        members.limits.join_time_max = Duration::from_millis(700);
    });
    all.pop();
    let (listener, mut one) = all.pop().unwrap();
    one.workers = 7;
    let process_1 = std::thread::spawn(move || join((listener, one)).err().unwrap());
    let error = join(all.pop().unwrap()).err().unwrap();
    assert_eq!(error.kind(), Kind::Config);
    let workers = "process 0 has the number of workers 2, the caller 7";
    assert!(error.message().contains(&format!("was refused ({workers})")), "{error}");
    assert!(error.message().contains("process 2 at 127.0.0.1:"), "{error}");
    assert!(error.message().contains("did not come"), "{error}");
    let error = process_1.join().unwrap();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains(&format!("it refuses: {workers}")), "{error}");
}

#[test]
fn a_process_may_listen_elsewhere_than_where_the_others_reach_it() {
    let (_, mut zero) = members(2).remove(0);
    zero.listen = Some("127.0.0.1:0".into());
    let port = Port::open(zero.clone()).unwrap();
    let (listener, mut one) = members(2).remove(1);
    one.hosts[0] = port.address().to_string();
    let process_1 = std::thread::spawn(move || join((listener, one)).unwrap());
    let zero = join_from(port).unwrap();
    let one = process_1.join().unwrap();
    one.control.send(0, &"found".into()).unwrap();
    assert_eq!(zero.hears(), "1 says found");
    let (_listener, one) = members(2).remove(1);
    let error = Port::open(one).err().unwrap();
    assert_eq!(error.kind(), Kind::Config, "the address is taken: {error}");
}

#[test]
fn a_process_that_comes_before_process_0_waits_for_it() {
    let mut all = members(2);
    let (one, (listener, zero)) = (all.pop().unwrap(), all.pop().unwrap());
    let address = listener.local_addr().unwrap();
    drop(listener);
    let process_1 = std::thread::spawn(move || join(one).unwrap());
    std::thread::sleep(Duration::from_millis(100));
    let listener = std::net::TcpListener::bind(address).unwrap();
    let zero = join((listener, zero)).unwrap();
    zero.control.send(1, &"here".into()).unwrap();
    assert_eq!(process_1.join().unwrap().hears(), "0 says here");
}

#[test]
fn a_process_that_was_started_again_before_all_were_there_is_let_in() {
    let mut all = members(3);
    let (two, one, zero) = (all.pop().unwrap(), all.pop().unwrap(), all.pop().unwrap());
    let process_0 = std::thread::spawn(move || join(zero).unwrap());
    let again = (one.0.try_clone().unwrap(), one.1.clone());
    join(one).unwrap().crash();
    let one = join(again).unwrap();
    let two = join(two).unwrap();
    let zero = process_0.join().unwrap();
    zero.control.send_all(&"all are here".into()).unwrap();
    assert_eq!(one.hears(), "0 says all are here");
    assert_eq!(two.hears(), "0 says all are here");
    one.control.send(0, &"yes".into()).unwrap();
    assert_eq!(zero.hears(), "1 says yes");
}
