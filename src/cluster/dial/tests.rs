#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use std::cell::Cell;

fn refused(why: &str) -> NotYet {
    NotYet { kind: Kind::Config, why: why.into() }
}

#[test]
fn it_is_tried_until_it_comes_to_something() {
    let tries = Cell::new(0);
    let step = || {
        tries.set(tries.get() + 1);
        if tries.get() < 4 { Err(refused("no")) } else { Ok(tries.get()) }
    };
    assert_eq!(keep_trying("it", Duration::from_secs(60), || Ok(()), step), Ok(4));
}

#[test]
fn at_the_end_the_last_reason_is_told_with_its_kind() {
    let error = keep_trying(
        "process 0",
        Duration::from_millis(30),
        || Ok(()),
        || Err::<(), _>(refused("it refuses")),
    );
    let error = error.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert_eq!(error.message(), "process 0: it refuses (after 30ms)");
}

#[test]
fn who_gives_up_waits_no_longer() {
    let lost = || Err(Error::new(Kind::Retry, "lost"));
    let error = keep_trying("it", Duration::from_secs(3600), lost, || Err::<(), _>(refused("no")));
    assert_eq!(error.unwrap_err().message(), "lost");
}

#[test]
fn a_pause_is_drawn_between_half_and_whole() {
    let second = Duration::from_secs(1);
    assert_eq!(jittered(second, Nonce(0)), second / 2);
    let most = jittered(second, Nonce(1023));
    assert!(most > second * 9 / 10 && most < second, "{most:?}");
}

#[test]
fn a_refusal_is_not_forgotten_when_who_refused_is_gone() {
    let tries = Cell::new(0);
    let step = || {
        tries.set(tries.get() + 1);
        let away = NotYet { kind: Kind::Retry, why: "away".into() };
        Err::<(), _>(if tries.get() == 1 { refused("another secret") } else { away })
    };
    let error = keep_trying("it", Duration::from_millis(30), || Ok(()), step).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert_eq!(error.message(), "it: away (after 30ms; it was there before: another secret)");
}
