//! Every example dataflow keeps the laws, on seeded input with stragglers in several partitions.

use dataflows::components::{EdgeChange, components};
use dataflows::hot_items::hot_items;
use dataflows::nexmark::{q1, q3, q5};
use dataflows::proof::{self, proof};
use tidemark::EventTime;
use tidemark::sources::generator::nexmark::{Auction, Bid, Event, Person};
use tidemark::testing::laws;
use tidemark::testing::laws::Input;

/// Splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// Event times of three partitions, each with a pace of its own; one record in a hundred straggles by up to a minute.
struct Times {
    clocks: [i64; 3],
}

impl Times {
    fn new() -> Times {
        Times { clocks: [3_600_000; 3] }
    }

    fn next(&mut self, random: &mut Random, partition: usize) -> EventTime {
        self.clocks[partition] += random.below(300 + 100 * partition as u64) as i64;
        let behind = if random.below(100) == 0 { random.below(60_000) } else { random.below(1500) };
        EventTime::from_millis(self.clocks[partition] - behind as i64).expect("a near time")
    }
}

fn person(id: u64, at: EventTime, random: &mut Random) -> Person {
    let state = ["OR", "ID", "CA", "NY"][random.below(4) as usize];
    let text = |what: &str| format!("{what} {id}");
    Person {
        id,
        name: text("name"),
        email_address: text("email"),
        credit_card: text("card"),
        city: text("city"),
        state: state.to_owned(),
        at,
        extra: String::new(),
    }
}

fn auction(id: u64, at: EventTime, random: &mut Random) -> Auction {
    Auction {
        id,
        item_name: format!("item {id}"),
        description: String::new(),
        initial_bid: 1,
        reserve: 2,
        at,
        expires: at,
        seller: random.below(20),
        category: 10 + random.below(2),
        extra: String::new(),
    }
}

/// Few persons and auctions, so that keys meet. What changes a key is in one partition; bids are anywhere.
fn nexmark(records: usize, seed: u64) -> Vec<Input> {
    let (mut random, mut times) = (Random(seed), Times::new());
    let event = |_| {
        let (kind, id) = (random.below(10), random.below(20));
        let anywhere = random.below(3);
        let partition = if kind < 3 { id % 3 } else { anywhere };
        let at = times.next(&mut random, partition as usize);
        let event = match kind {
            0 => Event::Person(person(id, at, &mut random)),
            1 | 2 => Event::Auction(auction(id, at, &mut random)),
            _ => Event::Bid(Bid {
                auction: id,
                bidder: random.below(20),
                price: random.below(10_000),
                channel: "web".to_owned(),
                url: String::new(),
                at,
                extra: String::new(),
            }),
        };
        Input::new("events", partition as u32, &event)
    };
    (0..records).map(event).collect()
}

fn proof_input(records: usize, seed: u64) -> Vec<Input> {
    let (mut random, mut times) = (Random(seed), Times::new());
    let event = |_| {
        let (kind, id) = (random.below(10), random.below(15));
        let anywhere = random.below(3);
        let partition = if kind < 5 { id % 3 } else { anywhere };
        let at = times.next(&mut random, partition as usize);
        let event = match kind {
            0 => proof::Event::Person(proof::Person {
                id,
                name: format!("name {id} {}", random.below(3)),
                city: format!("city {id}"),
                at,
            }),
            1 | 2 => proof::Event::Auction(proof::Auction {
                id,
                seller: random.below(15),
                category: random.below(3),
                at,
            }),
            3 | 4 => proof::Event::Edge(proof::Edge {
                from: id,
                to: random.below(15),
                present: random.below(3) > 0,
                at,
            }),
            _ => proof::Event::Bid(proof::Bid {
                auction: id,
                bidder: random.below(15),
                price: random.below(10_000),
                at,
            }),
        };
        Input::new("events", partition as u32, &event)
    };
    (0..records).map(event).collect()
}

#[test]
fn hot_items_keeps_the_laws() {
    laws(hot_items, &nexmark(2_000, 1));
}

#[test]
fn q1_keeps_the_laws() {
    laws(q1, &nexmark(2_500, 2));
}

#[test]
fn q3_keeps_the_laws() {
    laws(q3, &nexmark(2_000, 3));
}

#[test]
fn q5_keeps_the_laws() {
    laws(q5, &nexmark(2_000, 4));
}

#[test]
fn components_keeps_the_laws() {
    let mut random = Random(5);
    let edge = |_| {
        let (from, to) = (random.below(25), random.below(25));
        let present = random.below(3) > 0;
        Input::new("edges", (from % 3) as u32, &EdgeChange { from, to, present })
    };
    laws(components, &(0..1_200).map(edge).collect::<Vec<_>>());
}

#[test]
fn proof_keeps_the_laws() {
    laws(proof, &proof_input(1_500, 6));
}
