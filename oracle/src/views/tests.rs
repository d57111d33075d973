#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::{Generator, Random};

/// The views worked out from scratch: all records of the prefixes, and for each closed window the greatest watermark.
fn from_scratch(rules: Rules, prefixes: &[Vec<Event>], watermark: Option<i64>) -> Rows {
    let mut rows = Rows::new();
    let all = || prefixes.iter().flatten();
    let mut counts: BTreeMap<(i64, u64), u64> = BTreeMap::new();
    for events in prefixes {
        for (number, event) in events.iter().enumerate() {
            let Kind::Bid(auction, bidder, price) = event.kind else { continue };
            let start = event.at.div_euclid(rules.size) * rules.size;
            let stamp = events[..number].iter().map(|e| e.at).max().map(|max| max - rules.lag);
            let late = stamp.map(|stamp| stamp - (start + rules.size + rules.lateness));
            if let Some(late_micros) = late.filter(|late| *late >= 0) {
                let bid = (event.at, auction, bidder, price);
                *rows.entry(Row::Late { start, bid, late_micros }).or_default() += 1;
            } else {
                *counts.entry((start, auction)).or_default() += 1;
            }
        }
    }
    for ((start, auction), bids) in counts {
        let open = watermark.is_none_or(|w| start + rules.size + rules.lateness > w);
        let row = if open {
            Row::Live { start, auction, bids }
        } else {
            Row::Closed { start, auction, bids }
        };
        rows.insert(row, 1);
    }
    let mut persons = BTreeMap::new();
    let mut auctions = BTreeMap::new();
    for event in all() {
        match &event.kind {
            Kind::Person(id, person) => drop(persons.insert(*id, person.clone())),
            Kind::Auction(id, auction) => drop(auctions.insert(*id, *auction)),
            Kind::Bid(..) | Kind::Edge(..) => {}
        }
    }
    let mut ranked: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    for (&auction, &Auction { seller, category }) in &auctions {
        if let Some(Person { name, city }) = persons.get(&seller).cloned() {
            rows.insert(Row::Joined { auction, seller, category, name, city }, 1);
        }
        let is_bid = |event: &&Event| matches!(event.kind, Kind::Bid(on, ..) if on == auction);
        let bids = u64::try_from(all().filter(is_bid).count()).unwrap();
        if bids > 0 {
            ranked.entry(category).or_default().push((bids, auction));
        }
    }
    for (category, mut auctions) in ranked {
        auctions.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        for (bids, auction) in auctions.into_iter().take(rules.top) {
            rows.insert(Row::Top { category, auction, bids }, 1);
        }
    }
    rows
}

/// Every tick of a random interleaving: the changes so far are the views from scratch.
fn check(
    seed: u64,
    rules: Rules,
    ticks: u64,
    tick_records_max: u64,
    make: impl Fn(u64, u64) -> Event,
) {
    let mut random = Random::new(seed);
    let mut oracle = Oracle::new(rules, 4);
    let mut prefixes = vec![Vec::new(); 4];
    let mut shown = Rows::new();
    let mut watermark = None;
    for tick in 0..ticks {
        // As the engine does: a tick's watermark comes from the ticks before it.
        if random.chance(700) {
            watermark = watermark.max(oracle.watermark_limit());
        }
        for (partition, prefix) in prefixes.iter_mut().enumerate() {
            for _ in 0..random.below(tick_records_max + 1) {
                let event = make(u64::try_from(partition).unwrap(), oracle.next(partition));
                oracle.advance(partition, &event.line()).unwrap();
                prefix.push(event);
            }
        }
        for (row, diff) in oracle.settle(watermark) {
            assert_ne!(diff, 0, "{row:?}");
            change(&mut shown, row, diff);
        }
        let right = from_scratch(rules, &prefixes, watermark);
        assert!(shown == right, "tick {tick} of seed {seed}: {:#?}", differences(&shown, &right));
    }
    assert!(shown.keys().any(|row| matches!(row, Row::Closed { .. })), "no window closed");
}

fn differences<'a>(shown: &'a Rows, right: &'a Rows) -> Vec<(&'a Row, i64, i64)> {
    let rows: BTreeSet<&Row> = shown.keys().chain(right.keys()).collect();
    let count = |of: &Rows, row| of.get(row).copied().unwrap_or_default();
    let all = rows.into_iter().map(|row| (row, count(shown, row), count(right, row)));
    all.filter(|(_, shown, right)| shown != right).collect()
}

#[test]
fn the_generators_events_give_the_views_from_scratch() {
    let generator = Generator::new(11, 4);
    // Short windows, so that many close within few events.
    let rules = Rules { size: 100_000, lag: 300_000, lateness: 50_000, top: 3 };
    check(1, rules, 60, 25, |partition, offset| generator.event(partition, offset));
}

#[test]
fn crowded_events_give_the_views_from_scratch() {
    // Few keys, so that everything meets: ties, moves between categories, late bids.
    for seed in 0..20 {
        let make = |partition: u64, offset: u64| {
            let mut random = Random::of(seed, &[partition, offset]);
            let own = |random: &mut Random| random.below(3) * 4 + partition;
            let kind = match random.below(10) {
                0 => {
                    let city = format!("c{}", random.below(3));
                    Kind::Person(own(&mut random), Person { name: "n".into(), city })
                }
                1 | 2 => {
                    let auction = Auction { seller: random.below(14), category: random.below(2) };
                    Kind::Auction(own(&mut random), auction)
                }
                3 => Kind::Edge((own(&mut random), random.below(12)), random.chance(500)),
                _ => Kind::Bid(random.below(14), random.below(3), random.below(3)),
            };
            let at = offset * 10 + random.below(200);
            Event { at: i64::try_from(at).unwrap() * 1_000, kind }
        };
        let rules = Rules { size: 50_000, lag: 20_000, lateness: 10_000, top: 2 };
        check(seed, rules, 40, 6, make);
    }
}

#[test]
fn lateness_is_judged_by_the_records_before_and_to_the_microsecond() {
    let rules = Rules { size: 10, lag: 5, lateness: 3, top: 1 };
    let bid = |at| Event { at, kind: Kind::Bid(1, 2, 3) };
    let mut oracle = Oracle::new(rules, 2);
    // The first record of a partition is never late, and its own time does not count for itself.
    oracle.take(0, bid(17));
    // Stamp 12: the window 0..10 closes at 13, so this is in time.
    oracle.take(0, bid(1));
    oracle.take(0, bid(18));
    // Stamp 13: late by nothing, which is late.
    oracle.take(0, bid(2));
    // Another partition has a stamp of its own.
    oracle.take(1, bid(3));
    let changes = oracle.settle(None);
    let live = |start, bids| (Row::Live { start, auction: 1, bids }, 1);
    let late = (Row::Late { start: 0, bid: (2, 1, 2, 3), late_micros: 0 }, 1);
    assert_eq!(changes, Rows::from([live(0, 2), live(10, 2), late]));
    assert_eq!(oracle.watermark_limit(), Some(-2), "partition 1 has seen 3");

    assert_eq!(oracle.settle(Some(12)), Rows::new());
    let closed = (Row::Closed { start: 0, auction: 1, bids: 2 }, 1);
    let gone = (Row::Live { start: 0, auction: 1, bids: 2 }, -1);
    assert_eq!(oracle.settle(Some(13)), Rows::from([closed, gone]));
}

#[test]
fn edges_come_and_go() {
    let mut oracle = Oracle::new(Rules::default(), 1);
    let edge = |from, to, present| Event { at: 0, kind: Kind::Edge((from, to), present) };
    for event in [edge(5, 3, true), edge(3, 9, true), edge(3, 9, true), edge(1, 1, true)] {
        oracle.take(0, event);
    }
    assert_eq!(oracle.components(), BTreeMap::from([(1, 1), (3, 3), (5, 3), (9, 3)]));
    oracle.take(0, edge(3, 9, false));
    assert_eq!(oracle.components(), BTreeMap::from([(1, 1), (3, 3), (5, 3)]));
}
