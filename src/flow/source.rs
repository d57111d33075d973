//! Sources as a dataflow declares them, and how they are read on a worker: poll, check, decode, stamp, send.
//!
//! The stamp of a record is its partition's greatest event time before it minus the lag, and no less than the watermark of the
//! record's tick: a partition that returns from idleness or appears at run time holds from the current watermark on.

use super::context::Flow;
use super::endpoint::Endpoint;
use super::graph::What;
use super::plan::{Place, SourcePlan};
use super::tap::{Gates, Tap};
use super::{Rec, Stream, UNKNOWN};
use crate::error::{Error, Kind, Result};
use crate::formats::{Csv, Decode, Json, Limits, Reason, Rejected, excerpt};
use crate::hash::{Set, chain_record};
use crate::ids::{Inlet, Pos, Tick};
use crate::job::ports::{Found, SourceTask};
use crate::job::whereabouts::Mark;
use crate::row::Row;
use crate::row::schema::Type;
use crate::sources::{Budget, Polled, Raw, Reader, Transport, Waker};
use crate::state::manifest::InletState;
use crate::ticks::record::{Activity, InletDecl, Range};
use crate::ticks::view::Times;
use crate::time::{EventTime, clock};
use std::cell::OnceCell;
use std::ops::Deref;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::operators::vec::Input;

/// How far event times within a partition may lie behind the greatest seen so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag(pub Duration);

/// What becomes of records that are rejected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The job stops and names the record.
    #[default]
    Fail,
    /// They are counted.
    Skip,
    /// They go to the sink `SOURCE-dead-letter`.
    DeadLetter,
}

/// What configuration says about how a source is read.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// What becomes of rejected records.
    pub on_error: OnError,
    /// The sink that rejected records go to under [`OnError::DeadLetter`]; `None`: `SOURCE-dead-letter`.
    pub dead_letter: Option<String>,
    /// After how long without records a caught-up partition no longer holds the watermark; `None`: never.
    pub idle: Option<Duration>,
    /// `json` or `csv`; `None`: as the code says.
    pub format: Option<String>,
    /// Columns of CSV lines; `None`: the row's field names.
    pub columns: Option<Vec<String>>,
    /// Whether CSV begins with a line of names; `None`: it does.
    pub header: Option<bool>,
    /// What stands between fields of CSV; `None`: a comma.
    pub delimiter: Option<char>,
    /// Limits of a record.
    pub limits: Limits,
}

/// A record that was rejected, as its sink gets it.
#[derive(Row)]
pub struct DeadLetter {
    /// The source.
    pub source: String,
    /// The partition.
    pub partition: String,
    /// The record's offset.
    pub offset: u64,
    /// Why, by kind.
    pub reason: String,
    /// Why, in words.
    pub detail: String,
    /// The begin of the payload, printable.
    pub excerpt: String,
}

/// The most of a payload that a dead letter shows, in bytes.
const EXCERPT_BYTES: usize = 1024;
/// How long a partition may end before what a replay needs until it counts as having changed.
const SHORT_AFTER: Duration = Duration::from_secs(60);

/// A declared source. It is a [`Stream`] without event time until [`Source::event_time`] gives it one.
pub struct Source<'s, D: Row> {
    flow: Flow<'s>,
    name: String,
    endpoint: Endpoint<D>,
    place: Place,
    stream: OnceCell<Stream<'s, D>>,
}

impl<'s> Flow<'s> {
    /// Declares a source: a name, and the transport that holds unless configuration says otherwise.
    #[track_caller]
    pub fn source<D: Row>(&self, name: &str, endpoint: Endpoint<D>) -> Source<'s, D> {
        let (flow, name) = (self.clone(), name.to_owned());
        Source { flow, name, endpoint, place: Location::caller(), stream: OnceCell::new() }
    }
}

impl<'s, D: Row> Source<'s, D> {
    /// The source's records with event time `at`, and the bound on their disorder within a partition.
    ///
    /// Say it first: once the source was used without event time, or was given one, this is a problem of the dataflow.
    #[track_caller]
    pub fn event_time(&self, at: impl Fn(&D) -> EventTime + 'static, lag: Lag) -> Stream<'s, D> {
        if let Some(stream) = self.stream.get() {
            let text = if stream.sources.is_timed() {
                "given event time twice"
            } else {
                "used before it is given event time"
            };
            self.flow.problem(Location::caller(), format_args!("source {:?} is {text}", self.name));
        }
        let lag = i64::try_from(lag.0.as_micros()).unwrap_or(i64::MAX);
        self.stream.get_or_init(|| self.build(Some((Box::new(at), lag)))).clone()
    }

    /// `time`: the event time of a row, and the lag in microseconds.
    fn build(&self, time: Option<(TimeOf<D>, i64)>) -> Stream<'s, D> {
        let lag = time.as_ref().map(|(_, lag)| *lag);
        self.flow.declare_source(SourcePlan {
            name: self.name.clone(),
            defaults: self.endpoint.keys.clone(),
            lag,
            schema: D::schema(),
            place: self.place,
        });
        let what = What::new("source", self.place).named(&self.name);
        let mark = self.flow.mark(&what);
        let step = self.flow.fused(what, Vec::new());
        let options = self.flow.context.source_options.get(&self.name).cloned().unwrap_or_default();
        let decode = self.decoder(&options);
        let gates: Rc<Gates> = Rc::default();
        let tap = Tap::new(&gates);
        let letters = (options.on_error == OnError::DeadLetter).then(|| {
            let (letters, stream) = self.flow.scope.new_input::<Rec<DeadLetter>>();
            self.flow.leaves_loop(step, Some("dead letters"), &stream);
            let stream = Stream::new(&self.flow, stream, Rc::default(), "dead letters");
            let name = options.dead_letter.clone();
            let name = name.unwrap_or_else(|| format!("{}-dead-letter", self.name));
            let endpoint = super::endpoint::kafka::topic(&name).json();
            self.flow.sink_at(&name, &stream, &endpoint, self.place);
            letters
        });
        self.flow.context.sources.borrow_mut().push(Box::new(Driver {
            source: self.name.clone(),
            decode,
            time,
            options,
            mark,
            tap: Rc::clone(&tap),
            gates,
            letters,
            reader: None,
            outside: String::new(),
            inlets: Vec::new(),
            tick: 0,
            floor: i64::MIN,
            following: false,
            skips: Set::default(),
        }));
        let times = lag.map(|_| Times::of(&self.name)).unwrap_or_default();
        Stream::tapped(&self.flow, (tap, step), Rc::new(times), "source")
    }

    fn decoder(&self, options: &SourceOptions) -> Rc<dyn for<'a> Decode<'a, D>> {
        let named = self.endpoint.keys.get("format").map(String::as_str);
        let format = options.format.as_deref().or(named).unwrap_or("json");
        let fields = || match D::schema().shape {
            Type::Struct(row) => row.fields.list.into_iter().map(|field| field.name).collect(),
            _ => Vec::new(),
        };
        match format {
            "json" => Rc::new(Json::new(options.limits)),
            "csv" => match Csv::new(options.columns.clone().unwrap_or_else(fields))
                .and_then(|csv| csv.delimiter(options.delimiter.unwrap_or(',')))
            {
                Ok(csv) => {
                    Rc::new(csv.limits(options.limits).header_line(options.header.unwrap_or(true)))
                }
                Err(error) => {
                    self.flow.problem(self.place, format_args!("source {:?}: {error}", self.name));
                    Rc::new(Json::new(options.limits))
                }
            },
            other => {
                let text =
                    format_args!("source {:?}: no format {other:?}; known: json, csv", self.name);
                self.flow.problem(self.place, text);
                Rc::new(Json::new(options.limits))
            }
        }
    }
}

impl<'s, D: Row> Deref for Source<'s, D> {
    type Target = Stream<'s, D>;

    fn deref(&self) -> &Stream<'s, D> {
        self.stream.get_or_init(|| self.build(None))
    }
}

type TimeOf<D> = Box<dyn Fn(&D) -> EventTime>;
type Input_<R> = InputHandle<Tick, CapacityContainerBuilder<Vec<Rec<R>>>>;

/// A partition as a worker reads it.
struct Partition {
    decl: InletDecl,
    /// The next offset.
    next: u64,
    /// The next offset at the tick's begin.
    from: u64,
    records: u64,
    checksum: u64,
    rejected: u64,
    event_time_max: Option<i64>,
    activity: Activity,
    reported: Activity,
    limit: u64,
    quiet_since: Option<Instant>,
}

impl Partition {
    /// Whether it has less than the log says. A partition that only says that it is at its end at present (a broker that comes up,
    /// transactions that are not yet decided) is given time.
    fn is_short(&mut self, polled: Polled) -> bool {
        match polled {
            Polled::Finished => true,
            Polled::CaughtUp => {
                let since = *self.quiet_since.get_or_insert_with(clock::instant);
                clock::instant() - since >= SHORT_AFTER
            }
            Polled::More | Polled::Waiting | Polled::Limit => false,
        }
    }
}

/// A source on one worker.
struct Driver<D: Row> {
    source: String,
    decode: Rc<dyn for<'a> Decode<'a, D>>,
    /// The event time of a row, and the lag in microseconds.
    time: Option<(TimeOf<D>, i64)>,
    options: SourceOptions,
    mark: Mark,
    tap: Rc<Tap<D>>,
    gates: Rc<Gates>,
    letters: Option<Input_<DeadLetter>>,
    reader: Option<Box<dyn Reader>>,
    /// What it reads, for messages.
    outside: String,
    inlets: Vec<Partition>,
    tick: Tick,
    /// No stamp is below this: the watermark of the open tick.
    floor: i64,
    /// Whether the open tick is read to targets.
    following: bool,
    skips: Set<(String, u64)>,
}

impl<D: Row> SourceTask for Driver<D> {
    fn name(&self) -> &str {
        &self.source
    }

    fn feeds(&self) -> bool {
        !self.gates.is_empty()
    }

    fn open(&mut self, transport: &dyn Transport, waker: Waker) -> Result<()> {
        self.reader = Some(transport.open(waker)?);
        self.outside = transport.describe();
        Ok(())
    }

    fn assign(&mut self, at: &InletState) -> Result<()> {
        let reader = self.reader.as_mut().expect("opened before partitions are assigned");
        reader.assign(at.decl.inlet, &at.decl.partition, at.next)?;
        self.inlets.push(Partition {
            decl: at.decl.clone(),
            next: at.next,
            from: at.next,
            records: 0,
            checksum: 0,
            rejected: 0,
            event_time_max: at.event_time_max,
            activity: at.activity,
            reported: at.activity,
            limit: u64::MAX,
            quiet_since: None,
        });
        Ok(())
    }

    fn open_tick(&mut self, tick: Tick, watermark: Option<i64>, targets: Option<&[(Inlet, u64)]>) {
        self.tick = tick;
        self.floor = watermark.unwrap_or(i64::MIN);
        self.advance_to(tick);
        if let Some(letters) = &mut self.letters {
            letters.advance_to(tick);
        }
        self.following = targets.is_some();
        for inlet in &mut self.inlets {
            inlet.limit = match targets {
                None => u64::MAX,
                Some(targets) => targets
                    .iter()
                    .find(|(at, _)| *at == inlet.decl.inlet)
                    .map_or(inlet.next, |(_, to)| *to),
            };
        }
    }

    fn poll(&mut self, budget: &mut Budget) -> Result<Found> {
        let mut found = Found { reached: true, ..Found::default() };
        for at in 0..self.inlets.len() {
            if budget.records == 0 || budget.bytes == 0 {
                found.more = true;
                found.reached =
                    self.inlets[at..].iter().all(|i| i.next >= i.limit) && found.reached;
                break;
            }
            let polled = self.poll_inlet(at, budget)?;
            let inlet = &mut self.inlets[at];
            found.more |= polled == Polled::More;
            if self.following {
                found.reached &= inlet.next >= inlet.limit;
                if inlet.next < inlet.limit && inlet.is_short(polled) {
                    return Err(gone_short(&self.source, &self.outside, inlet));
                }
                continue;
            }
            inlet.activity = match polled {
                Polled::Finished => Activity::Finished,
                Polled::CaughtUp => match (self.options.idle, inlet.quiet_since) {
                    (Some(idle), Some(since)) if clock::instant() - since >= idle => Activity::Idle,
                    _ => {
                        inlet.quiet_since.get_or_insert_with(clock::instant);
                        inlet.activity
                    }
                },
                Polled::More | Polled::Waiting | Polled::Limit => inlet.activity,
            };
        }
        found.any = self.inlets.iter().any(|i| i.next != i.from || i.activity != i.reported);
        self.flush();
        Ok(found)
    }

    fn close_tick(&mut self, next: Tick) -> Vec<Range> {
        self.advance_to(next);
        if let Some(letters) = &mut self.letters {
            letters.advance_to(next);
        }
        let mut ranges = Vec::new();
        for inlet in &mut self.inlets {
            if inlet.next == inlet.from && inlet.activity == inlet.reported {
                continue;
            }
            ranges.push(Range {
                inlet: inlet.decl.inlet,
                from: inlet.from,
                to: inlet.next,
                records: std::mem::take(&mut inlet.records),
                checksum: std::mem::take(&mut inlet.checksum),
                event_time_max: inlet.event_time_max,
                rejected: std::mem::take(&mut inlet.rejected),
                activity: inlet.activity,
            });
            inlet.from = inlet.next;
            inlet.reported = inlet.activity;
        }
        ranges
    }

    fn adopt(&mut self, ranges: &[Range]) {
        for range in ranges {
            if let Some(inlet) = self.inlets.iter_mut().find(|i| i.decl.inlet == range.inlet) {
                inlet.activity = range.activity;
            }
        }
    }

    fn lag(&self) -> Vec<(Inlet, u64)> {
        let Some(reader) = &self.reader else { return Vec::new() };
        let lag = |i: &Partition| Some((i.decl.inlet, reader.lag(i.decl.inlet)?));
        self.inlets.iter().filter_map(lag).collect()
    }

    fn skip(&mut self, partition: &str, offset: u64) {
        self.skips.insert((partition.to_owned(), offset));
    }
}

impl<D: Row> Driver<D> {
    fn flush(&self) {
        self.gates.for_each(|gate| gate.flush());
    }

    fn advance_to(&self, tick: Tick) {
        self.gates.for_each(|gate| gate.advance_to(tick));
    }

    fn poll_inlet(&mut self, at: usize, budget: &mut Budget) -> Result<Polled> {
        let inlet = &mut self.inlets[at];
        if inlet.activity == Activity::Finished || inlet.next >= inlet.limit {
            let finished = inlet.activity == Activity::Finished && inlet.limit == u64::MAX;
            return Ok(if finished { Polled::Finished } else { Polled::Limit });
        }
        let reader = self.reader.as_mut().expect("opened before it is polled");
        let (decode, source, floor) = (&self.decode, &self.source, self.floor);
        let (time, options, skips) = (self.time.as_ref(), &self.options, &self.skips);
        let (tap, gates, letters) = (&self.tap, &self.gates, &mut self.letters);
        let (allowed, mut taken) = (*budget, (0, 0));
        let _inside = self.mark.enter();
        let polled = reader.poll(inlet.decl.inlet, inlet.limit, allowed, &mut |raw| {
            taken.0 += 1;
            taken.1 += raw.payload.map_or(0, <[u8]>::len) + 16;
            if raw.offset > Pos::OFFSET_MAX {
                return Err(Error::new(Kind::Input, format!(
                    "source {source}, partition {}: offset {} is beyond 2^48 - 1, the greatest that a position holds",
                    inlet.decl.partition, raw.offset
                )));
            }
            inlet.checksum = chain_record(inlet.checksum, raw.key, raw.payload);
            inlet.records += 1;
            inlet.next = raw.next;
            inlet.quiet_since = None;
            inlet.activity = Activity::Active;
            let left_out =
                !skips.is_empty() && skips.contains(&(inlet.decl.partition.clone(), raw.offset));
            // The user's code runs here: reading the row, its event time, and the steps behind the source.
            let taken_in = gates.record(|| {
                let Some(row) = decode.decode(&raw)? else { return Ok(None) };
                let at = time.map_or(UNKNOWN, |(time, _)| time(&row).micros());
                let stamp = match (time, inlet.event_time_max) {
                    (Some((_, lag)), Some(max)) => max.saturating_sub(*lag).max(floor),
                    _ => floor,
                };
                let pos = Pos::new(inlet.decl.inlet, raw.offset);
                tap.push(Rec { at, stamp, pos, row });
                Ok(Some(at))
            });
            let panicked = |text: String| Err(Rejected::new(Reason::Panicked, text));
            match taken_in.unwrap_or_else(panicked) {
                Ok(Some(at)) => {
                    // It holds the watermark as it did when it was not left out.
                    if left_out {
                        gates.take_back();
                    }
                    if time.is_some() {
                        inlet.event_time_max = Some(inlet.event_time_max.map_or(at, |max| max.max(at)));
                    }
                    Ok(())
                }
                Ok(None) => Ok(()),
                Err(rejected) => {
                    inlet.rejected += 1;
                    if left_out {
                        return Ok(());
                    }
                    match (options.on_error, letters.as_mut()) {
                        (OnError::Fail, _) => Err(rejected.into_error(format_args!(
                            "source {source}, partition {}, offset {}",
                            inlet.decl.partition, raw.offset
                        ))),
                        (OnError::DeadLetter, Some(letters)) => {
                            letters.send(letter(source, inlet, &raw, rejected));
                            Ok(())
                        }
                        _ => Ok(()),
                    }
                }
            }
        })?;
        budget.records = budget.records.saturating_sub(taken.0);
        budget.bytes = budget.bytes.saturating_sub(taken.1);
        // Records just below the target may be gone (a compacted topic): the target is reached all the same, and the tick's count
        // and checksum tell what is missing.
        if self.following && polled == Polled::Limit {
            let inlet = &mut self.inlets[at];
            inlet.next = inlet.next.max(inlet.limit);
        }
        Ok(polled)
    }
}

fn letter(source: &str, inlet: &Partition, raw: &Raw<'_>, rejected: Rejected) -> Rec<DeadLetter> {
    let row = DeadLetter {
        source: source.to_owned(),
        partition: inlet.decl.partition.clone(),
        offset: raw.offset,
        reason: rejected.reason.code().to_owned(),
        detail: rejected.detail,
        excerpt: excerpt(raw.payload.unwrap_or_default(), EXCERPT_BYTES),
    };
    Rec { at: UNKNOWN, stamp: UNKNOWN, pos: Pos::new(inlet.decl.inlet, raw.offset), row }
}

fn gone_short(source: &str, outside: &str, inlet: &Partition) -> Error {
    Error::new(
        Kind::SourceChanged,
        format!(
            "source {source} ({outside}), partition {}: it ends at offset {}, but the tick log says that it was read up to {}; restore the \
             source's data, or start a new job with another --state",
            inlet.decl.partition, inlet.next, inlet.limit
        ),
    )
}
