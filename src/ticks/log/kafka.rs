//! The tick log on a Kafka topic of one partition: it outlives the machine, and any number may read it while one leads.
//!
//! Anybody may append; which records count is decided by reading (PROTOCOL, "What counts"). An append is acknowledged by all in-sync
//! replicas. If it was acknowledged at the offset right after the last record known, nothing can stand between; else everything up to
//! its own last offset is read back. Offsets are positions; no transaction writes here, so they have no holes but the cut beginning.

use super::{Entry, Log, Position};
use crate::error::{Error, Kind, Result};
use crate::ids::Nonce;
use crate::kafka::{self, Connection, Context, failed};
use crate::ticks::record::Record;
use crate::time::clock;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use std::collections::BTreeSet;
use std::time::Duration;

mod producer;
mod topic;

use producer::Appends;

/// The longest record on Kafka in bytes, with some room below the topic's own limit.
const RECORD_BYTES_MAX: usize = 8 << 20;
/// How long one poll waits at most before the clock is looked at again.
const POLL: Duration = Duration::from_millis(100);

/// Where the log is, and how safe it must be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The topic.
    pub topic: String,
    /// Whether it is made if it is missing.
    pub make: bool,
    /// The brokers.
    pub connection: Connection,
    /// Replicas that the topic must have, and is made with. With 1 the log is lost with one disk: a warning at each start.
    pub replication: u16,
    /// How long an answer of the brokers is waited for, in milliseconds. An append without an answer for so long ends the generation, so
    /// it should be longer than a broker's restart.
    pub timeout_ms: u64,
}

impl Settings {
    /// A log on `topic` with 3 replicas and 30 s of patience.
    pub fn new(topic: impl Into<String>, connection: Connection) -> Settings {
        Settings { topic: topic.into(), make: true, connection, replication: 3, timeout_ms: 30_000 }
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    fn place(&self) -> String {
        format!("tick log kafka topic {}", self.topic)
    }
}

/// A process's hold on a log on Kafka.
pub struct KafkaLog {
    settings: Settings,
    log_id: Nonce,
    consumer: BaseConsumer<Context>,
    appends: Appends,
    /// The next offset to give; `None` before the first read.
    next: Option<Position>,
    /// The next offset that the consumer gives; `None` while it fetches nothing, as for a leader that reads nothing back.
    fetching: Option<Position>,
    /// Where `state` records stand, among those given.
    states: BTreeSet<Position>,
    broken: Option<String>,
}

impl KafkaLog {
    /// Opens the log; makes its topic if it is missing, else checks that the topic keeps what a log needs.
    ///
    /// # Errors
    /// `Config` if the topic is not as it must be or the brokers refuse, `Retry` if they can't be reached in time.
    pub fn open(settings: Settings) -> Result<KafkaLog> {
        let fixed = [("check.crcs", "true"), ("allow.auto.create.topics", "false")];
        let consumer = kafka::consumer(&settings.connection, &settings.place(), &fixed)?;
        let log_id = topic::prepare(&settings, &consumer)?;
        let appends = Appends::new(&settings)?;
        let states = BTreeSet::new();
        Ok(KafkaLog {
            settings,
            log_id,
            consumer,
            appends,
            next: None,
            fetching: None,
            states,
            broken: None,
        })
    }

    fn failed(&self, doing: &str, error: &KafkaError) -> Error {
        let error = failed(format!("{}: {doing}", self.describe()), error);
        // A topic that is gone, an offset that was cut, bytes that the client can't read: the log is not what was written.
        let kind = match error.kind() {
            Kind::SourceChanged | Kind::Input => Kind::Corrupt,
            kind => kind,
        };
        Error::new(kind, format!("{}{}", error.message(), self.consumer.context().complaint()))
    }

    /// The next offset, which is the log's head if nothing was read yet, and the end as it is known now.
    fn ends(&mut self) -> Result<(Position, Position)> {
        let (low, high) = self.watermarks()?;
        let next = *self.next.get_or_insert(low);
        Ok((next, high))
    }

    /// The topic's first offset and its end.
    fn watermarks(&self) -> Result<(Position, Position)> {
        let (low, high) = self
            .consumer
            .fetch_watermarks(&self.settings.topic, 0, self.settings.timeout())
            .map_err(|e| self.failed("asking for its end", &e))?;
        let offset = |n: i64| u64::try_from(n).map_err(|_| self.lost(&format!("offset {n}")));
        let (low, high) = (offset(low)?, offset(high)?);
        match self.next {
            Some(next) if low > next => Err(self.cut_by_another(low, next)),
            _ => Ok((low, high)),
        }
    }

    fn lost(&self, what: &str) -> Error {
        Error::new(
            Kind::Corrupt,
            format!("{}: {what}; start again to read it from its beginning", self.describe()),
        )
    }

    /// Only a leader cuts, behind what it has read itself: records that are gone before they were read here were another's to cut.
    fn cut_by_another(&self, low: Position, next: Position) -> Error {
        Error::new(
            Kind::Fenced,
            format!(
                "{}: another generation leads now: it has cut the log before {low}, and this process had read up to {next}",
                self.describe()
            ),
        )
    }

    /// Lets the consumer fetch from `next` on.
    fn fetch_from(&mut self, next: Position) -> Result<()> {
        if self.fetching != Some(next) {
            kafka::read_from(&self.consumer, &self.settings.topic, 0, next)
                .map_err(|e| self.failed("beginning to read", &e))?;
            self.fetching = Some(next);
        }
        Ok(())
    }

    /// Lets the consumer fetch nothing: else it would fill up with one's own records.
    fn fetch_nothing(&mut self) {
        // Fetching on is a waste, no fault.
        if self.fetching.is_some() && self.consumer.unassign().is_ok() {
            self.fetching = None;
        }
    }

    /// Gives the records from the next one to the one before `end`, which is known to be there.
    fn read_to(
        &mut self,
        end: Position,
        each: &mut dyn FnMut(Position, Record) -> Result<()>,
    ) -> Result<()> {
        let begun = clock::instant();
        while let Some(next) = self.next.filter(|next| *next < end) {
            self.fetch_from(next)?;
            let message = match kafka::next(&self.consumer, POLL) {
                Ok(Some(message)) => message,
                Err(e) => {
                    let error = self.failed("reading", &e);
                    let gone = error.kind() == Kind::Corrupt;
                    return Err(gone.then(|| self.watermarks().err()).flatten().unwrap_or(error));
                }
                Ok(None) if begun.elapsed() < self.settings.timeout() => continue,
                Ok(None) => {
                    return Err(Error::new(
                        Kind::Retry,
                        format!(
                            "{}: the record at offset {next} did not come within {} ms{}",
                            self.describe(),
                            self.settings.timeout_ms,
                            self.consumer.context().complaint()
                        ),
                    ));
                }
            };
            let position = message.offset() as u64;
            let record = Record::from_json(message.payload().unwrap_or_default())
                .map_err(|e| e.at(format_args!("{} offset {position}", self.settings.place())))?;
            self.fetching = Some(position + 1);
            self.given(position, &record);
            each(position, record)?;
        }
        Ok(())
    }

    fn given(&mut self, position: Position, record: &Record) {
        self.next = Some(position + 1);
        if matches!(record, Record::State(_)) {
            self.states.insert(position);
        }
    }

    fn undecided(&self) -> Error {
        Error::new(
            Kind::Undecided,
            format!(
                "{}: {}; the records may be in it, the generation ends: start again to see the outcome",
                self.describe(),
                self.broken.as_deref().unwrap_or("no answer")
            ),
        )
    }

    fn encode(&self, record: &Record) -> Result<Vec<u8>> {
        let json = record.to_json();
        if json.len() > RECORD_BYTES_MAX {
            return Err(Error::config(format!(
                "{}: {} has {} bytes, more than the {RECORD_BYTES_MAX} that a record on Kafka may have; make ticks smaller",
                self.describe(),
                record.describe(),
                json.len()
            )));
        }
        Ok(json)
    }
}

impl Log for KafkaLog {
    fn describe(&self) -> String {
        self.settings.place()
    }

    fn log_id(&self) -> Nonce {
        self.log_id
    }

    fn read(&mut self, each: &mut dyn FnMut(Position, Record) -> Result<()>) -> Result<()> {
        let (_, end) = self.ends()?;
        self.read_to(end, each)
    }

    fn append(&mut self, records: &[Record]) -> Result<Vec<Entry>> {
        if self.broken.is_some() {
            return Err(self.undecided());
        }
        let payloads = records.iter().map(|r| self.encode(r)).collect::<Result<Vec<_>>>()?;
        let next = match self.next {
            Some(next) => next,
            None => self.ends()?.0,
        };
        let offsets = match self.appends.append(&payloads) {
            Ok(offsets) => offsets,
            Err(why) => {
                self.broken = Some(why);
                return Err(self.undecided());
            }
        };
        let mut entries = Vec::with_capacity(records.len());
        match producer::placed(next, &offsets) {
            producer::Placed::Next => {
                for (position, record) in offsets.into_iter().zip(records) {
                    self.given(position, record);
                    entries.push(Entry { position, record: record.clone(), own: true });
                }
                self.fetch_nothing();
                return Ok(entries);
            }
            producer::Placed::ReadTo(end) => {
                let read = self.read_to(end, &mut |position, record| {
                    let own = offsets.contains(&position);
                    entries.push(Entry { position, record, own });
                    Ok(())
                });
                // They are in the log for certain, but what stands before them is not known: to the caller that is undecided.
                read.map_err(|e| {
                    self.broken = Some(format!("appended, but not read back: {}", e.message()));
                    if e.kind() == Kind::Fenced { e } else { self.undecided() }
                })?;
            }
            producer::Placed::Behind => {
                let what = format!("offset {offsets:?} was given after {next}: it was made anew");
                self.broken = Some(what.clone());
                return Err(self.lost(&what));
            }
        }
        Ok(entries)
    }

    fn cut(&mut self, position: Position) -> Result<()> {
        if !self.states.contains(&position) {
            return Err(Error::internal(format!(
                "{}: no state record at position {position}, so it can't be cut there",
                self.describe()
            )));
        }
        topic::delete_before(&self.settings, position)?;
        self.states = self.states.split_off(&position);
        Ok(())
    }
}
