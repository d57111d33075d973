//! Control dataflows beside the main one, on timely's own progress tracking.
//!
//! | dataflow | carries | its frontier says |
//! |---|---|---|
//! | clock | openings of ticks, from worker 0 to all | nothing that is read |
//! | ranges | what each worker read, to worker 0 | the tick below is read by all workers |
//! | durable | nothing | the tick below is known to count |
//! | shown | nothing | the tick below is released on worker 0 |
//! | watermark, one a source | nothing; its time is event time | the source's watermark |

use super::record::{Decision, Range};
use crate::hash::Map;
use crate::ids::{Inlet, Tick};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::probe::{self, Probe};
use timely::dataflow::operators::vec::{Broadcast, Input};
use timely::worker::Worker;

type Handle<T, D> = InputHandle<T, CapacityContainerBuilder<Vec<D>>>;

/// What opens a tick on every worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opening {
    /// What was decided.
    pub(crate) decision: Decision,
    /// To where each partition is read. With targets a tick closes itself when they are reached; without, the next opening
    /// closes it. Partitions that are absent are not read.
    pub(crate) targets: Option<Vec<(Inlet, u64)>>,
    /// What the log says was read, when the tick is followed.
    pub(crate) recorded: Option<Vec<Range>>,
}

/// What a worker tells worker 0 about a tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// There is something in the tick.
    Ready,
    /// The worker's share of the tick's records or bytes is used up.
    Full,
    /// What the worker read in it; its last word on the tick.
    Read(Vec<Range>),
}

/// What the workers have read, on worker 0.
#[derive(Default)]
pub(crate) struct Gathered {
    /// Ranges by tick.
    pub(crate) ranges: BTreeMap<Tick, Vec<Range>>,
    /// The greatest tick for which a worker is ready.
    pub(crate) ready: Tick,
    /// The greatest tick that is full on a worker.
    pub(crate) full: Tick,
}

/// A message of the control dataflows. From process to process it goes as JSON, since records have fields that are left out, which
/// a format that does not describe itself can't carry; within a process it is not encoded at all.
#[derive(Clone, Debug)]
struct Wire<T>(T);

impl<T: Serialize> Serialize for Wire<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Wire<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Wire).map_err(serde::de::Error::custom)
    }
}

/// A worker's ends of the control dataflows.
pub(crate) struct Control {
    clock: Option<Handle<Tick, Wire<Opening>>>,
    openings: Rc<RefCell<VecDeque<Opening>>>,
    ranges: Handle<Tick, Wire<Report>>,
    /// Where worker 0 finds what all have read.
    pub(crate) gathered: Rc<RefCell<Gathered>>,
    ranges_probe: probe::Handle<Tick>,
    durable: Option<Handle<Tick, ()>>,
    durable_probe: probe::Handle<Tick>,
    /// Absent in a job of one process, where worker 0 says it through memory.
    shown: Option<(Option<Handle<Tick, ()>>, probe::Handle<Tick>)>,
    watermarks: Map<String, (Option<Handle<i64, ()>>, probe::Handle<i64>)>,
}

impl Control {
    /// Builds the control dataflows; every worker must call it with the same sources, in the same order.
    pub(crate) fn build(
        worker: &mut Worker,
        start: Tick,
        sources: &[String],
        several_processes: bool,
    ) -> Control {
        let first = worker.index() == 0;
        let openings: Rc<RefCell<VecDeque<Opening>>> = Rc::default();
        let heard = Rc::clone(&openings);
        let clock = worker.dataflow_named("clock", |scope| {
            let (input, stream) = scope.new_input::<Wire<Opening>>();
            stream.broadcast().sink(Pipeline, "Openings", move |(input, _)| {
                input.for_each(|_, rows| {
                    heard.borrow_mut().extend(rows.drain(..).map(|Wire(opening)| opening))
                });
            });
            input
        });
        let gathered: Rc<RefCell<Gathered>> = Rc::default();
        let filled = Rc::clone(&gathered);
        let (ranges, ranges_probe) = worker.dataflow_named("ranges", |scope| {
            let (input, stream) = scope.new_input::<Wire<Report>>();
            let (probe, _) = stream
                .unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(
                    Exchange::new(|_: &Wire<Report>| 0),
                    "Gather",
                    move |_, _| {
                        move |input, _| {
                            input.for_each(|stamp, rows| {
                                let tick = *stamp.least().expect("a message has a time");
                                let mut gathered = filled.borrow_mut();
                                for Wire(report) in rows.drain(..) {
                                    match report {
                                        Report::Ready => gathered.ready = gathered.ready.max(tick),
                                        Report::Full => gathered.full = gathered.full.max(tick),
                                        Report::Read(ranges) => {
                                            gathered.ranges.entry(tick).or_default().extend(ranges);
                                        }
                                    }
                                }
                            });
                        }
                    },
                )
                .probe();
            (input, probe)
        });
        let (durable, durable_probe) = worker.dataflow_named("durable", |scope| {
            let (input, stream) = scope.new_input::<()>();
            (input, stream.probe().0)
        });
        let shown = several_processes.then(|| {
            worker.dataflow_named("shown", |scope| {
                let (input, stream) = scope.new_input::<()>();
                (first.then_some(input), stream.probe().0)
            })
        });
        let watermarks = sources.iter().map(|source| {
            let handle = worker.dataflow_named(&format!("watermark {source}"), |scope| {
                let (input, stream) = scope.new_input::<()>();
                (first.then_some(input), stream.probe().0)
            });
            (source.clone(), handle)
        });
        let watermarks = watermarks.collect();
        let (clock, durable) = (first.then_some(clock), first.then_some(durable));
        let mut control = Control {
            clock,
            openings,
            ranges,
            gathered,
            ranges_probe,
            durable,
            durable_probe,
            shown,
            watermarks,
        };
        control.start_at(start);
        control
    }

    fn start_at(&mut self, start: Tick) {
        self.ranges.advance_to(start + 1);
        if let Some(clock) = &mut self.clock {
            clock.advance_to(start + 1);
        }
        self.set_durable(start);
    }

    /// Worker 0: opens a tick on all workers.
    pub(crate) fn open(&mut self, opening: Opening) {
        let clock = self.clock.as_mut().expect("only worker 0 opens ticks");
        let next = opening.decision.tick + 1;
        clock.send(Wire(opening));
        clock.advance_to(next);
    }

    /// The next opening that has arrived.
    pub(crate) fn next_opening(&self) -> Option<Opening> {
        self.openings.borrow_mut().pop_front()
    }

    /// Whether an opening waits.
    pub(crate) fn has_opening(&self) -> bool {
        !self.openings.borrow().is_empty()
    }

    /// Tells worker 0 that the open tick is worth closing.
    pub(crate) fn ready(&mut self) {
        self.ranges.send(Wire(Report::Ready));
        self.ranges.flush();
    }

    /// Tells worker 0 that the open tick takes no more on this worker.
    pub(crate) fn full(&mut self) {
        self.ranges.send(Wire(Report::Full));
        self.ranges.flush();
    }

    /// Tells worker 0 what was read in the open tick, and closes it.
    pub(crate) fn read(&mut self, ranges: Vec<Range>, next: Tick) {
        if !ranges.is_empty() {
            self.ranges.send(Wire(Report::Read(ranges)));
        }
        self.ranges.advance_to(next);
    }

    /// Whether all workers have closed `tick`.
    pub(crate) fn is_read(&self, tick: Tick) -> bool {
        !self.ranges_probe.less_equal(&tick)
    }

    /// Worker 0: ticks up to `tick` are known to count.
    pub(crate) fn set_durable(&mut self, tick: Tick) {
        if let Some(durable) = &mut self.durable
            && *durable.time() <= tick
        {
            durable.advance_to(tick + 1);
        }
    }

    /// Whether `tick` is known to count.
    pub(crate) fn is_durable(&self, tick: Tick) -> bool {
        !self.durable_probe.less_equal(&tick)
    }

    /// Worker 0: ticks up to `tick` are released.
    pub(crate) fn show(&mut self, tick: Tick) {
        if let Some((Some(shown), _)) = &mut self.shown
            && *shown.time() <= tick
        {
            shown.advance_to(tick + 1);
        }
    }

    /// The newest tick that worker 0, in another process, is known to have released.
    pub(crate) fn shown(&self) -> Option<Tick> {
        let (_, probe) = self.shown.as_ref()?;
        probe.with_frontier(|frontier| frontier.first().copied())?.checked_sub(1)
    }

    /// Worker 0: moves a source's watermark.
    pub(crate) fn set_watermark(&mut self, source: &str, watermark: i64) {
        if let Some((Some(handle), _)) = self.watermarks.get_mut(source)
            && *handle.time() < watermark
        {
            handle.advance_to(watermark);
        }
    }

    /// The watermark of a source as its frontier says; `None` before the first.
    pub(crate) fn watermark(&self, source: &str) -> Option<i64> {
        let (_, probe) = self.watermarks.get(source)?;
        let least = probe.with_frontier(|frontier| frontier.first().copied());
        least.filter(|at| *at != i64::MIN)
    }
}
