//! Right answers for the proof dataflow, computed without the engine: this crate has neither `tidemark` nor `timely` nor
//! `differential-dataflow` in its dependency tree, and a test keeps it so. It does no I/O.
//!
//! # The question
//! The dataflow `proof` reads the topic `proof-events` (source `events`, 4 partitions, event time `at`, lag [`Rules::lag`]) and
//! writes six topics. Given, from the progress record of a tick, the next offset of each partition and the watermark of the
//! tick, [`Oracle`] says what the topics must hold: exactly the changes up to that tick, no more and no less.
//!
//! # Input
//! One flat JSON object a record, no key. Every object has `kind` and `at`, RFC 3339 with milliseconds in UTC:
//!
//! ```json
//! {"kind":"person","at":"2026-01-01T00:00:00.000Z","id":8,"name":"Ada 8","city":"Oslo"}
//! {"kind":"auction","at":"2026-01-01T00:00:00.002Z","id":24,"seller":8,"category":3}
//! {"kind":"bid","at":"2026-01-01T00:00:00.020Z","auction":24,"bidder":12,"price":1700}
//! {"kind":"edge","at":"2026-01-01T00:00:00.008Z","from":4,"to":9,"present":true}
//! ```
//!
//! All records of one person, one auction or one edge are in one partition, and their newest record there is what holds
//! (upsert by `id`, by `id`, by `(from, to)`; an edge with `present` false is none). Bids are append-only.
//!
//! # Output
//! JSON, each record with a header `tidemark-tick`. Changelog records are `{"key":K,"value":V,"diff":1}` or `-1`.
//!
//! | topic | mode | what | form |
//! |---|---|---|---|
//! | `proof-live` | changelog | bids per auction in the *open* tumbling windows of [`Rules::size`]; a row goes when its window closes | K = `{"key":auction,"start":time,"end":time}`, V = count |
//! | `proof-counts` | append | the same, once, when a window closes | `{"key":auction,"start":time,"end":time,"value":count}` |
//! | `proof-late` | append | bids that were late for their window | `{"row":{"auction":..,"bidder":..,"price":..,"at":time},"start":time,"end":time,"late_micros":..}` |
//! | `proof-joined` | changelog | each auction with its seller, where both are known | K = auction, V = `{"seller":..,"category":..,"name":..,"city":..}` |
//! | `proof-top` | changelog | the [`Rules::top`] auctions of each category with most bids of all time, ties by lower auction; only auctions that are known and have bids | V = `{"category":..,"auction":..,"bids":..}`, K is not looked at |
//! | `proof-components` | changelog | for each node of a present edge the least node of its connected component | K = node, V = label |
//!
//! A topic's name without `proof-` is the name of its sink. Three of the tables are served too, with the same keys and values: the
//! views `joined`, `top` and `component`.
//!
//! # Rules of time
//! A record's *stamp* is the greatest event time of its partition *before* it, minus the lag; the first has none. A bid is late
//! iff its window's end + [`Rules::lateness`] <= its stamp. A window closes at the first tick whose watermark has reached its
//! end + lateness, after the records of that tick.
//!
//! ```
//! use tidemark_oracle::{Generator, Oracle, Row, Rules};
//! let generator = Generator::new(7, 4);
//! let mut oracle = Oracle::new(Rules::default(), 4);
//! for offset in 0..100 {
//!     oracle.advance(0, &generator.line(0, offset)).unwrap();
//! }
//! let changes = oracle.settle(None);
//! assert!(changes.iter().any(|(row, diff)| matches!(row, Row::Live { .. }) && *diff == 1));
//! ```

mod components;
mod event;
mod generate;
mod output;
mod random;
mod time;
mod views;

pub use components::components;
pub use event::{Auction, Edge, Event, Kind, Person};
pub use generate::Generator;
pub use output::Output;
pub use random::Random;
pub use time::{format_micros, parse_micros};
pub use views::{Oracle, Row, Rules};
