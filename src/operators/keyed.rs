//! The keyed operator: one state a key, in a hash map on the worker that the key is placed on.
//!
//! Law: the output row of a key at a tick is a function of its state after the tick, and the state after a tick is a function
//! of the state before and the tick's records, in any order. So the state is all that must be kept.
//!
//! 1. Records of the current tick are applied as they arrive, those of later ticks wait in the stash.
//! 2. When the frontier passes the tick, each key that was touched gives its old row back and shows its new one.
//! 3. The same keys go to the change buffer: one change a key and tick.

use crate::error::Result;
use crate::flow::context::Flow;
use crate::flow::graph::What;
use crate::flow::{KeptPlan, Rec};
use crate::hash::Map;
use crate::ids::{Diff, Tick};
use crate::operators::restore::{self, Kept};
use crate::row::Row;
use differential_dataflow::hashable::Hashable;
use differential_dataflow::{AsCollection, VecCollection};
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe::Probe;
use timely::progress::frontier::MutableAntichain;

/// What a keyed operator does with a record, and what it shows of a state.
pub(crate) trait Logic: 'static {
    /// The key.
    type Key: Row;
    /// What of a record reaches the operator.
    type In: timely::ExchangeData;
    /// What is kept of a key.
    type State: Row;
    /// What is shown of a key.
    type Out: Row;

    /// Takes one record into the state; `None` is a key without state, and makes it one.
    fn apply(&self, state: &mut Option<Self::State>, rec: Rec<Self::In>) -> Result<()>;

    /// The row that is shown for a state.
    fn output(&self, state: &Self::State) -> Option<Self::Out>;

    /// Whether a state is still needed once its tick has all its records.
    fn lives(&self, _: &Self::State) -> bool {
        true
    }
}

struct Slot<L: Logic> {
    key: L::Key,
    state: Option<L::State>,
    before: Option<L::Out>,
    dirty: bool,
}

/// States by key: an index into slots, so that a change of a key costs one look-up.
pub(crate) struct Slots<L: Logic> {
    logic: L,
    index: Map<L::Key, u32>,
    slots: Vec<Option<Slot<L>>>,
    free: Vec<u32>,
    dirty: Vec<u32>,
}

impl<L: Logic> Slots<L> {
    pub(crate) fn new(logic: L) -> Slots<L> {
        let (index, slots, free, dirty) = (Map::default(), Vec::new(), Vec::new(), Vec::new());
        Slots { logic, index, slots, free, dirty }
    }

    /// Live keys.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    fn slot(&mut self, key: L::Key) -> u32 {
        if let Some(&at) = self.index.get(&key) {
            return at;
        }
        let slot = Slot { key: key.clone(), state: None, before: None, dirty: false };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = Some(slot);
                at
            }
            None => {
                self.slots.push(Some(slot));
                u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 keys a worker")
            }
        };
        self.index.insert(key, at);
        at
    }

    fn touch(&mut self, at: u32) -> &mut Option<L::State> {
        let slot = self.slots[at as usize].as_mut().expect("an indexed slot is filled");
        if !slot.dirty {
            slot.dirty = true;
            slot.before = slot.state.as_ref().and_then(|state| self.logic.output(state));
            self.dirty.push(at);
        }
        &mut slot.state
    }

    /// Step 1: takes one record in.
    ///
    /// # Errors
    /// What the logic says, with the kept state's uid and the key.
    pub(crate) fn apply(&mut self, uid: &str, key: L::Key, rec: Rec<L::In>) -> Result<()> {
        let at = self.slot(key);
        self.touch(at);
        let slot = self.slots[at as usize].as_mut().expect("an indexed slot is filled");
        self.logic.apply(&mut slot.state, rec).map_err(|error| {
            error.at(format_args!("kept state {uid:?}, key {}", crate::row::show(&slot.key)))
        })
    }

    /// Step 1 for a key that is only lent: `change` is given what the logic is, and the state.
    pub(crate) fn change(
        &mut self,
        uid: &str,
        key: &L::Key,
        change: impl FnOnce(&L, &mut Option<L::State>) -> Result<()>,
    ) -> Result<()> {
        let at = match self.index.get(key) {
            Some(&at) => at,
            None => self.slot(key.clone()),
        };
        self.touch(at);
        let slot = self.slots[at as usize].as_mut().expect("an indexed slot is filled");
        change(&self.logic, &mut slot.state).map_err(|error| {
            error.at(format_args!("kept state {uid:?}, key {}", crate::row::show(&slot.key)))
        })
    }

    /// Puts a restored state in place; its key counts as changed, so that its row is shown.
    pub(crate) fn put(&mut self, key: L::Key, state: L::State) {
        let at = self.slot(key);
        *self.touch(at) = Some(state);
    }

    /// Steps 2 and 3: for each key that was touched, what was shown before, and the state after.
    pub(crate) fn settle(
        &mut self,
        mut each: impl FnMut(&L::Key, Option<L::Out>, Option<L::Out>, Option<&L::State>),
    ) {
        for at in std::mem::take(&mut self.dirty) {
            let slot = self.slots[at as usize].as_mut().expect("a touched slot is filled");
            slot.dirty = false;
            let before = slot.before.take();
            if slot.state.as_ref().is_some_and(|state| !self.logic.lives(state)) {
                slot.state = None;
            }
            let after = slot.state.as_ref().and_then(|state| self.logic.output(state));
            each(&slot.key, before, after, slot.state.as_ref());
            if slot.state.is_none() {
                let slot = self.slots[at as usize].take().expect("a touched slot is filled");
                self.index.remove(&slot.key);
                self.free.push(at);
            }
        }
    }

    /// All live rows, for giving them back together; the slots are empty afterwards.
    pub(crate) fn drain(&mut self) -> Vec<(L::Key, Option<L::Out>)> {
        self.index.clear();
        self.free.clear();
        self.dirty.clear();
        let slots = std::mem::take(&mut self.slots);
        let logic = &self.logic;
        slots
            .into_iter()
            .flatten()
            .map(|slot| {
                let shown = slot.state.as_ref().and_then(|state| logic.output(state));
                (slot.key, shown)
            })
            .collect()
    }
}

/// The tick at which a frontier stands; `None` when nothing follows.
pub(crate) fn frontier_of(frontiers: &[MutableAntichain<Tick>]) -> Option<Tick> {
    frontiers.iter().filter_map(|f| f.frontier().first().copied()).min()
}

/// The worker that a key is placed on: differential's own hash, so that every operator and index agrees.
pub(crate) fn place<K: Row>(key: &K) -> u64 {
    key.hashed()
}

/// Keeps one state a key and shows one row a key.
pub(crate) fn keyed<'s, L: Logic>(
    flow: &Flow<'s>,
    plan: KeptPlan,
    input: StreamVec<'s, Tick, (L::Key, Rec<L::In>)>,
    logic: L,
) -> VecCollection<'s, Tick, (L::Key, L::Out), Diff> {
    let what = What::new(&plan.operator, plan.place).named(&plan.uid).holds(1);
    let kept: Kept<'s, L::Key, L::State> = restore::keep(flow, plan);
    let context = Rc::clone(&flow.context);
    let mark = flow.mark(&what);
    let name = format!("Keyed({})", kept.uid);
    let mut builder = OperatorBuilder::new(name, flow.scope);
    let mut data = builder.new_input(input, Exchange::new(|x: &(L::Key, Rec<L::In>)| place(&x.0)));
    let by_key = Exchange::new(|x: &(L::Key, L::State)| place(&x.0));
    let mut restored = builder.new_input(kept.restored, by_key);
    let (output, stream) = builder.new_output();
    let mut output = OutputBuilder::<_, CapacityContainerBuilder<Vec<_>>>::from(output);
    let (uid, number, live, anew) = (kept.uid, kept.number, kept.live, kept.anew);

    builder.build(move |mut capabilities| {
        let mut capability = capabilities.pop();
        let mut current = context.start;
        let mut slots = Slots::new(logic);
        let mut stash: BTreeMap<Tick, Vec<(L::Key, Rec<L::In>)>> = BTreeMap::new();
        move |frontiers| {
            let _inside = mark.enter();
            restored.for_each(|_, rows| {
                for (key, state) in rows.drain(..) {
                    slots.put(key, state);
                }
            });
            data.for_each(|stamp, rows| {
                let tick = *stamp.least().expect("a message has a time");
                if tick > current {
                    stash.entry(tick).or_default().append(rows);
                    return;
                }
                for (key, rec) in rows.drain(..) {
                    if let Err(error) = slots.apply(&uid, key, rec) {
                        context.failure.fail(error);
                    }
                }
            });
            let frontier = frontier_of(frontiers);
            let mut output = output.activate();
            while let Some(held) = capability.as_mut()
                && frontier.is_none_or(|frontier| current < frontier)
            {
                if current > *held.time() {
                    held.downgrade(&current);
                }
                let mut changes = context.changes.borrow_mut();
                let mut session = output.session(held);
                let (tick, write) = (current, current > context.start || anew.get());
                slots.settle(|key, before, after, state| {
                    if before != after {
                        if let Some(row) = before {
                            session.give(((key.clone(), row), tick, -1));
                        }
                        if let Some(row) = after {
                            session.give(((key.clone(), row), tick, 1));
                        }
                    }
                    match state {
                        _ if !write => {}
                        Some(state) => {
                            changes.put(number, tick, |b| key.encode(b), |b| state.encode(b));
                        }
                        None => changes.remove(number, tick, |b| key.encode(b)),
                    }
                });
                drop(session);
                live.set(slots.len());
                let Some(next) = next_tick(current, frontier, &stash) else {
                    capability = None;
                    break;
                };
                current = next;
                for (key, rec) in stash.remove(&current).unwrap_or_default() {
                    if let Err(error) = slots.apply(&uid, key, rec) {
                        context.failure.fail(error);
                    }
                }
            }
            if let (Some(held), Some(_)) = (capability.as_mut(), frontier)
                && current > *held.time()
            {
                held.downgrade(&current);
            }
        }
    });
    let stream = stream.probe_with(&flow.probe);
    flow.made(what, &stream);
    stream.as_collection()
}

/// The next tick with something to do: the next stashed one, or the frontier.
fn next_tick<V>(current: Tick, frontier: Option<Tick>, stash: &BTreeMap<Tick, V>) -> Option<Tick> {
    let stashed = stash.range(current + 1..).next().map(|(tick, _)| *tick);
    match (stashed, frontier) {
        (Some(stashed), Some(frontier)) => Some(stashed.min(frontier)),
        (stashed, frontier) => stashed.or(frontier),
    }
}
