//! The rows of the Nexmark benchmark, and the event of a number.

use super::Nexmark;
use crate::hash::chain;
use crate::time::EventTime;
use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::Event as Generated;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess};
use std::fmt;
use std::time::Duration;

/// An event: as JSON an object whose first field `kind` is `person`, `auction` or `bid`, followed by the fields of that.
#[derive(crate::Row)]
#[row(manual(Deserialize))]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Event {
    /// Somebody registers.
    Person(Person),
    /// Something is offered.
    Auction(Auction),
    /// Somebody bids.
    Bid(Bid),
}

/// Somebody who sells and bids.
#[derive(crate::Row)]
pub struct Person {
    /// Number of the person.
    pub id: u64,
    /// First and last name.
    pub name: String,
    /// E-mail address.
    pub email_address: String,
    /// Four groups of four digits.
    pub credit_card: String,
    /// A city.
    pub city: String,
    /// Two letters of a state of the US.
    pub state: String,
    /// When the person registers.
    pub at: EventTime,
    /// Padding.
    pub extra: String,
}

/// Something that is offered.
#[derive(crate::Row)]
pub struct Auction {
    /// Number of the auction.
    pub id: u64,
    /// What is offered.
    pub item_name: String,
    /// More about it.
    pub description: String,
    /// The least first bid, in cents.
    pub initial_bid: u64,
    /// The least price at which it is sold, in cents.
    pub reserve: u64,
    /// When it is offered.
    pub at: EventTime,
    /// When the auction ends.
    pub expires: EventTime,
    /// The person who sells.
    pub seller: u64,
    /// Number of the category.
    pub category: u64,
    /// Padding.
    pub extra: String,
}

/// A bid.
#[derive(crate::Row)]
pub struct Bid {
    /// The auction.
    pub auction: u64,
    /// The person who bids.
    pub bidder: u64,
    /// The price, in cents.
    pub price: u64,
    /// Where it was made.
    pub channel: String,
    /// The page on which it was made.
    pub url: String,
    /// When it was made.
    pub at: EventTime,
    /// Padding.
    pub extra: String,
}

impl Event {
    /// When it happened.
    pub fn at(&self) -> EventTime {
        match self {
            Event::Person(person) => person.at,
            Event::Auction(auction) => auction.at,
            Event::Bid(bid) => bid.at,
        }
    }
}

/// By hand because serde's own for tagged enums first copies every field aside to look for the tag. The tag has to come first.
impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Event, D::Error> {
        deserializer.deserialize_map(Visitor)
    }
}

#[derive(Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tag {
    Person,
    Auction,
    Bid,
}

struct Visitor;

impl<'de> serde::de::Visitor<'de> for Visitor {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object whose first field is \"kind\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        match map.next_key::<std::borrow::Cow<'_, str>>()?.as_deref() {
            Some("kind") => {}
            Some(_) => return Err(A::Error::custom("the first field is not \"kind\"")),
            None => return Err(A::Error::missing_field("kind")),
        }
        let tag = map.next_value()?;
        let fields = MapAccessDeserializer::new(map);
        Ok(match tag {
            Tag::Person => Event::Person(Person::deserialize(fields)?),
            Tag::Auction => Event::Auction(Auction::deserialize(fields)?),
            Tag::Bid => Event::Bid(Bid::deserialize(fields)?),
        })
    }
}

/// The events of one partition, from some offset on.
pub(super) struct Events {
    generator: EventGenerator,
    settings: Nexmark,
}

impl Events {
    /// From `offset` of `partition` on; as quick for any.
    pub(super) fn new(settings: &Nexmark, partition: u16, offset: u64) -> Events {
        let rate = usize::try_from(settings.event_time_rate).expect("checked when it was set");
        let mut config = NexmarkConfig {
            base_time: 0,
            first_rate: rate,
            next_rate: rate,
            ..NexmarkConfig::default()
        };
        // The crate seeds the contents of an event with its id and derives all other ids from that; so a seed is another
        // stretch of ids, far from all others, that begins like the first with a person.
        let cycle = config.person_proportion + config.auction_proportion + config.bid_proportion;
        config.first_event_id =
            usize::try_from(settings.seed % 65_536).expect("16 bits") * (cycle << 30);
        let step = u64::from(settings.partitions);
        let number = offset * step + u64::from(partition);
        let generator = EventGenerator::new(config).with_offset(number).with_step(step);
        Events { generator, settings: settings.clone() }
    }

    /// When event `number` happens. Our own sum, since the crate's is in 32-bit floats.
    fn at(&self, number: u64) -> EventTime {
        let settings = &self.settings;
        let after = u128::from(number) * 1_000 / u128::from(settings.event_time_rate);
        let after = Duration::from_millis(u64::try_from(after).unwrap_or(u64::MAX));
        let at = settings.begin.saturating_add(after);
        let chosen = settings.stragglers_ppm > 0
            && chain(settings.seed, &number.to_le_bytes()) % 1_000_000
                < u64::from(settings.stragglers_ppm);
        if chosen { at.saturating_sub(settings.straggler_delay) } else { at }
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let at = self.at(self.generator.offset());
        Some(match self.generator.next()? {
            Generated::Person(p) => Event::Person(Person {
                id: p.id as u64,
                name: p.name,
                email_address: p.email_address,
                credit_card: p.credit_card,
                city: p.city,
                state: p.state,
                at,
                extra: p.extra,
            }),
            Generated::Auction(a) => Event::Auction(Auction {
                id: a.id as u64,
                item_name: a.item_name,
                description: a.description,
                initial_bid: a.initial_bid as u64,
                reserve: a.reserve as u64,
                at,
                expires: at.saturating_add(Duration::from_millis(a.expires - a.date_time)),
                seller: a.seller as u64,
                category: a.category as u64,
                extra: a.extra,
            }),
            Generated::Bid(b) => Event::Bid(Bid {
                auction: b.auction as u64,
                bidder: b.bidder as u64,
                price: b.price as u64,
                channel: b.channel,
                url: b.url,
                at,
                extra: b.extra,
            }),
        })
    }
}

#[cfg(test)]
mod tests;
