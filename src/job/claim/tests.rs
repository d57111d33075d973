#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

/// What becomes of a put.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Works,
    /// The answer is lost, and it was done.
    LostAfter,
    /// The answer is lost, and it was not done.
    LostBefore,
    /// Somebody else makes the object first.
    Overtaken,
    /// The store can't be reached.
    Down,
}

#[derive(Default)]
struct Memory {
    objects: RefCell<BTreeMap<String, Vec<u8>>>,
    fates: RefCell<VecDeque<Fate>>,
}

fn claimant(nonce: u64, log_id: u64) -> Claimant {
    let place = format!("/logs/{log_id}");
    Claimant { nonce: Nonce(nonce), log_id: Nonce(log_id), place, newest_open: None }
}

impl Objects for Memory {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.objects.borrow().get(name).cloned())
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let mut objects = self.objects.borrow_mut();
        let fate = self.fates.borrow_mut().pop_front().unwrap_or(Fate::Works);
        match fate {
            Fate::Overtaken => {
                let mut other: Claim = serde_json::from_slice(bytes).unwrap();
                other.nonce = Nonce(u64::MAX);
                objects.insert(name.into(), serde_json::to_vec(&other).unwrap());
            }
            Fate::LostBefore => return Err(Error::new(Kind::Undecided, "lost")),
            Fate::Down => return Err(Error::new(Kind::Retry, "down")),
            Fate::Works | Fate::LostAfter => {}
        }
        let made = !objects.contains_key(name);
        objects.entry(name.into()).or_insert_with(|| bytes.to_vec());
        match fate {
            Fate::LostAfter => Err(Error::new(Kind::Undecided, "lost")),
            _ => Ok(made),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let inside = format!("{prefix}/");
        let objects = self.objects.borrow();
        Ok(objects.keys().filter(|name| name.starts_with(&inside)).cloned().rev().collect())
    }
}

#[test]
fn numbers_follow_each_other() {
    let store = Memory::default();
    assert_eq!(newest(&store).unwrap(), None);
    for n in 1..=11 {
        let claim = claim(&store, &claimant(n, 7)).unwrap();
        assert_eq!((claim.generation, claim.nonce), (Generation(n), Nonce(n)));
        assert_eq!(newest(&store).unwrap(), Some(claim));
    }
    let first = String::from_utf8(store.objects.borrow().values().next().unwrap().clone());
    expect_test::expect![[r#"{"generation":1,"nonce":"0000000000000001","log_id":"0000000000000007","place":"/logs/7"}"#]].assert_eq(&first.unwrap());
    expect_test::expect!["generation/00000000000000000001"]
        .assert_eq(store.objects.borrow().keys().next().unwrap());
}

#[test]
fn other_objects_are_no_claims_and_the_log_may_know_more() {
    let store = Memory::default();
    for name in ["generation/readme", "generations/00000000000000000009", "segment/4"] {
        store.objects.borrow_mut().insert(name.into(), b"x".to_vec());
    }
    let claimed = claim(&store, &Claimant { newest_open: Some(Generation(4)), ..claimant(1, 7) });
    assert_eq!(claimed.unwrap().generation, Generation(5));
}

/// PROTOCOL 1: "exists already" with one's own nonce is success.
#[test]
fn lost_answers_and_lost_races() {
    use Fate::{Down, LostAfter, LostBefore, Overtaken};
    #[rustfmt::skip]
    let table: &[(&[Fate], Result<u64, Kind>, usize)] = &[
        (&[], Ok(1), 1),
        (&[LostAfter], Ok(1), 1),
        (&[LostBefore], Ok(1), 1),
        (&[LostBefore, LostAfter], Ok(1), 1),
        (&[Overtaken], Ok(2), 2),
        (&[Overtaken, LostBefore, Overtaken, LostAfter], Ok(3), 3),
        (&[Overtaken; 8], Err(Kind::Retry), 8),
        (&[LostBefore; 8], Err(Kind::Retry), 0),
        (&[Down], Err(Kind::Retry), 0),
    ];
    for (fates, expected, objects) in table {
        let store = Memory::default();
        store.fates.borrow_mut().extend(*fates);
        let claimed = claim(&store, &claimant(1, 7)).map(|c| c.generation.0).map_err(|e| e.kind());
        assert_eq!(claimed, *expected, "{fates:?}");
        assert_eq!(store.objects.borrow().len(), *objects, "{fates:?}");
    }
}

/// 27: a lost log that was made anew has another id, and nothing is claimed with it.
#[test]
fn a_lost_or_foreign_log_is_refused() {
    let store = Memory::default();
    claim(&store, &claimant(1, 7)).unwrap();
    let error = claim(&store, &claimant(2, 8)).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    for part in ["/logs/7", "/logs/8", "0000000000000007", "0000000000000008", "generation 1"] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    assert_eq!(store.objects.borrow().len(), 1);
}

#[test]
fn a_damaged_claim_is_named() {
    let store = Memory::default();
    claim(&store, &claimant(1, 7)).unwrap();
    store.objects.borrow_mut().values_mut().for_each(|bytes| bytes.truncate(9));
    let error = claim(&store, &claimant(2, 7)).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.message().contains("generation/00000000000000000001"), "{error}");
}

#[test]
fn claims_in_the_state_store_itself() {
    let store = Store::in_memory().unwrap();
    store.put_if_absent("segment/1", "x").unwrap();
    for n in 1..=2 {
        assert_eq!(claim(&store, &claimant(n, 7)).unwrap().generation, Generation(n));
    }
    assert_eq!(newest(&store).unwrap().map(|c| c.nonce), Some(Nonce(2)));
    assert_eq!(claim(&store, &claimant(3, 8)).unwrap_err().kind(), Kind::Config);
}
