#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::views::kind::{Ask, ViewDecl};

fn shard(start: Tick, history_ticks: u64) -> Shard<u64, u64> {
    let (key, value) = ("u64".into(), "u64".into());
    let decl = ViewDecl { name: "v".into(), keyed: true, key, value, history_ticks };
    Shard::new(Arc::new(Kind::new(decl)), start)
}

fn rows(shard: &mut Shard<u64, u64>, tick: Tick, limit: usize, pin: bool) -> RowsPart<u64, u64> {
    let plan = shard.kind().plan(&Ask { limit, ..Ask::default() }).unwrap();
    *shard.read(&plan, tick, pin).map_err(|miss| format!("{miss:?}")).unwrap().downcast().unwrap()
}

#[test]
fn changes_are_seen_when_their_tick_is_complete_whatever_order_they_came_in() {
    let mut shard = shard(1, 4);
    shard.push(2, 1, 10, -1);
    shard.push(1, 1, 10, 1);
    shard.push(2, 1, 20, 1);
    shard.complete(1).unwrap();
    assert_eq!(rows(&mut shard, 1, 9, false).rows, [(1, 10, 1)]);
    shard.complete(7).unwrap();
    assert_eq!(rows(&mut shard, 7, 9, false).rows, [(1, 20, 1)]);
    assert_eq!(rows(&mut shard, 1, 9, false).rows, [(1, 10, 1)]);
    shard.push(7, 1, 1, 1);
    let error = shard.complete(8).unwrap_err();
    assert!(error.message().starts_with("view v: "), "{error}");
}

#[test]
fn more_is_told_and_the_tick_of_an_unfinished_scan_stays() {
    let mut shard = shard(1, 1);
    (0..3).for_each(|key| shard.push(1, key, 0, 1));
    shard.complete(1).unwrap();
    assert!(!rows(&mut shard, 1, 3, true).more);
    assert!(shard.pins.is_empty());
    assert!(rows(&mut shard, 1, 2, true).more);
    shard.push(50, 0, 0, -1);
    shard.complete(50).unwrap();
    shard.release(50);
    assert_eq!(shard.kept(), (1, 50));
    assert_eq!(rows(&mut shard, 1, 9, false).rows.len(), 3);
    *shard.pins.get_mut(&1).unwrap() = clock::instant();
    shard.release(50);
    assert_eq!(shard.kept(), (50, 50));
}

#[test]
fn changes_stop_after_a_whole_tick() {
    let mut shard = shard(10, 64);
    for tick in 10..20 {
        (0..3).for_each(|key| shard.push(tick, key, tick, 1));
    }
    shard.complete(25).unwrap();
    let parts = shard.changes(11, 25, 5).unwrap();
    assert_eq!(parts.through, 12);
    assert_eq!(parts.ticks.iter().map(|(tick, _)| *tick).collect::<Vec<_>>(), [11, 12]);
    assert!(parts.bytes > 0);
    let rest = shard.changes(13, 25, 1000).unwrap();
    assert_eq!((rest.through, rest.ticks.len()), (25, 7));
    assert_eq!(shard.changes(10, 25, 5).err(), Some(Miss::Gone { oldest: 11 }));
}
