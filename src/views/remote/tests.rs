//! A router whose workers are all another process's, over a way that loses nothing: it answers as the router there does.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::super::fixture::FakeJob;
use super::super::follow::{FollowLimits, Follows};
use super::super::kind::Ask;
use super::super::released::Released;
use super::super::router::{At, Router};
use super::{Answer, Answering, Question, Relay};
use crate::ids::Generation;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

enum Sent {
    Question(usize, u64, Question),
    Answer(u64, Answer),
}

/// A job, and a router that reaches its workers through text only.
struct Far {
    job: FakeJob,
    router: Arc<Router>,
    seen: Arc<Mutex<Vec<Question>>>,
    runtime: tokio::runtime::Runtime,
}

/// Carries what both ends say, as JSON, until both are gone.
fn carry(sent: &Receiver<Sent>, relay: &Relay, answering: &Answering, seen: &Mutex<Vec<Question>>) {
    while let Ok(sent) = sent.recv() {
        match sent {
            Sent::Question(worker, id, question) => {
                let text = serde_json::to_string(&question).unwrap();
                seen.lock().unwrap().push(question);
                answering.asked(worker, id, serde_json::from_str(&text).unwrap());
            }
            Sent::Answer(id, answer) => {
                let text = serde_json::to_string(&answer).unwrap();
                relay.answered(id, serde_json::from_str(&text).unwrap());
            }
        }
    }
}

impl Far {
    fn new(workers: usize) -> Far {
        let job = FakeJob::start(workers, 64);
        let released: Arc<Released> = job.shared.released().clone();
        let router = Arc::new(Router::new(workers, released));
        for decl in job.shared.router().views() {
            router.declare(job.shared.router().view(&decl.name).unwrap());
        }
        let (sender, sent): (Sender<Sent>, _) = channel();
        let asking = sender.clone();
        let relay = Relay::new(&router, move |worker, id, question| {
            asking.send(Sent::Question(worker, id, question)).unwrap();
            Ok(())
        });
        let say = move |id, answer| {
            // The carrier is gone only when the test is over.
            drop(sender.send(Sent::Answer(id, answer)));
            Ok(())
        };
        let answering = Answering::start(job.shared.router().clone(), 1 << 20, say).unwrap();
        (0..workers).for_each(|worker| router.attach_port(worker, relay.port(worker)));
        let seen: Arc<Mutex<Vec<Question>>> = Arc::default();
        let noted = seen.clone();
        thread::spawn(move || carry(&sent, &relay, &answering, &noted));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        Far { job, router, seen, runtime }
    }
}

#[test]
fn pages_sizes_and_changes_are_those_of_the_near_router() {
    for workers in 1..=3 {
        let mut far = Far::new(workers);
        for tick in 1..=20 {
            far.job.tick(tick, &[(tick % 7, Some(tick)), (tick % 5 + 10, None)]);
        }
        let near = far.job.shared.router().clone();
        far.runtime.block_on(async {
            for tick in [3, 20] {
                let ask = Ask { limit: 4, ..Ask::default() };
                let page = far.router.query("visits", &ask, At::Tick(tick)).await.unwrap();
                assert_eq!(page.0, tick);
                assert_eq!(page, near.query("visits", &ask, At::Tick(tick)).await.unwrap());
                let ask = Ask { key: Some("3".into()), limit: 1, ..Ask::default() };
                let point = far.router.query("users", &ask, At::Tick(tick)).await.unwrap();
                assert_eq!(point.1.rows, ["{\"row\":3}"]);
            }
            let size = far.router.status("visits").await.unwrap();
            assert_eq!(size, near.status("visits").await.unwrap());
            let changes = far.router.changes("visits", 2, 19, 5).await.unwrap();
            assert!(!changes.0.is_empty());
            assert_eq!(changes, near.changes("visits", 2, 19, 5).await.unwrap());
        });
    }
}

#[test]
fn a_refusal_comes_back_as_it_was_said() {
    let mut far = Far::new(2);
    for tick in 1..=100 {
        far.job.tick(tick, &[(1, Some(tick))]);
    }
    // What has left the history is let go of by then.
    far.job.served();
    let near = far.job.shared.router().clone();
    let ask = Ask { limit: 1, ..Ask::default() };
    far.runtime.block_on(async {
        let gone = far.router.query("visits", &ask, At::Tick(1)).await.unwrap_err();
        assert_eq!(gone, near.query("visits", &ask, At::Tick(1)).await.unwrap_err());
        assert!(gone.to_string().contains("left the history"), "{gone}");
    });
}

#[test]
fn a_feed_brings_every_tick_and_is_left_when_nobody_reads_it() {
    let mut far = Far::new(2);
    far.job.tick(1, &[(1, Some(1))]);
    let limits = FollowLimits { linger: Duration::ZERO, ..FollowLimits::default() };
    let follows = Follows::new(far.router.clone(), limits);
    let follow = async {
        let mut subscription = follows.open("visits", None, Generation(3)).await.unwrap();
        for tick in 2..=5 {
            far.job.tick(tick, &[(tick, Some(tick)), (1, Some(tick))]);
        }
        let mut text = String::new();
        while !text.contains("id: 3-5\n") {
            let more = subscription.next().await.expect("the feed goes on");
            text.push_str(std::str::from_utf8(&more).unwrap());
        }
        text
    };
    let text = far.runtime.block_on(follow);
    let changes: Vec<_> = text.lines().filter(|line| line.contains("\"diff\":1")).collect();
    assert_eq!(changes.len(), 8, "{text}");
    // The subscriber is gone: with the next ticks each worker's feed is left.
    let mut tick = 5;
    let left = |seen: &[Question]| seen.iter().filter(|q| **q == Question::Leave).count();
    while left(&far.seen.lock().unwrap()) < 2 {
        tick += 1;
        assert!(tick < 100_000, "no feed was left over so many ticks");
        far.job.tick(tick, &[(1, Some(tick))]);
        far.job.served();
    }
}
