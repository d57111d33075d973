//! Input for the proof: the `n`-th event of a partition is a function of (seed, partition, n), so nothing has to be kept.

use crate::event::{Auction, Event, Kind, Person};
use crate::random::Random;

/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600_000_000;
/// Event time between two events of a partition.
const STEP: i64 = 2_000;
/// One person, 3 auctions, 6 edges and 40 bids, over and over.
const CYCLE: u64 = 50;
const CATEGORIES: u64 = 12;
const NODES: u64 = 1_000;
/// From a node there may be edges to the nodes that are so much further: long chains, hence many rounds of the recursion.
const REACHES: [u64; 3] = [1, 5, 17];
const CITIES: [&str; 6] = ["Oslo", "Lagos", "Lima", "Pune", "Kyoto", "Turin"];

/// A source of events.
///
/// All events of a person, auction or edge are in one partition. One event in a thousand is a straggler, a bid whose event time lies
/// 2 to 62 seconds back. Other bids are up to 500 ms early or late; everything else is in the order of event time.
#[derive(Clone, Copy, Debug)]
pub struct Generator {
    seed: u64,
    partitions: u64,
}

impl Generator {
    /// Events of `seed`, spread over `partitions`.
    ///
    /// # Panics
    /// If `partitions` is 0.
    pub fn new(seed: u64, partitions: u64) -> Generator {
        assert!(partitions > 0, "events need a partition");
        Generator { seed, partitions }
    }

    /// The record at an offset, as JSON.
    pub fn line(&self, partition: u64, offset: u64) -> String {
        self.event(partition, offset).line()
    }

    /// The event at an offset.
    pub fn event(&self, partition: u64, offset: u64) -> Event {
        let mut random = Random::of(self.seed, &[partition, offset]);
        let (cycle, place) = (offset / CYCLE, offset % CYCLE);
        let at = BEGIN + i64::try_from(offset).expect("offsets fit 63 bits") * STEP;
        match place {
            0 => Event { at, kind: self.person(partition, cycle, &mut random) },
            1..=3 => {
                Event { at, kind: self.auction(partition, cycle * 3 + place - 1, &mut random) }
            }
            4..=9 => Event { at, kind: self.edge(partition, &mut random) },
            _ => self.bid(at, cycle, &mut random),
        }
    }

    /// The id of the `number`-th person or auction of a partition.
    fn id(&self, partition: u64, number: u64) -> u64 {
        number * self.partitions + partition
    }

    fn person(&self, partition: u64, number: u64, random: &mut Random) -> Kind {
        // One in four is about somebody who is known, most likely.
        let number = if random.chance(250) { random.below(number + 1) } else { number };
        let id = self.id(partition, number);
        let city = CITIES[usize::try_from(random.below(6)).expect("below 6")].to_owned();
        Kind::Person(id, Person { name: format!("Ada {id}"), city })
    }

    fn auction(&self, partition: u64, number: u64, random: &mut Random) -> Kind {
        let persons = number / 3 + 1;
        // One in five changes the category or seller of an auction, rather a new one: those are in the top.
        let number =
            if random.chance(200) { number.saturating_sub(random.below(60)) } else { number };
        // Some sellers are never introduced, some only later.
        let seller = self.id(random.below(self.partitions), random.below(persons + 3));
        let category = random.below(CATEGORIES);
        Kind::Auction(self.id(partition, number), Auction { seller, category })
    }

    fn edge(&self, partition: u64, random: &mut Random) -> Kind {
        let from = random.below(NODES / self.partitions) * self.partitions + partition;
        let reach = REACHES[usize::try_from(random.below(3)).expect("below 3")];
        Kind::Edge((from, (from + reach) % NODES), random.chance(250))
    }

    fn bid(&self, at: i64, cycle: u64, random: &mut Random) -> Event {
        let auctions = (cycle + 1) * 3;
        // Half of the bids go to the few newest auctions, the others to any, one in fifty to one that is yet to come.
        let number = match random.below(100) {
            0..50 => auctions.saturating_sub(1 + random.below(12)),
            50..98 => random.below(auctions),
            _ => auctions + random.below(30),
        };
        let auction = self.id(random.below(self.partitions), number);
        let bidder = random.below(cycle * self.partitions + 20);
        // Four of five events are bids.
        let millis =
            if random.below(800) == 0 { 2_000 + random.below(60_000) } else { random.below(500) };
        let early = if random.chance(100) { 500_000 } else { 0 };
        let back = i64::try_from(millis * 1_000).expect("minutes fit");
        Event { at: at + early - back, kind: Kind::Bid(auction, bidder, 100 + random.below(9_900)) }
    }
}

#[cfg(test)]
mod tests;
