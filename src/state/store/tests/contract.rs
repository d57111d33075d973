//! What every store keeps, whatever is behind it. The tests over a real server (`tests/tests/s3/`) include this file.

use super::{Put, Store};

/// Asks all of it of `store`, which is empty and is so afterwards.
pub(crate) fn keeps(store: &Store) {
    objects_are_made_once_read_listed_and_deleted(store);
    of_many_that_make_one_object_one_has_made_it(store);
    names_are_listed_in_order_from_any_place_on(store);
    assert_eq!(store.list("").unwrap(), []);
}

fn objects_are_made_once_read_listed_and_deleted(store: &Store) {
    assert_eq!(store.get("a/1").unwrap(), None);
    assert_eq!(store.get_range("a/1", 0..4).unwrap(), None);
    assert_eq!(store.size("a/1").unwrap(), None);
    assert_eq!(store.put_if_absent("a/1", "first").unwrap(), Put::Created);
    assert_eq!(store.put_if_absent("a/1", "other").unwrap(), Put::Exists);
    assert_eq!(store.get("a/1").unwrap().unwrap(), "first");
    assert_eq!(store.size("a/1").unwrap(), Some(5));
    for (range, expected) in [(1..3, "ir"), (3..9, "st"), (5..9, ""), (9..12, ""), (2..2, "")] {
        assert_eq!(store.get_range("a/1", range).unwrap().unwrap(), expected);
    }
    store.put("b/2", "replaced").unwrap();
    store.put("b/2", "2").unwrap();
    store.put("a/0", "").unwrap();
    let names = |prefix| -> Vec<String> {
        store.list(prefix).unwrap().into_iter().map(|o| o.name).collect()
    };
    assert_eq!(names(""), ["a/0", "a/1", "b/2"]);
    assert_eq!(names("a"), ["a/0", "a/1"]);
    assert_eq!(names("c"), [""; 0]);
    store.delete("a/1").unwrap();
    store.delete("a/1").unwrap();
    assert_eq!(names("a"), ["a/0"]);
    // What is deleted can be made again: nothing remembers it.
    assert_eq!(store.put_if_absent("a/1", "again").unwrap(), Put::Created);
    store.delete_all(&["a/0", "a/1", "a/2", "b/2"].map(str::to_owned)).unwrap();
}

fn of_many_that_make_one_object_one_has_made_it(store: &Store) {
    for round in 0..20 {
        let name = format!("g/{round}");
        let outcomes: Vec<Put> = std::thread::scope(|scope| {
            let make = |i| store.put_if_absent(&name, vec![i; 1000]).unwrap();
            let threads: Vec<_> = (0..8).map(|i| scope.spawn(move || make(i))).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let made = outcomes.iter().position(|put| *put == Put::Created).unwrap();
        assert_eq!(outcomes.iter().filter(|put| **put == Put::Created).count(), 1);
        assert_eq!(store.get(&name).unwrap().unwrap(), vec![u8::try_from(made).unwrap(); 1000]);
        store.delete(&name).unwrap();
    }
}

fn names_are_listed_in_order_from_any_place_on(store: &Store) {
    let name = |number: usize| format!("log/{number:020}");
    for number in (0..12).rev() {
        store.put(&name(number), vec![0; number]).unwrap();
    }
    store.put("logs/x", "of another kind").unwrap();
    let listed = store.list_after("log", &name(8)).unwrap();
    let expected = (9..12).map(|n| (name(n), n as u64));
    assert!(listed.into_iter().map(|o| (o.name, o.bytes)).eq(expected));
    let mut all: Vec<String> = (0..12).map(name).collect();
    all.push("logs/x".to_owned());
    store.delete_all(&all).unwrap();
}
