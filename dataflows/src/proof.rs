//! The dataflow of the exactly-once proof: a windowed count, a join, a top-k over retractions, a recursive table. What its topics must
//! hold is computed by `tidemark-oracle`, which shares no code with the engine.

use crate::components::labels;
use std::time::Duration;
use tidemark::flow::endpoint::kafka;
use tidemark::flow::{Flow, Lag};
use tidemark::operators::aggregate::count;
use tidemark::operators::window::tumbling;
use tidemark::{EventTime, Row};

/// An input record.
#[derive(Row)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Event {
    /// A person, by id.
    Person(Person),
    /// An auction, by id.
    Auction(Auction),
    /// A bid.
    Bid(Bid),
    /// An edge, by its ends.
    Edge(Edge),
}

/// A person.
#[derive(Row)]
pub struct Person {
    /// The person.
    pub id: u64,
    /// The name.
    pub name: String,
    /// The city.
    pub city: String,
    /// When.
    pub at: EventTime,
}

/// An auction.
#[derive(Row)]
pub struct Auction {
    /// The auction.
    pub id: u64,
    /// Who sells.
    pub seller: u64,
    /// The category.
    pub category: u64,
    /// When.
    pub at: EventTime,
}

/// A bid.
#[derive(Row)]
pub struct Bid {
    /// The auction.
    pub auction: u64,
    /// Who bids.
    pub bidder: u64,
    /// The price.
    pub price: u64,
    /// When.
    pub at: EventTime,
}

/// An edge of a graph.
#[derive(Row)]
pub struct Edge {
    /// One end.
    pub from: u64,
    /// The other.
    pub to: u64,
    /// Whether it is there from now on.
    pub present: bool,
    /// When.
    pub at: EventTime,
}

/// What is known of an auction.
#[derive(Row)]
pub struct Offer {
    /// Who sells.
    pub seller: u64,
    /// The category.
    pub category: u64,
}

/// What is known of a person.
#[derive(Row)]
pub struct Who {
    /// The name.
    pub name: String,
    /// The city.
    pub city: String,
}

/// An auction with its seller.
#[derive(Row)]
pub struct Joined {
    /// Who sells.
    pub seller: u64,
    /// The category.
    pub category: u64,
    /// The seller's name.
    pub name: String,
    /// The seller's city.
    pub city: String,
}

/// An auction among the most bid for of its category.
#[derive(Row)]
pub struct Top {
    /// The category.
    pub category: u64,
    /// The auction.
    pub auction: u64,
    /// Its bids.
    pub bids: u64,
}

fn at(event: &Event) -> EventTime {
    match event {
        Event::Person(person) => person.at,
        Event::Auction(auction) => auction.at,
        Event::Bid(bid) => bid.at,
        Event::Edge(edge) => edge.at,
    }
}

/// The dataflow.
pub fn proof(flow: &Flow<'_>) {
    let events = flow
        .source("events", kafka::topic("proof-events").json::<Event>())
        .event_time(at, Lag(Duration::from_secs(2)));
    let bids = events.flat_map(|event| match event {
        Event::Bid(bid) => Some(bid.clone()),
        _ => None,
    });
    let persons = events.flat_map(|event| match event {
        Event::Person(person) => Some(person.clone()),
        _ => None,
    });
    let auctions = events.flat_map(|event| match event {
        Event::Auction(auction) => Some(auction.clone()),
        _ => None,
    });
    let edges = events.flat_map(|event| match event {
        Event::Edge(edge) => Some(edge.clone()),
        _ => None,
    });

    let counts = bids
        .key_by(|bid| bid.auction)
        .window(tumbling(Duration::from_secs(10)))
        .allowed_lateness(Duration::from_secs(5))
        .aggregate("counts", count());
    flow.sink("live", &counts.table, kafka::topic("proof-live").json().changelog());
    flow.sink("counts", &counts.closed, kafka::topic("proof-counts").json());
    flow.sink("late", &counts.late, kafka::topic("proof-late").json());

    let persons = persons.upsert_map("persons", |p| {
        (p.id, Some(Who { name: p.name.clone(), city: p.city.clone() }))
    });
    let offers = auctions
        .upsert_map("auctions", |a| (a.id, Some(Offer { seller: a.seller, category: a.category })));
    let joined = offers.join_on(|_, offer| offer.seller, &persons).map_values(|_, (offer, who)| {
        let Offer { seller, category } = offer;
        Joined { seller, category, name: who.name, city: who.city }
    });
    flow.serve("joined", &joined);
    flow.sink("joined", &joined, kafka::topic("proof-joined").json().changelog());

    let popular = bids.key_by(|bid| bid.auction).aggregate("popular", count());
    let top = popular
        .join(&offers)
        .rows()
        .map(|(auction, (bids, offer))| Top { category: offer.category, auction, bids })
        .top_k(3, |top| top.category, |top| (top.bids, std::cmp::Reverse(top.auction)))
        .map(|(_, top)| top);
    let top = top.unique_by(|top| (top.category, top.auction));
    flow.serve("top", &top);
    flow.sink("top", &top, kafka::topic("proof-top").json().changelog());

    let edges = edges
        .upsert_map("edges", |e| ((e.from, e.to), e.present.then_some(())))
        .collection()
        .map(|(edge, ())| edge);
    let labels = flow.table(labels(edges)).unique_by(|(node, _)| *node);
    let labels = labels.map_values(|_, (_, label)| label);
    flow.serve("component", &labels);
    flow.sink("components", &labels, kafka::topic("proof-components").json().changelog());
    flow.serve("live", &counts.table);
}
