//! Three queries of the Nexmark benchmark: currency conversion (q1), local item suggestion (q3), hot items (q5).
//!
//! Each declares a row with just the fields that it uses: what a row does not name is passed over without being copied.

use std::time::Duration;
use tidemark::flow::endpoint::{kafka, nexmark};
use tidemark::flow::{Flow, KeyedTable, Lag};
use tidemark::operators::aggregate::count;
use tidemark::operators::window::{Closed, hopping};
use tidemark::{EventTime, Row};

const LAG: Lag = Lag(Duration::from_secs(2));

/// What an event is.
#[derive(Row)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Somebody registers.
    Person,
    /// Something is offered.
    Auction,
    /// Somebody bids.
    Bid,
}

/// What q1 uses of an event.
#[derive(Row)]
pub struct Price {
    /// What it is.
    pub kind: Kind,
    /// When.
    pub at: EventTime,
    /// Of a bid: the auction.
    #[serde(default)]
    pub auction: u64,
    /// Of a bid: who bids.
    #[serde(default)]
    pub bidder: u64,
    /// Of a bid: the price in cents.
    #[serde(default)]
    pub price: u64,
}

/// A bid in euros.
#[derive(Row)]
pub struct Converted {
    /// The auction.
    pub auction: u64,
    /// Who bids.
    pub bidder: u64,
    /// The price in thousandths of a euro cent: 0.908 euros a dollar.
    pub price_millicents: u64,
    /// When.
    pub at: EventTime,
}

/// Q1: every bid's price in another currency.
pub fn q1(flow: &Flow<'_>) {
    let events = flow.source("events", nexmark::events::<Price>()).event_time(|e| e.at, LAG);
    let converted = events.flat_map(|e| match e.kind {
        Kind::Bid => Some(Converted {
            auction: e.auction,
            bidder: e.bidder,
            price_millicents: e.price * 908,
            at: e.at,
        }),
        _ => None,
    });
    flow.sink("q1", &converted, kafka::topic("q1").json());
}

/// What q3 uses of an event.
#[derive(Row)]
pub struct Offer {
    /// What it is.
    pub kind: Kind,
    /// When.
    pub at: EventTime,
    /// The person or auction.
    #[serde(default)]
    pub id: u64,
    /// Of a person: the name.
    pub name: Option<String>,
    /// Of a person: the city.
    pub city: Option<String>,
    /// Of a person: the state.
    pub state: Option<String>,
    /// Of an auction: who sells.
    #[serde(default)]
    pub seller: u64,
    /// Of an auction: the category.
    #[serde(default)]
    pub category: u64,
}

/// A seller of local items.
#[derive(Row)]
pub struct Seller {
    /// The name.
    pub name: String,
    /// The city.
    pub city: String,
    /// The state.
    pub state: String,
}

/// Q3: who is selling in Oregon, Idaho or California in category 10, and which auctions.
pub fn q3(flow: &Flow<'_>) {
    let local = local_items(flow);
    flow.serve("q3", &local);
    flow.sink("q3", &local, kafka::topic("q3").json().changelog());
}

/// The table of q3: by auction its seller, and what is known of them.
pub fn local_items<'s>(flow: &Flow<'s>) -> KeyedTable<'s, u64, (u64, Seller)> {
    let events = flow.source("events", nexmark::events::<Offer>()).event_time(|e| e.at, LAG);
    let persons = events.flat_map(|e| match (&e.kind, &e.name, &e.city, &e.state) {
        // The generator writes states in small letters.
        (Kind::Person, Some(name), Some(city), Some(state))
            if ["or", "id", "ca"].contains(&state.as_str()) =>
        {
            let (name, city, state) = (name.clone(), city.clone(), state.clone());
            Some((e.id, Seller { name, city, state }))
        }
        _ => None,
    });
    let sellers = persons.upsert_map("sellers", |(id, seller)| (*id, Some(seller.clone())));
    let auctions = events.flat_map(|e| match e.kind {
        Kind::Auction if e.category == 10 => Some((e.id, e.seller)),
        _ => None,
    });
    let auctions = auctions.upsert_map("auctions", |(auction, seller)| (*auction, Some(*seller)));
    auctions.join_on(|_, seller| *seller, &sellers)
}

/// What q5 uses of an event.
#[derive(Row)]
pub struct BidFor {
    /// What it is.
    pub kind: Kind,
    /// When.
    pub at: EventTime,
    /// Of a bid: the auction.
    #[serde(default)]
    pub auction: u64,
}

/// The auctions with most bids in a window.
#[derive(Row)]
pub struct Hottest {
    /// The window's end.
    pub end: EventTime,
    /// The auction.
    pub auction: u64,
    /// Its bids.
    pub bids: u64,
}

/// Q5: in windows of ten seconds, one every two, which auctions have most bids (all of them, if several).
pub fn q5(flow: &Flow<'_>) {
    let events = flow.source("events", nexmark::events::<BidFor>()).event_time(|e| e.at, LAG);
    let counts = events
        .flat_map(|e| matches!(e.kind, Kind::Bid).then_some(e.auction))
        .key_by(|auction| *auction)
        .window(hopping(Duration::from_secs(10), Duration::from_secs(2)))
        .aggregate("bids", count());
    let closed = counts.closed.map(|c: &Closed<u64, u64>| Hottest {
        end: c.end,
        auction: c.key,
        bids: c.value,
    });
    flow.sink("q5", &closed, kafka::topic("q5").json());
}
