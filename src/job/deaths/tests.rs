#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::ids::Nonce;
use crate::job::claim::{Claimant, claim};

fn lead(store: &Store) -> Generation {
    let (nonce, log_id) = (crate::random::nonce(), Nonce(7));
    let claimant = Claimant { nonce, log_id, place: "a test".into(), newest_open: None };
    claim(store, &claimant).unwrap().generation
}

fn die(store: &Store, build: &str, told: &str) {
    die_at(9, store, build, told);
}

fn die_at(tick: Tick, store: &Store, build: &str, told: &str) {
    let deaths = Deaths { store: store.clone(), generation: lead(store), build: build.into() };
    deaths.note(tick, told);
}

#[test]
fn the_same_panic_three_times_in_a_row_is_one_too_many() {
    let store = Store::in_memory().unwrap();
    assert_eq!(repeated(&store, "one").unwrap(), None);
    for _ in 0..2 {
        die(&store, "one", "no fives");
        assert_eq!(repeated(&store, "one").unwrap(), None);
    }
    die(&store, "one", "no fives");
    let death = repeated(&store, "one").unwrap().unwrap();
    assert_eq!((death.generation, death.tick), (Generation(3), 9));
    assert!(death.to_string().contains("at tick 9 with the same panic: no fives"), "{death}");
    // Another build has not died of it.
    assert_eq!(repeated(&store, "two").unwrap(), None);
    forget(&store).unwrap();
    assert_eq!(repeated(&store, "one").unwrap(), None);
}

#[test]
fn another_panic_or_another_end_between_them_begins_anew() {
    let store = Store::in_memory().unwrap();
    for told in ["no fives", "no fives", "no sixes", "no sixes"] {
        die(&store, "one", told);
        assert_eq!(repeated(&store, "one").unwrap(), None);
    }
    // Killed, or stopped.
    lead(&store);
    die(&store, "one", "no sixes");
    assert_eq!(repeated(&store, "one").unwrap(), None);
}

#[test]
fn a_replay_that_dies_before_it_is_through_the_first_tick_died_where_the_last_one_did() {
    let store = Store::in_memory().unwrap();
    let at = |store: &Store| newest(store).unwrap().unwrap().tick;
    die_at(30, &store, "one", "no fives");
    die_at(1, &store, "one", "no fives");
    assert_eq!(at(&store), 30);
    die_at(31, &store, "one", "no fives");
    assert_eq!(at(&store), 31);
    // Another panic is another matter.
    die_at(2, &store, "one", "no sixes");
    assert_eq!(at(&store), 2);
}
