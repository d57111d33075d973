//! The events of `proof-events`, to and from their JSON.

use crate::time::{format_micros, parse_micros};
use serde::Deserialize;
use serde_json::Value;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A person came or changed.
    Person(u64, Person),
    /// An auction came or changed.
    Auction(u64, Auction),
    /// A bid: auction, bidder, price.
    Bid(u64, u64, u64),
    /// An edge came or went.
    Edge(Edge, bool),
}

/// A person without its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The city.
    pub city: String,
}

/// An auction without its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auction {
    /// The id of the person who sells.
    pub seller: u64,
    /// The category.
    pub category: u64,
}

/// An edge: from, to.
pub type Edge = (u64, u64);

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Event time in microseconds since the Unix epoch.
    pub at: i64,
    /// What happened.
    pub kind: Kind,
}

/// All fields of all kinds. (A tagged enum would do, but serde_json with exact numbers can't read one.)
#[derive(Deserialize)]
struct Flat {
    kind: String,
    at: String,
    id: Option<u64>,
    name: Option<String>,
    city: Option<String>,
    seller: Option<u64>,
    category: Option<u64>,
    auction: Option<u64>,
    bidder: Option<u64>,
    price: Option<u64>,
    from: Option<u64>,
    to: Option<u64>,
    present: Option<bool>,
}

impl Event {
    /// The event of one record.
    ///
    /// # Errors
    /// If the line is no event; the message has the line.
    pub fn parse(line: &str) -> Result<Event, String> {
        let flat: Flat = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let at = parse_micros(&flat.at)?;
        let kind = flat.kind();
        Ok(Event {
            at,
            kind: kind.ok_or_else(|| format!("unknown kind or field missing: {line}"))?,
        })
    }

    /// The event as one record, its fields in the documented order.
    pub fn line(&self) -> String {
        let (kind, fields) = match &self.kind {
            Kind::Person(id, Person { name, city }) => {
                let (name, city) = (Value::from(name.as_str()), Value::from(city.as_str()));
                ("person", format!(r#""id":{id},"name":{name},"city":{city}"#))
            }
            Kind::Auction(id, Auction { seller, category }) => {
                ("auction", format!(r#""id":{id},"seller":{seller},"category":{category}"#))
            }
            Kind::Bid(auction, bidder, price) => {
                ("bid", format!(r#""auction":{auction},"bidder":{bidder},"price":{price}"#))
            }
            Kind::Edge((from, to), present) => {
                ("edge", format!(r#""from":{from},"to":{to},"present":{present}"#))
            }
        };
        format!(r#"{{"kind":"{kind}","at":"{}",{fields}}}"#, format_micros(self.at))
    }
}

impl Flat {
    fn kind(self) -> Option<Kind> {
        Some(match self.kind.as_str() {
            "person" => Kind::Person(self.id?, Person { name: self.name?, city: self.city? }),
            "auction" => {
                Kind::Auction(self.id?, Auction { seller: self.seller?, category: self.category? })
            }
            "bid" => Kind::Bid(self.auction?, self.bidder?, self.price?),
            "edge" => Kind::Edge((self.from?, self.to?), self.present?),
            _ => return None,
        })
    }
}
