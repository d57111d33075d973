#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

/// Real signals to this process: they arrive one after the other, and the process lives on.
#[test]
fn the_first_signal_asks_cleanly_the_next_at_once() {
    let (sender, receiver) = mpsc::channel();
    watch(move |urgency| {
        let _ = sender.send(urgency);
    })
    .unwrap();
    let me = std::process::id().to_string();
    for (signal, expected) in
        [("-TERM", Urgency::Clean), ("-INT", Urgency::AtOnce), ("-TERM", Urgency::AtOnce)]
    {
        assert!(Command::new("kill").args([signal, &me]).status().unwrap().success());
        assert_eq!(receiver.recv_timeout(Duration::from_secs(30)), Ok(expected), "{signal}");
    }
}
