//! The views of the proof, kept up event by event with ordinary maps, and their changes from tick to tick.

use crate::event::{Auction, Edge, Event, Kind, Person};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The constants of the proof dataflow. Times in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The length of the tumbling windows; they begin at multiples of it since the Unix epoch.
    pub size: i64,
    /// How far event times may lie behind the greatest of their partition.
    pub lag: i64,
    /// How long a window waits beyond its end.
    pub lateness: i64,
    /// How many auctions of a category are in the top.
    pub top: usize,
}

impl Default for Rules {
    /// Windows of 10 s, lag 2 s, lateness 5 s, the top 3.
    fn default() -> Rules {
        Rules { size: 10_000_000, lag: 2_000_000, lateness: 5_000_000, top: 3 }
    }
}

/// A row of one of the topics. Windows are named by their start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// `proof-live`.
    Live {
        /// The window's start in microseconds.
        start: i64,
        /// The auction.
        auction: u64,
        /// Its bids.
        bids: u64,
    },
    /// `proof-counts`.
    Closed {
        /// The window's start in microseconds.
        start: i64,
        /// The auction.
        auction: u64,
        /// Its bids.
        bids: u64,
    },
    /// `proof-late`.
    Late {
        /// The start of the window that was missed.
        start: i64,
        /// Event time, auction, bidder and price of the bid.
        bid: (i64, u64, u64, u64),
        /// By how much the stamp is beyond the window's end and lateness, in microseconds.
        late_micros: i64,
    },
    /// `proof-joined`.
    Joined {
        /// The auction.
        auction: u64,
        /// Who sells.
        seller: u64,
        /// The category.
        category: u64,
        /// The seller's name.
        name: String,
        /// The seller's city.
        city: String,
    },
    /// `proof-top`.
    Top {
        /// The category.
        category: u64,
        /// The auction.
        auction: u64,
        /// Its bids of all time.
        bids: u64,
    },
    /// `proof-components`.
    Component {
        /// The node.
        node: u64,
        /// The least node of its component.
        label: u64,
    },
}

/// Rows with how often they are there. Never holds a 0.
type Rows = BTreeMap<Row, i64>;

/// What was read of a partition.
#[derive(Clone, Copy, Debug, Default)]
struct Partition {
    next: u64,
    event_time_max: Option<i64>,
}

/// The right content of every topic for a prefix of each partition and a watermark.
///
/// [`Oracle::advance`] takes records, [`Oracle::settle`] ends a tick and gives the changes of all topics but
/// `proof-components`, which [`Oracle::components`] works out when asked. An event costs a few map operations.
#[derive(Clone, Debug)]
pub struct Oracle {
    rules: Rules,
    partitions: Vec<Partition>,
    watermark: Option<i64>,
    open: BTreeMap<i64, BTreeMap<u64, u64>>,
    persons: BTreeMap<u64, Person>,
    auctions: BTreeMap<u64, Auction>,
    sold_by: BTreeMap<u64, BTreeSet<u64>>,
    bids: BTreeMap<u64, u64>,
    ranking: BTreeMap<u64, BTreeSet<(Reverse<u64>, u64)>>,
    edges: BTreeSet<Edge>,
    changes: Rows,
}

impl Oracle {
    /// Nothing read of `partitions` partitions.
    pub fn new(rules: Rules, partitions: usize) -> Oracle {
        Oracle {
            rules,
            partitions: vec![Partition::default(); partitions],
            watermark: None,
            open: BTreeMap::new(),
            persons: BTreeMap::new(),
            auctions: BTreeMap::new(),
            sold_by: BTreeMap::new(),
            bids: BTreeMap::new(),
            ranking: BTreeMap::new(),
            edges: BTreeSet::new(),
            changes: Rows::new(),
        }
    }

    /// The next offset of a partition.
    pub fn next(&self, partition: usize) -> u64 {
        self.partitions[partition].next
    }

    /// Takes the record at the next offset of a partition.
    ///
    /// # Errors
    /// If the line is no event.
    pub fn advance(&mut self, partition: usize, line: &str) -> Result<(), String> {
        let event = Event::parse(line)?;
        self.take(partition, event);
        Ok(())
    }

    /// As [`Oracle::advance`] with an event.
    pub fn take(&mut self, partition: usize, event: Event) {
        let read = &mut self.partitions[partition];
        let stamp = read.event_time_max.map(|max| max - self.rules.lag);
        read.next += 1;
        read.event_time_max = read.event_time_max.max(Some(event.at));
        match event.kind {
            Kind::Person(id, person) => self.person(id, person),
            Kind::Auction(id, auction) => self.auction(id, auction),
            Kind::Bid(auction, bidder, price) => {
                self.count(stamp, (event.at, auction, bidder, price));
                self.bid(auction);
            }
            Kind::Edge(edge, true) => drop(self.edges.insert(edge)),
            Kind::Edge(edge, false) => drop(self.edges.remove(&edge)),
        }
    }

    /// Ends a tick: closes the windows that `watermark` closes, and gives the rows that came (positive) and went since the last
    /// call, without those that came and went again.
    pub fn settle(&mut self, watermark: Option<i64>) -> BTreeMap<Row, i64> {
        self.watermark = self.watermark.max(watermark);
        let closes_at = self.rules.size + self.rules.lateness;
        while let Some(entry) = self.open.first_entry()
            && self.watermark.is_some_and(|watermark| *entry.key() + closes_at <= watermark)
        {
            let (start, pane) = entry.remove_entry();
            for (auction, bids) in pane {
                change(&mut self.changes, Row::Live { start, auction, bids }, -1);
                change(&mut self.changes, Row::Closed { start, auction, bids }, 1);
            }
        }
        std::mem::take(&mut self.changes)
    }

    /// The greatest watermark that the partitions read so far allow: the least of their stamps; `None` if one has none yet.
    pub fn watermark_limit(&self) -> Option<i64> {
        let stamps =
            self.partitions.iter().map(|p| p.event_time_max.map(|max| max - self.rules.lag));
        stamps.min().flatten()
    }

    /// For each node of a present edge the least node of its component.
    pub fn components(&self) -> BTreeMap<u64, u64> {
        crate::components(&self.edges)
    }

    fn count(&mut self, stamp: Option<i64>, bid: (i64, u64, u64, u64)) {
        let start = bid.0 - bid.0.rem_euclid(self.rules.size);
        let closes_at = start + self.rules.size + self.rules.lateness;
        match stamp {
            Some(stamp) if closes_at <= stamp => {
                let late_micros = stamp - closes_at;
                change(&mut self.changes, Row::Late { start, bid, late_micros }, 1);
            }
            _ => {
                let auction = bid.1;
                let bids = self.open.entry(start).or_default().entry(auction).or_default();
                if *bids > 0 {
                    change(&mut self.changes, Row::Live { start, auction, bids: *bids }, -1);
                }
                *bids += 1;
                change(&mut self.changes, Row::Live { start, auction, bids: *bids }, 1);
            }
        }
    }

    fn person(&mut self, id: u64, person: Person) {
        let sold: Vec<u64> = self.sold_by.get(&id).into_iter().flatten().copied().collect();
        self.joined(&sold, -1);
        self.persons.insert(id, person);
        self.joined(&sold, 1);
    }

    fn auction(&mut self, id: u64, auction: Auction) {
        let before = self.auctions.get(&id).copied();
        let categories: BTreeSet<u64> =
            before.iter().chain([&auction]).map(|auction| auction.category).collect();
        self.joined(&[id], -1);
        self.tops(&categories, -1);
        let bids = self.bids.get(&id).copied();
        if let Some(before) = before {
            self.sold_by.entry(before.seller).or_default().remove(&id);
            if let Some(bids) = bids {
                self.ranking.entry(before.category).or_default().remove(&(Reverse(bids), id));
            }
        }
        self.auctions.insert(id, auction);
        self.sold_by.entry(auction.seller).or_default().insert(id);
        if let Some(bids) = bids {
            self.ranking.entry(auction.category).or_default().insert((Reverse(bids), id));
        }
        self.tops(&categories, 1);
        self.joined(&[id], 1);
    }

    fn bid(&mut self, auction: u64) {
        let bids = self.bids.entry(auction).or_default();
        let before = *bids;
        *bids += 1;
        let Some(Auction { category, .. }) = self.auctions.get(&auction).copied() else { return };
        let category = BTreeSet::from([category]);
        self.tops(&category, -1);
        for category in &category {
            let ranking = self.ranking.entry(*category).or_default();
            ranking.remove(&(Reverse(before), auction));
            ranking.insert((Reverse(before + 1), auction));
        }
        self.tops(&category, 1);
    }

    /// Notes the joined rows of these auctions as they are now.
    fn joined(&mut self, auctions: &[u64], diff: i64) {
        for &auction in auctions {
            let Some(&Auction { seller, category }) = self.auctions.get(&auction) else { continue };
            let Some(Person { name, city }) = self.persons.get(&seller).cloned() else { continue };
            let row = Row::Joined { auction, seller, category, name, city };
            change(&mut self.changes, row, diff);
        }
    }

    /// Notes the top of these categories as it is now.
    fn tops(&mut self, categories: &BTreeSet<u64>, diff: i64) {
        for &category in categories {
            let ranking = self.ranking.get(&category).into_iter().flatten();
            for &(Reverse(bids), auction) in ranking.take(self.rules.top) {
                change(&mut self.changes, Row::Top { category, auction, bids }, diff);
            }
        }
    }
}

fn change(rows: &mut Rows, row: Row, diff: i64) {
    use std::collections::btree_map::Entry;
    match rows.entry(row) {
        Entry::Vacant(entry) => drop(entry.insert(diff)),
        Entry::Occupied(mut entry) => {
            *entry.get_mut() += diff;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests;
