//! Workers without a dataflow: threads that hold shards and serve an inbox, fed tick by tick by a test. For tests of views and of HTTP.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::inbox::Inbox;
use super::kind::{Kind, ViewDecl};
use super::shard::{Shard, Shards, ViewShard};
use crate::ids::{Diff, Generation, Tick};
use crate::job::shared::Shared;
use crate::telemetry::status::State;
use crate::ticks::record::{Decision, TickRecord};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle, Thread};

/// The table at one tick: value by key.
pub(crate) type Table = BTreeMap<u64, u64>;

enum Step {
    Tick(Tick, Vec<(u64, u64, Diff)>),
    /// Waits at the barrier twice: no request is served in between.
    Pause(Arc<Barrier>),
    Stop,
}

/// A job with the keyed view `visits` and, of the same keys, the view `users` without values.
pub(crate) struct FakeJob {
    pub(crate) shared: Arc<Shared>,
    workers: Vec<(Sender<Step>, Thread, Option<JoinHandle<()>>)>,
    table: Table,
    /// The table at every tick.
    pub(crate) oracle: BTreeMap<Tick, Table>,
}

fn decl(name: &str, keyed: bool, history_ticks: u64) -> ViewDecl {
    let (key, value) = ("u64".to_owned(), if keyed { "u64".to_owned() } else { String::new() });
    ViewDecl { name: name.to_owned(), keyed, key, value, history_ticks }
}

struct Worker {
    steps: Receiver<Step>,
    inbox: Inbox,
    shared: Arc<Shared>,
    visits: Rc<RefCell<Shard<u64, u64>>>,
    users: Rc<RefCell<Shard<u64, ()>>>,
}

impl Worker {
    fn run(mut self) {
        let mut shards = Shards::new();
        shards.insert("visits".into(), self.visits.clone());
        shards.insert("users".into(), self.users.clone());
        let mut complete = 0;
        loop {
            let mut again = false;
            while let Ok(step) = self.steps.try_recv() {
                match step {
                    Step::Tick(tick, changes) => {
                        for (key, value, diff) in changes {
                            self.visits.borrow_mut().push(tick, key, value, diff);
                            self.users.borrow_mut().push(tick, key, (), diff);
                        }
                        complete = tick;
                    }
                    Step::Pause(barrier) => {
                        barrier.wait();
                        barrier.wait();
                        // Serves before the next step, which may be another pause.
                        again = true;
                        break;
                    }
                    Step::Stop => return,
                }
            }
            self.inbox.serve(&shards, complete, self.shared.released().now()).unwrap();
            if !again {
                thread::park();
            }
        }
    }
}

impl FakeJob {
    pub(crate) fn start(workers: usize, history_ticks: u64) -> FakeJob {
        let shared = Shared::new("visits-job", "program-1", workers);
        shared.update(|status| {
            status.generation = Generation(3);
            status.state = State::Running;
        });
        let ready = Arc::new(Barrier::new(workers + 1));
        let workers = (0..workers)
            .map(|index| {
                let (sender, steps) = channel();
                let (shared, ready) = (shared.clone(), ready.clone());
                let handle = thread::spawn(move || {
                    let me = thread::current();
                    let router = shared.router();
                    let inbox = router.attach(index, Arc::new(move || me.unpark()));
                    let visits = Arc::new(Kind::new(decl("visits", true, history_ticks)));
                    let users = Arc::new(Kind::new(decl("users", false, history_ticks)));
                    let visits = Rc::new(RefCell::new(Shard::new(visits, 1)));
                    let users = Rc::new(RefCell::new(Shard::new(users, 1)));
                    router.declare(visits.borrow().kind());
                    router.declare(users.borrow().kind());
                    ready.wait();
                    Worker { steps, inbox, shared, visits, users }.run();
                });
                (sender, handle.thread().clone(), Some(handle))
            })
            .collect();
        ready.wait();
        FakeJob {
            shared,
            workers,
            table: Table::new(),
            oracle: BTreeMap::from([(0, Table::new())]),
        }
    }

    fn send(&self, worker: usize, step: Step) {
        let (sender, thread, _) = &self.workers[worker];
        sender.send(step).unwrap();
        thread.unpark();
    }

    /// Sets keys to values (`None` removes) at `tick` and completes it on every worker but those `held` back.
    pub(crate) fn set(&mut self, tick: Tick, rows: &[(u64, Option<u64>)], held: &[usize]) {
        let mut changes = vec![Vec::new(); self.workers.len()];
        for (key, value) in rows {
            let of = &mut changes[*key as usize % self.workers.len()];
            if let Some(old) = self.table.remove(key) {
                of.push((*key, old, -1));
            }
            if let Some(value) = value {
                self.table.insert(*key, *value);
                of.push((*key, *value, 1));
            }
        }
        self.oracle.insert(tick, self.table.clone());
        for (worker, changes) in changes.into_iter().enumerate().filter(|(w, _)| !held.contains(w))
        {
            self.send(worker, Step::Tick(tick, changes));
        }
    }

    /// Completes a tick without changes on one worker.
    pub(crate) fn catch_up(&self, worker: usize, tick: Tick) {
        self.send(worker, Step::Tick(tick, Vec::new()));
    }

    pub(crate) fn release(&self, tick: Tick) {
        let decision = Decision {
            tick,
            wall: 1_000_000 * tick as i64,
            watermarks: BTreeMap::from([("clicks".to_owned(), 5 * tick as i64)]),
            snapshot: false,
            inlets: Vec::new(),
            commands: Vec::new(),
        };
        self.shared.release(TickRecord { generation: Generation(3), decision, ranges: Vec::new() });
        self.workers.iter().for_each(|(_, thread, _)| thread.unpark());
    }

    /// A tick, complete and released everywhere.
    pub(crate) fn tick(&mut self, tick: Tick, rows: &[(u64, Option<u64>)]) {
        self.set(tick, rows, &[]);
        self.release(tick);
    }

    /// Stops all workers from serving until the barrier is waited for once more.
    pub(crate) fn pause(&self) -> Arc<Barrier> {
        let barrier = Arc::new(Barrier::new(self.workers.len() + 1));
        (0..self.workers.len()).for_each(|worker| self.send(worker, Step::Pause(barrier.clone())));
        barrier.wait();
        barrier
    }

    /// Comes back when every worker has served its inbox once more, without giving tasks of this thread a turn.
    pub(crate) fn served(&self) {
        self.pause().wait();
        self.pause().wait();
    }

    /// What `visits` at `tick` is as JSON rows.
    pub(crate) fn rows_at(&self, tick: Tick) -> Vec<String> {
        let (_, table) = self.oracle.range(..=tick).next_back().unwrap();
        table.iter().map(|(key, value)| format!("{{\"key\":{key},\"value\":{value}}}")).collect()
    }
}

impl Drop for FakeJob {
    fn drop(&mut self) {
        for (sender, thread, handle) in &mut self.workers {
            // A worker that is gone has failed the test already.
            let _ = sender.send(Step::Stop);
            thread.unpark();
            if let Some(handle) = handle.take() {
                let ended = handle.join();
                assert!(ended.is_ok() || thread::panicking(), "a worker panicked");
            }
        }
    }
}
