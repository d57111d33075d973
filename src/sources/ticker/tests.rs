#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::sync::mpsc;

#[test]
fn calls_until_dropped() {
    let (sender, calls) = mpsc::channel();
    let ticker = Ticker::start("ticker", Duration::from_millis(1), move || {
        let _ = sender.send(());
    })
    .unwrap();
    for _ in 0..3 {
        calls.recv_timeout(Duration::from_secs(30)).unwrap();
    }
    drop(ticker);
    while calls.try_recv().is_ok() {}
    assert_eq!(calls.recv(), Err(mpsc::RecvError), "the thread and what it held are gone");
}

#[test]
fn ends_at_once_however_long_the_interval() {
    drop(Ticker::start("ticker", Duration::from_secs(3600), || {}).unwrap());
}
