//! A log that is not as it was written is refused, by the name of the object.

use super::*;

/// A store with an open and three ticks, an object each, from number 1 on.
fn written() -> Store {
    let store = Store::in_memory().unwrap();
    let (mut log, mut counter) = lead(&store, 1);
    for t in 1..=3 {
        append_and_count(&mut log, &mut counter, &[tick(1, t)]).unwrap();
    }
    store
}

#[track_caller]
fn refused(store: &Store, number: u64, words: &str) {
    let outcome = StoreLog::open(store.clone()).and_then(|mut log| all(&mut log));
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt, "{error}");
    assert!(error.message().contains(&name(number)), "{error}");
    assert!(error.message().contains(words), "{error}");
}

#[test]
fn a_missing_object() {
    for number in 1..4 {
        let store = written();
        store.delete(&name(number)).unwrap();
        refused(&store, number, "is missing, but log/00000000000000000004 is there");
    }
    let store = written();
    store.delete(&name(IDENTITY)).unwrap();
    refused(&store, IDENTITY, "is missing");
}

#[test]
fn the_object_at_which_the_log_was_cut() {
    for also in [0, 1] {
        let store = Store::in_memory().unwrap();
        let (mut log, mut counter) = lead(&store, 1);
        tick_and_cut(&mut log, &mut counter, 2);
        for t in 3..3 + also {
            append_and_count(&mut log, &mut counter, &[tick(1, t)]).unwrap();
        }
        store.delete(&name(4)).unwrap();
        refused(&store, 4, "is missing");
    }
}

#[test]
fn changed_bytes() {
    for number in 0..=4 {
        let store = written();
        let mut bytes = store.get(&name(number)).unwrap().unwrap().to_vec();
        let at = bytes.len() - 1;
        bytes[at] ^= 1;
        store.put(&name(number), bytes).unwrap();
        refused(&store, number, "is damaged at byte");
    }
}

#[test]
fn an_object_in_anothers_place() {
    let store = written();
    let bytes = store.get(&name(2)).unwrap().unwrap();
    store.put(&name(3), bytes).unwrap();
    refused(&store, 3, "has the bytes of log/00000000000000000002");

    let store = written();
    let bytes = written().get(&name(3)).unwrap().unwrap();
    store.put(&name(3), bytes).unwrap();
    refused(&store, 3, "belongs to another log");
}

#[test]
fn damage_met_by_a_writer() {
    let store = written();
    let mut log = hold(&store);
    assert_eq!(all(&mut log).unwrap().len(), 4);
    store.put(&name(5), "no object of a log").unwrap();
    let error = log.append(&[tick(1, 4)]).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt, "{error}");
    assert!(error.message().contains(&name(5)), "{error}");
}
