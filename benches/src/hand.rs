//! The baseline: the same queries by hand, one thread, borrowed rows out of a block of the file, hash maps, results as JSON into a
//! buffer that is thrown away. What an engine adds to this is its price.

use crate::input::PARTITIONS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemark::EventTime;
use tidemark::hash::Map;
use tidemark_tests::{Failure, Result};

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Person,
    Auction,
    Bid,
}

/// All kinds of events as one struct of what the queries use.
#[derive(Deserialize)]
struct Event<'a> {
    kind: Kind,
    at: EventTime,
    #[serde(default)]
    id: u64,
    #[serde(default)]
    auction: u64,
    #[serde(default)]
    bidder: u64,
    #[serde(default)]
    price: u64,
    #[serde(default)]
    seller: u64,
    #[serde(default)]
    category: u64,
    #[serde(default, borrow)]
    name: Option<&'a str>,
    #[serde(default, borrow)]
    city: Option<&'a str>,
    #[serde(default, borrow)]
    state: Option<&'a str>,
}

/// Rows that a query gave, and the bytes of their keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// Takes the key, if there is one, and the value of a row.
type Take = Box<dyn FnMut(Option<&[u8]>, &[u8]) -> Result<()>>;

struct Out {
    key: Vec<u8>,
    value: Vec<u8>,
    given: Given,
    take: Take,
}

impl Out {
    /// A row of a stream.
    fn row(&mut self, row: &impl Serialize) -> Result<()> {
        self.value.clear();
        serde_json::to_writer(&mut self.value, row)?;
        self.given.rows += 1;
        self.given.bytes += self.value.len() as u64;
        (self.take)(None, &self.value)
    }

    /// A row of a table: its key stands beside it too, as a topic's does.
    fn keyed(&mut self, key: &impl Serialize, row: &impl Serialize) -> Result<()> {
        self.key.clear();
        self.value.clear();
        serde_json::to_writer(&mut self.key, key)?;
        serde_json::to_writer(&mut self.value, row)?;
        self.given.rows += 1;
        self.given.bytes += (self.key.len() + self.value.len()) as u64;
        (self.take)(Some(&self.key), &self.value)
    }
}

/// A query that is fed line by line.
pub(crate) trait Query {
    fn line(&mut self, partition: usize, line: &[u8]) -> Result<()>;
    fn end(&mut self) -> Result<Given>;
}

/// The query called `name`; its results are thrown away.
pub(crate) fn query(name: &str) -> Result<Box<dyn Query>> {
    query_into(name, |_, _| Ok(()))
}

/// The query called `name`; its results, as JSON, are given to `take`.
pub(crate) fn query_into(
    name: &str,
    take: impl FnMut(Option<&[u8]>, &[u8]) -> Result<()> + 'static,
) -> Result<Box<dyn Query>> {
    let (key, value) = (Vec::new(), Vec::new());
    let out = Out { key, value, given: Given::default(), take: Box::new(take) };
    match name {
        "q1" => Ok(Box::new(Q1 { out })),
        "q3" => Ok(Box::new(Q3 { out, sellers: Map::default(), auctions: Map::default() })),
        "q5" => Ok(Box::new(Q5 {
            out,
            panes: BTreeMap::new(),
            newest: [i64::MIN; PARTITIONS as usize],
            end: i64::MAX,
        })),
        _ => Err(Failure(format!("no query {name:?} by hand"))),
    }
}

fn event(line: &[u8]) -> Result<Event<'_>> {
    sonic_rs::from_slice(line).map_err(|error| Failure(format!("a line is no event: {error}")))
}

struct Q1 {
    out: Out,
}

#[derive(Serialize)]
struct Converted {
    auction: u64,
    bidder: u64,
    price_millicents: u64,
    at: EventTime,
}

impl Query for Q1 {
    fn line(&mut self, _: usize, line: &[u8]) -> Result<()> {
        let e = event(line)?;
        if let Kind::Bid = e.kind {
            let price_millicents = e.price * 908;
            let Event { auction, bidder, at, .. } = e;
            self.out.row(&Converted { auction, bidder, price_millicents, at })?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Given> {
        Ok(self.out.given)
    }
}

struct Q3 {
    out: Out,
    sellers: Map<u64, (String, String, String)>,
    /// Auctions by seller.
    auctions: Map<u64, Vec<u64>>,
}

#[derive(Serialize)]
struct Whole<K, V> {
    key: K,
    value: V,
    diff: i8,
}

#[derive(Serialize)]
struct Seller<'a> {
    name: &'a str,
    city: &'a str,
    state: &'a str,
}

impl Q3 {
    fn give(out: &mut Out, auction: u64, of: u64, found: &(String, String, String)) -> Result<()> {
        let (name, city, state) = found;
        let row = Whole { key: auction, value: (of, Seller { name, city, state }), diff: 1 };
        out.keyed(&auction, &row)
    }
}

impl Query for Q3 {
    fn line(&mut self, _: usize, line: &[u8]) -> Result<()> {
        let e = event(line)?;
        match (&e.kind, e.state) {
            (Kind::Person, Some(state @ ("or" | "id" | "ca"))) => {
                let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                let found = (text(e.name), text(e.city), state.to_owned());
                for auction in self.auctions.get(&e.id).into_iter().flatten() {
                    Self::give(&mut self.out, *auction, e.id, &found)?;
                }
                self.sellers.insert(e.id, found);
            }
            (Kind::Auction, _) if e.category == 10 => {
                self.auctions.entry(e.seller).or_default().push(e.id);
                if let Some(found) = self.sellers.get(&e.seller) {
                    Self::give(&mut self.out, e.id, e.seller, found)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Given> {
        Ok(self.out.given)
    }
}

const SIZE: i64 = 10_000_000;
const SLIDE: i64 = 2_000_000;
const LAG: i64 = 2_000_000;

struct Q5 {
    out: Out,
    /// Counts by the begin of a slide; a window is five of them.
    panes: BTreeMap<i64, Map<u64, u64>>,
    /// The newest event time of each partition.
    newest: [i64; PARTITIONS as usize],
    /// The end of the next window to close.
    end: i64,
}

#[derive(Serialize)]
struct Hottest {
    end: EventTime,
    auction: u64,
    bids: u64,
}

impl Q5 {
    /// Gives the windows that end at or before `watermark`.
    fn close(&mut self, watermark: i64) -> Result<()> {
        while self.end <= watermark && !self.panes.is_empty() {
            let mut counts: Map<u64, u64> = Map::default();
            for (_, pane) in self.panes.range(self.end - SIZE..self.end) {
                for (auction, bids) in pane {
                    *counts.entry(*auction).or_default() += bids;
                }
            }
            self.windows(&counts, self.end)?;
            self.panes.remove(&(self.end - SIZE));
            self.end += SLIDE;
        }
        Ok(())
    }

    fn windows(&mut self, counts: &Map<u64, u64>, end: i64) -> Result<()> {
        let mut rows: Vec<_> = counts.iter().map(|(auction, bids)| (*auction, *bids)).collect();
        rows.sort_unstable();
        let end = EventTime::from_micros(end).map_err(|e| Failure(e.to_string()))?;
        for (auction, bids) in rows {
            self.out.row(&Hottest { end, auction, bids })?;
        }
        Ok(())
    }
}

impl Query for Q5 {
    fn line(&mut self, partition: usize, line: &[u8]) -> Result<()> {
        let e = event(line)?;
        let at = e.at.micros();
        if let Kind::Bid = e.kind {
            let pane = at - at.rem_euclid(SLIDE);
            if self.panes.is_empty() {
                self.end = pane + SLIDE;
            }
            *self.panes.entry(pane).or_default().entry(e.auction).or_default() += 1;
        }
        let newest = &mut self.newest[partition];
        if at > *newest {
            *newest = at;
            let least = self.newest.iter().min().copied().unwrap_or(i64::MIN);
            self.close(least.saturating_sub(LAG))?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Given> {
        self.close(i64::MAX)?;
        Ok(self.out.given)
    }
}
