//! Three queries of the Nexmark benchmark: currency conversion (q1), local item suggestion (q3), hot items (q5).

use crate::hot_items::at;
use std::time::Duration;
use tidemark::flow::endpoint::{kafka, nexmark};
use tidemark::flow::{Flow, Lag, Stream};
use tidemark::operators::aggregate::count;
use tidemark::operators::window::{Closed, hopping};
use tidemark::sources::generator::nexmark::{Bid, Event};
use tidemark::{EventTime, Row};

fn events<'s>(flow: &Flow<'s>) -> Stream<'s, Event> {
    flow.source("events", nexmark::events::<Event>()).event_time(at, Lag(Duration::from_secs(2)))
}

fn bid(event: &Event) -> Option<Bid> {
    match event {
        Event::Bid(bid) => Some(bid.clone()),
        _ => None,
    }
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
    let converted = events(flow).flat_map(|event| {
        bid(event).map(|bid| Converted {
            auction: bid.auction,
            bidder: bid.bidder,
            price_millicents: bid.price * 908,
            at: bid.at,
        })
    });
    flow.sink("q1", &converted, kafka::topic("q1").json());
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
    let events = events(flow);
    let persons = events.flat_map(|event| match event {
        // The generator writes states in small letters.
        Event::Person(p) if ["or", "id", "ca"].contains(&p.state.as_str()) => Some(p.clone()),
        _ => None,
    });
    let sellers = persons.upsert_map("sellers", |p| {
        let (name, city, state) = (p.name.clone(), p.city.clone(), p.state.clone());
        (p.id, Some(Seller { name, city, state }))
    });
    let auctions = events.flat_map(|event| match event {
        Event::Auction(auction) if auction.category == 10 => Some((auction.id, auction.seller)),
        _ => None,
    });
    let auctions = auctions.upsert_map("auctions", |(auction, seller)| (*auction, Some(*seller)));
    let local = auctions.join_on(|_, seller| *seller, &sellers);
    flow.serve("q3", &local);
    flow.sink("q3", &local, kafka::topic("q3").json().changelog());
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
    let counts = events(flow)
        .flat_map(|event| bid(event).map(|bid| bid.auction))
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
