#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::ids::Generation;
use crate::job::patience::persist;
use crate::state::faults::Faults;
use crate::ticks::counts::{Counter, Verdict};
use crate::ticks::fixtures::*;
use crate::ticks::log::thread::{Event, LogThread, Settings};
use crate::ticks::log::{append_and_count, read_and_count};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use tempfile::TempDir;

mod damage;
mod late;

/// A store over the network, as far as the log can tell, and a local one.
fn stores() -> (TempDir, [Store; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let local = Store::open(dir.path().to_str().unwrap()).unwrap();
    (dir, [Store::in_memory().unwrap(), local])
}

fn hold(store: &Store) -> StoreLog {
    StoreLog::open(store.clone()).unwrap()
}

fn all(log: &mut StoreLog) -> Result<Vec<(Position, Record)>> {
    let mut seen = Vec::new();
    log.read(&mut |position, record| {
        seen.push((position, record));
        Ok(())
    })?;
    Ok(seen)
}

fn records(store: &Store) -> Vec<Record> {
    all(&mut hold(store)).unwrap().into_iter().map(|(_, record)| record).collect()
}

fn own(entries: &[Entry]) -> Vec<(bool, Record)> {
    entries.iter().map(|e| (e.own, e.record.clone())).collect()
}

/// A leader of `generation` on the store, its log read and its open counted.
fn lead(store: &Store, generation: u64) -> (StoreLog, Counter) {
    let (mut log, mut counter) = (hold(store), Counter::new());
    read_and_count(&mut log, &mut counter).unwrap();
    let verdicts = append_and_count(&mut log, &mut counter, &[open(generation)]).unwrap();
    assert_eq!(verdicts, [Verdict::Counts]);
    (log, counter)
}

/// Appends ticks of the log's leader up to `last`, then a state, and cuts the log there.
fn tick_and_cut(log: &mut StoreLog, counter: &mut Counter, last: u64) {
    let generation = counter.generation().unwrap().0;
    for t in counter.last_tick() + 1..=last {
        append_and_count(log, counter, &[tick(generation, t)]).unwrap();
    }
    let state = Record::State(counter.state().unwrap());
    append_and_count(log, counter, &[state]).unwrap();
    let position = counter.cut_for(last).unwrap();
    log.cut(position).unwrap();
    counter.was_cut(position);
}

#[test]
fn what_was_appended_is_read_again_under_the_same_id() {
    for store in stores().1 {
        let mut log = hold(&store);
        let id = log.log_id();
        assert_eq!(all(&mut log).unwrap(), []);
        let first = log.append(&[open(1)]).unwrap();
        let group = log.append(&[tick(1, 1), tick(1, 2)]).unwrap();
        assert_eq!(all(&mut log).unwrap(), [], "what one has appended is known");
        assert_eq!(store.list(LOG).unwrap().len(), 3, "one object an append");

        let mut log = hold(&store);
        assert_eq!(log.log_id(), id);
        let entries = first.into_iter().chain(group).map(|e| (e.position, e.record));
        assert_eq!(all(&mut log).unwrap(), entries.collect::<Vec<_>>());
    }
}

#[test]
fn an_append_gives_what_was_not_read() {
    let store = Store::in_memory().unwrap();
    hold(&store).append(&[open(1), tick(1, 1)]).unwrap();
    let mut log = hold(&store);
    let given = log.append(&[open(2)]).unwrap();
    assert_eq!(own(&given), [(false, open(1)), (false, tick(1, 1)), (true, open(2))]);

    let mut log = hold(&store);
    let stopped = log.read(&mut |_, _| Err(Error::internal("stop")));
    assert_eq!(stopped.unwrap_err().message(), "stop");
    let given = log.append(&[open(3)]).unwrap();
    assert_eq!(
        own(&given),
        [(false, tick(1, 1)), (false, open(2)), (true, open(3))],
        "from where the reader stopped"
    );
}

#[test]
fn writers_that_race_never_share_a_place_and_all_read_one_order() {
    const EACH: u64 = 40;
    for store in stores().1 {
        let writers: Vec<_> = (1..=4_u64)
            .map(|writer| {
                let mut log = hold(&store);
                std::thread::spawn(move || {
                    let append = |t| log.append(&[tick(writer, t)]).unwrap();
                    let given: Vec<_> = (1..=EACH).flat_map(append).collect();
                    let tail = all(&mut log).unwrap();
                    let seen = given.iter().map(|e| (e.position, e.record.clone())).chain(tail);
                    let own = given.iter().filter(|e| e.own).map(|e| e.record.clone());
                    (seen.collect::<Vec<_>>(), own.collect::<Vec<_>>())
                })
            })
            .collect();
        let seen: Vec<_> = writers.into_iter().map(|w| w.join().unwrap()).collect();
        let log = all(&mut hold(&store)).unwrap();
        assert_eq!(log.len() as u64, 4 * EACH);
        assert!(log.windows(2).all(|w| w[0].0 < w[1].0));
        for (writer, (seen, own)) in (1..).zip(seen) {
            assert_eq!(seen, log[..seen.len()], "what writer {writer} saw");
            assert_eq!(own, (1..=EACH).map(|t| tick(writer, t)).collect::<Vec<_>>());
        }
    }
}

#[test]
fn lost_answers_and_failures_hold_a_log_up_and_repeat_nothing() {
    for seed in 0..3 {
        let store = Store::in_memory().unwrap();
        let faulty = store.with_faults(Arc::new(Faults::seeded(seed, 25)));
        let patience = Duration::from_secs(60);
        let mut log = persist("opening", patience, || StoreLog::open(faulty.clone())).unwrap();
        persist("reading", patience, || all(&mut log)).unwrap();
        let expected: Vec<_> = [open(1)].into_iter().chain((1..=12).map(|t| tick(1, t))).collect();
        for record in &expected {
            let given = log.append(std::slice::from_ref(record)).unwrap();
            assert_eq!(own(&given), [(true, record.clone())], "seed {seed}");
        }
        assert_eq!(records(&store), expected, "seed {seed}");
    }
}

#[test]
fn a_store_that_is_away_acknowledges_nothing_until_it_is_back() {
    let store = Store::in_memory().unwrap();
    let faults = Arc::new(Faults::crash_after(u64::MAX));
    let mut log = hold(&store.with_faults(Arc::clone(&faults)));
    log.append(&[open(1)]).unwrap();
    faults.crash_in(0);
    let appended = std::thread::spawn(move || log.append(&[tick(1, 1)]).unwrap());
    let before = faults.calls();
    while faults.calls() < before + 3 {
        std::thread::yield_now();
    }
    assert!(!appended.is_finished());
    assert_eq!(records(&store), [open(1)]);
    faults.heal();
    assert_eq!(own(&appended.join().unwrap()), [(true, tick(1, 1))]);
    assert_eq!(records(&store), [open(1), tick(1, 1)]);
}

#[test]
fn a_disk_whose_answer_is_lost_is_not_asked_again() {
    let mut ended = 0;
    for seed in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().to_str().unwrap()).unwrap();
        hold(&store);
        let faulty = store.with_faults(Arc::new(Faults::seeded(seed, 20)));
        let patience = Duration::from_secs(60);
        let mut log = persist("opening", patience, || StoreLog::open(faulty.clone())).unwrap();
        persist("reading", patience, || all(&mut log)).unwrap();
        let mut known = Vec::new();
        for t in 1..=10 {
            match log.append(&[tick(1, t)]) {
                Ok(_) => known.push(tick(1, t)),
                Err(error) => {
                    assert_eq!(error.kind(), Kind::Undecided, "{error}");
                    ended += 1;
                    assert_eq!(log.append(&[tick(1, 99)]).unwrap_err().kind(), Kind::Undecided);
                    break;
                }
            }
        }
        assert!(records(&store).starts_with(&known), "seed {seed}");
    }
    assert!(ended > 2, "{ended} of 8 disks have lost an answer");
}

#[test]
fn a_leader_is_told_who_has_deposed_it() {
    for store in stores().1 {
        let (log, counter) = lead(&store, 1);
        let (told, events) = channel();
        let on = move |event| told.send(event).unwrap();
        let settings = Settings { look_after: Duration::from_secs(600), ..Settings::default() };
        let thread = LogThread::start(Box::new(log), counter, Generation(1), settings, on).unwrap();
        thread.appender().append(tick(1, 1)).unwrap();
        assert_eq!(events.recv().unwrap(), Event::Counted(tick(1, 1)));
        let (mut other, mut view) = lead(&store, 2);
        thread.appender().append(tick(1, 2)).unwrap();
        assert_eq!(events.recv().unwrap(), Event::Deposed { by: Generation(2) });
        thread.stop();

        let verdicts = append_and_count(&mut other, &mut view, &[tick(2, 2)]).unwrap();
        assert_eq!(verdicts, [Verdict::Counts]);
        let expected = [open(1), tick(1, 1), open(2), tick(2, 2)];
        assert_eq!(records(&store), expected, "nothing was appended behind the open");
    }
}

#[test]
fn a_cut_log_begins_with_its_state_and_keeps_every_open() {
    for store in stores().1 {
        let (mut a, mut a_view) = lead(&store, 1);
        tick_and_cut(&mut a, &mut a_view, 5);
        let state = Record::State(a_view.state().unwrap());
        assert_eq!(records(&store), std::slice::from_ref(&state));
        let (mut b, mut b_view) = lead(&store, 2);
        tick_and_cut(&mut b, &mut b_view, 9);
        tick_and_cut(&mut b, &mut b_view, 12);
        assert_eq!(records(&store), [Record::State(b_view.state().unwrap())]);

        let names: Vec<_> = store.list("").unwrap().into_iter().map(|o| o.name).collect();
        // Identity, open 1, ticks 1 to 5, state, open 2, ticks 6 to 9, state, ticks 10 to 12, state.
        let kept = [0, 1, 8, 17].map(name);
        assert_eq!(names, [["cut/00000000000000000017".to_owned()].as_slice(), &kept].concat());
        assert_eq!(b.cut(RECORDS_MAX).unwrap_err().kind(), Kind::Internal, "an open, no state");
        let (_, counter) = lead(&store, 3);
        assert_eq!((counter.last_tick(), counter.reaches_back_to()), (12, 12));
    }
}

#[test]
fn a_crash_in_a_cut_leaves_the_whole_log_or_the_cut_one() {
    let mut outcomes = BTreeMap::new();
    for changes in 0.. {
        let store = Store::in_memory().unwrap();
        let faults = Arc::new(Faults::crash_after(u64::MAX));
        let (mut log, mut counter) = lead(&store.with_faults(Arc::clone(&faults)), 1);
        for t in 1..=4 {
            append_and_count(&mut log, &mut counter, &[tick(1, t)]).unwrap();
        }
        let state = Record::State(counter.state().unwrap());
        append_and_count(&mut log, &mut counter, std::slice::from_ref(&state)).unwrap();
        let position = counter.cut_for(4).unwrap();
        faults.crash_in(changes);
        let cut = log.cut(position);
        let read = records(&store);
        assert_eq!(cut.is_ok(), read == [state.clone()], "{cut:?}");
        assert!(cut.is_ok() || read.len() == 6 && cut.unwrap_err().kind() == Kind::Retry);
        let left = store.list(LOG).unwrap().len();
        *outcomes.entry((read.len(), left)).or_insert(0) += 1;

        // The next generation goes on, and its cut takes what was left.
        let (mut next, mut view) = lead(&store, 2);
        tick_and_cut(&mut next, &mut view, 6);
        assert_eq!(store.list(LOG).unwrap().len(), 4, "identity, two opens, state");
        if left == 3 {
            break;
        }
    }
    let seen: Vec<_> = outcomes.into_keys().collect();
    assert_eq!(seen, [(1, 3), (1, 7), (6, 7)]);
}
