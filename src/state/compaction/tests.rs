#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::state::garbage::{Roots, collect, listing};
use crate::state::persister::Settings;
use crate::state::restore::Snapshot;
use crate::state::tests::world::World;

fn live(rows: u64) -> Run {
    Run { bytes: rows * 100, puts: rows, removes: 0, tombstones: 0 }
}

/// Name, runs, (quiet, snapshots since the base was merged), what is picked.
type Case = (&'static str, Vec<Run>, (bool, u64), Option<Range<usize>>);

#[test]
fn what_is_merged() {
    let gone = |removes| Run { bytes: removes * 10, puts: 0, removes, tombstones: 0 };
    let window = Run { bytes: 500, puts: 0, removes: 0, tombstones: 1 };
    let busy = (false, 0);
    let quiet = (true, 0);
    let long = (false, FULL_AFTER_SNAPSHOTS);
    let cases: [Case; 17] = [
        ("nothing", vec![], quiet, None),
        ("one clean run", vec![live(1000)], quiet, None),
        ("a base with removals, busy", vec![Run { removes: 100, ..live(1000) }], busy, None),
        (
            "a base with removals, quiet",
            vec![Run { removes: 100, ..live(1000) }],
            quiet,
            Some(0..1),
        ),
        (
            "a base with a tombstone, quiet",
            vec![Run { tombstones: 1, ..live(9) }],
            quiet,
            Some(0..1),
        ),
        ("a tail of half the base", vec![live(1000), live(500)], busy, Some(0..2)),
        ("a tail below half, busy", vec![live(1000), live(400)], busy, None),
        ("a tail below half, quiet", vec![live(1000), live(400)], quiet, Some(0..2)),
        ("a tail below half, for long", vec![live(1000), live(400)], long, Some(0..2)),
        ("a tail below a twentieth, quiet", vec![live(1000), live(40)], quiet, None),
        ("small removals of many rows", vec![live(1000), gone(600)], busy, Some(0..2)),
        ("a window closed, busy", vec![live(1000), window], busy, None),
        ("a window closed, quiet", vec![live(1000), window], quiet, Some(0..2)),
        (
            "four of one size",
            vec![live(1000), live(10), live(10), live(11), live(9)],
            busy,
            Some(1..5),
        ),
        ("three of one size", vec![live(1000), live(10), live(10), live(11)], busy, None),
        ("tiers", vec![live(9000), live(90), live(9), live(8), live(9), live(8)], busy, Some(2..6)),
        (
            "a cascade",
            vec![live(9000), live(60), live(9), live(8), live(9), live(8)],
            busy,
            Some(1..6),
        ),
    ];
    for (name, runs, (quiet, since_full), expected) in cases {
        assert_eq!(pick(&runs, quiet, since_full), expected, "{name}");
    }
}

#[test]
fn runs_stay_few_and_merging_ends() {
    // A long run of small snapshots on a large base, every merge done at once and killing nothing.
    let mut runs = vec![live(1_000_000)];
    let mut rewritten = 0;
    for _ in 0..1_000 {
        runs.push(live(10));
        while let Some(picked) = pick(&runs, false, 0) {
            let merged = runs[picked.clone()].iter().fold(Run::default(), |sum, run| Run {
                bytes: sum.bytes + run.bytes,
                puts: sum.puts + run.puts,
                ..sum
            });
            rewritten += merged.puts;
            runs.splice(picked, [merged]);
        }
        assert!(runs.len() <= 20, "{} runs", runs.len());
    }
    assert!(rewritten < 12 * 10_000, "{rewritten} rows rewritten for 10,000 changed");
}

/// Bytes in the store after so many updates over 1,000 keys, when all has come to rest.
fn bytes_at_rest(updates: u64) -> u64 {
    let store = Store::in_memory().unwrap();
    let settings = Settings::new(crate::ids::Generation(1));
    let mut world = World::start(&store, settings, &["a"], 1, None);
    let mut tick = 0;
    for i in 0..updates {
        let key = i * 7 % 1_000;
        world.buffers[0].put(0, tick + 1, |k| k.extend(key.to_be_bytes()), |v| v.extend([0; 32]));
        if i % 2_000 == 1_999 {
            tick += 1;
            world.snapshot(tick).unwrap();
        }
    }
    let (newest, manifest) = world.settle(tick + 1);
    let listed = listing(&store).unwrap();
    let roots = Roots {
        generation: crate::ids::Generation(1),
        newest,
        manifests: [manifest.clone()].into(),
        held: {
            world.persister.handle().counted(newest);
            world.persister.handle().held()
        },
    };
    let collected = collect(&store, &listed, &roots).unwrap();
    assert!(collected.manifests > 2 && collected.segments > 2, "{collected:?}");
    let rows = Snapshot::load(&store, &manifest).unwrap().rows("a", 0, 1).unwrap();
    assert_eq!(rows.map(Result::unwrap).count(), 1_000);
    store.list("").unwrap().iter().map(|object| object.bytes).sum()
}

#[test]
fn the_store_holds_what_lives_however_much_was_updated() {
    let (once, twice) = (bytes_at_rest(20_000), bytes_at_rest(40_000));
    assert!(once.abs_diff(twice) * 10 <= once, "{once} and {twice} bytes");
    assert!(once < 1_000 * (8 + 32 + 8) + 2_000, "{once} bytes for 1,000 rows");
}

type Rows = std::collections::BTreeMap<Vec<u8>, Vec<u8>>;

/// One segment as the bucket of some workers would leave it: entries (key, tick, value or gone) and tombstones.
type Given = (Vec<(Vec<u8>, Tick, Option<u8>)>, Vec<(Vec<u8>, Tick)>);

fn given() -> impl proptest::strategy::Strategy<Value = Given> {
    use proptest::prelude::*;
    let key = || prop::collection::vec(0_u8..3, 0..4);
    (
        prop::collection::vec((key(), 1_u64..9, prop::option::weighted(0.7, any::<u8>())), 0..25),
        prop::collection::vec((key(), 1_u64..9), 0..3),
    )
}

fn header() -> Header {
    Header {
        uid: "a".to_string(),
        schema: serde_json::Value::Null,
        fingerprint: 0,
        generation: crate::ids::Generation(1),
        first_tick: 1,
        last_tick: 9,
    }
}

fn write(store: &Store, run: u64, (entries, tombstones): &Given) -> SegmentRef {
    let entries: std::collections::BTreeMap<_, _> =
        entries.iter().map(|(key, tick, value)| (key, (*tick, *value))).collect();
    let mut writer = SegmentWriter::new(header(), 20).unwrap();
    for (key, (tick, value)) in entries {
        writer.push(key, tick, value.as_ref().map(std::slice::from_ref)).unwrap();
    }
    let finished = writer.finish(&tombstones.iter().cloned().collect()).unwrap();
    let named = named(&header(), &finished, 9, run, 0);
    store.put(&named.name, finished.bytes).unwrap();
    named
}

fn opened(store: &Store, list: &[SegmentRef]) -> Vec<Arc<Segment>> {
    let open = |named| Arc::new(Segment::open(store, named, Arc::default()).unwrap());
    list.iter().map(open).collect()
}

/// The law of `segment.rs`, word for word.
fn by_law(segments: &[Arc<Segment>]) -> Rows {
    let mut newest = std::collections::BTreeMap::new();
    for (place, segment) in segments.iter().enumerate() {
        for entry in segment.read(0..segment.block_count()).unwrap() {
            let at = (entry.tick, place);
            let known = newest.entry(entry.key.to_vec()).or_insert((at, None));
            if known.0 <= at {
                *known = (at, entry.value);
            }
        }
    }
    let covered = |key: &[u8], at| {
        segments.iter().enumerate().any(|(place, segment)| {
            let mut over = segment.tombstones().iter();
            over.any(|(prefix, tick)| key.starts_with(prefix) && (*tick, place) > at)
        })
    };
    newest
        .into_iter()
        .filter(|(key, (at, _))| !covered(key, *at))
        .filter_map(|(key, (_, value))| Some((key, value?.to_vec())))
        .collect()
}

fn merged(
    store: &Store,
    inputs: &[SegmentRef],
    bottom: bool,
    segment_bytes: usize,
) -> Vec<SegmentRef> {
    let job = Job {
        store: store.clone(),
        uid: 0,
        header: header(),
        inputs: inputs.to_vec(),
        bottom,
        segment_bytes,
        block_bytes: 20,
        hold: Box::new(|_| {}),
    };
    merge(&job, &AtomicBool::new(false), &mut Vec::new()).unwrap()
}

proptest::proptest! {
    #[test]
    fn a_merge_changes_no_row(
        list in proptest::collection::vec(given(), 2..6),
        from in 0_usize..5,
        segment_bytes in 200_usize..600,
    ) {
        let store = Store::in_memory().unwrap();
        let list: Vec<SegmentRef> = (0..).zip(&list).map(|(run, g)| write(&store, run, g)).collect();
        let expected = by_law(&opened(&store, &list));
        let rows = |list: &[SegmentRef]| -> Rows {
            let merge = Merge::new(&opened(&store, list), Span::default(), None, true);
            merge
                .map(Result::unwrap)
                .map(|entry| (entry.key.to_vec(), entry.value.unwrap().to_vec()))
                .collect()
        };
        assert_eq!(rows(&list), expected);

        // A part of the tail, wherever it lies: older and newer segments go on as before.
        let from = 1 + from % (list.len() - 1);
        for to in from + 1..=list.len() {
            let mut some = list.clone();
            some.splice(from..to, merged(&store, &list[from..to], false, segment_bytes));
            assert_eq!(by_law(&opened(&store, &some)), expected, "{from}..{to} by law");
            assert_eq!(rows(&some), expected, "{from}..{to}");
        }
        // All: nothing but rows is left.
        let all = merged(&store, &list, true, segment_bytes);
        assert_eq!(by_law(&opened(&store, &all)), expected);
        assert_eq!(all.iter().map(|s| s.puts).sum::<u64>(), expected.len() as u64);
        assert!(all.iter().all(|s| s.removes + s.tombstones == 0));
    }
}
