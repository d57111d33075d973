//! Hot items: in every window of ten seconds, one beginning every two, the auctions with most bids. The demo of the README.

use std::time::Duration;
use tidemark::flow::endpoint::nexmark;
use tidemark::flow::{Flow, Lag};
use tidemark::operators::aggregate::count;
use tidemark::operators::window::{WindowKey, hopping};
use tidemark::sources::generator::nexmark::Event;
use tidemark::{EventTime, Row};

/// How many auctions are shown for each window.
const SHOWN: usize = 5;

/// An auction and its bids in a window.
#[derive(Row)]
pub struct Hot {
    /// The auction.
    pub auction: u64,
    /// Its bids.
    pub bids: u64,
}

/// Event time of an event.
pub fn at(event: &Event) -> EventTime {
    match event {
        Event::Person(person) => person.at,
        Event::Auction(auction) => auction.at,
        Event::Bid(bid) => bid.at,
    }
}

/// The dataflow: a generator, a window, and a view `hot-items` keyed by the window's begin.
pub fn hot_items(flow: &Flow<'_>) {
    let bids = flow
        .source("events", nexmark::events::<Event>().with("rate", 10_000))
        .event_time(at, Lag(Duration::from_secs(2)))
        .flat_map(|event| match event {
            Event::Bid(bid) => Some(bid.auction),
            _ => None,
        });
    let counts = bids
        .key_by(|auction| *auction)
        .window(hopping(Duration::from_secs(10), Duration::from_secs(2)))
        .aggregate("bids", count());
    let hot = counts.table.rows().reduce(
        |(window, _): &(WindowKey<u64>, u64)| window.start,
        |_, rows| {
            let mut hot: Vec<_> =
                rows.iter().map(|((w, bids), _)| Hot { auction: w.key, bids: *bids }).collect();
            hot.sort_by(|a, b| b.bids.cmp(&a.bids).then(a.auction.cmp(&b.auction)));
            hot.truncate(SHOWN);
            Some(hot)
        },
    );
    flow.serve("hot-items", &hot);
}
