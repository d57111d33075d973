//! The output topics: their names, and their records read back as rows.

use crate::time::parse_micros;
use crate::views::Row;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// An output topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// Open windows.
    Live,
    /// Closed windows.
    Counts,
    /// Late bids.
    Late,
    /// Auctions with sellers.
    Joined,
    /// The top of each category.
    Top,
    /// Connected components.
    Components,
}

#[derive(Deserialize)]
struct Change<K, V> {
    key: K,
    value: V,
    diff: i64,
}

/// A changelog record whose key is not looked at.
#[derive(Deserialize)]
struct Unkeyed<V> {
    value: V,
    diff: i64,
}

#[derive(Deserialize)]
struct Window {
    key: u64,
    start: String,
}

#[derive(Deserialize)]
struct Closed {
    key: u64,
    start: String,
    value: u64,
}

#[derive(Deserialize)]
struct Late {
    row: Bid,
    start: String,
    late_micros: i64,
}

#[derive(Deserialize)]
struct Bid {
    at: String,
    auction: u64,
    bidder: u64,
    price: u64,
}

#[derive(Deserialize)]
struct Joined {
    seller: u64,
    category: u64,
    name: String,
    city: String,
}

#[derive(Deserialize)]
struct Top {
    category: u64,
    auction: u64,
    bids: u64,
}

impl Output {
    /// All output topics.
    pub const ALL: [Output; 6] = [
        Output::Live,
        Output::Counts,
        Output::Late,
        Output::Joined,
        Output::Top,
        Output::Components,
    ];

    /// The input topic.
    pub const INPUT_TOPIC: &str = "proof-events";

    /// The sink's name in the dataflow.
    pub fn sink(self) -> &'static str {
        match self {
            Output::Live => "live",
            Output::Counts => "counts",
            Output::Late => "late",
            Output::Joined => "joined",
            Output::Top => "top",
            Output::Components => "components",
        }
    }

    /// The topic's name.
    pub fn topic(self) -> &'static str {
        match self {
            Output::Live => "proof-live",
            Output::Counts => "proof-counts",
            Output::Late => "proof-late",
            Output::Joined => "proof-joined",
            Output::Top => "proof-top",
            Output::Components => "proof-components",
        }
    }

    /// The output whose topic this is.
    pub fn of_topic(topic: &str) -> Option<Output> {
        Output::ALL.into_iter().find(|output| output.topic() == topic)
    }

    /// The row of one record, and how it changes: 1 or -1.
    ///
    /// # Errors
    /// If the record is not as the documentation says; the message has the record.
    pub fn read(self, record: &str) -> Result<(Row, i64), String> {
        let (row, diff) = match self {
            Output::Live => {
                let change: Change<Window, u64> = json(record)?;
                let start = parse_micros(&change.key.start)?;
                (Row::Live { start, auction: change.key.key, bids: change.value }, change.diff)
            }
            Output::Counts => {
                let Closed { key, start, value } = json(record)?;
                (Row::Closed { start: parse_micros(&start)?, auction: key, bids: value }, 1)
            }
            Output::Late => {
                let Late { row, start, late_micros } = json(record)?;
                let bid = (parse_micros(&row.at)?, row.auction, row.bidder, row.price);
                (Row::Late { start: parse_micros(&start)?, bid, late_micros }, 1)
            }
            Output::Joined => {
                let Change { key: auction, value, diff } = json(record)?;
                let Joined { seller, category, name, city } = value;
                (Row::Joined { auction, seller, category, name, city }, diff)
            }
            Output::Top => {
                let Unkeyed { value: Top { category, auction, bids }, diff } = json(record)?;
                (Row::Top { category, auction, bids }, diff)
            }
            Output::Components => {
                let Change { key: node, value: label, diff } = json(record)?;
                (Row::Component { node, label }, diff)
            }
        };
        if diff == 1 || diff == -1 {
            Ok((row, diff))
        } else {
            Err(format!("diff {diff} is neither 1 nor -1: {record}"))
        }
    }
}

fn json<T: DeserializeOwned>(record: &str) -> Result<T, String> {
    serde_json::from_str(record).map_err(|error| format!("{error}: {record}"))
}

#[cfg(test)]
mod tests;
