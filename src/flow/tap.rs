//! Stateless steps that run inside a source's loop: no operator and no container stands between a row and what becomes of it. Knows no
//! source.
//!
//! A stream that comes straight from a source is a [`Tap`]: what is done with its rows. A step that borrows the row is called with it,
//! one that takes the row gets it at the end. Only where rows enter an operator is there an [`Outlet`], an input of the dataflow. So of a
//! wide row nothing is moved that nobody asked for.

use super::{Flow, Rec};
use crate::ids::Tick;
use crate::job::panics;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::probe::Probe;
use timely::dataflow::operators::vec::Input;
use timely::dataflow::{InputHandle, StreamVec};

/// Records that go down the dataflow together.
const CHUNK: usize = 1024;

/// What the source's driver does with the inputs of its taps, whatever their types.
pub(crate) trait Gate {
    /// Takes back the rows of a record that did not get through all steps.
    fn undo(&self, record: u64);
    /// Sends what waits.
    fn flush(&self);
    /// What is sent from now on belongs to `tick`.
    fn advance_to(&self, tick: Tick);
}

/// The inputs that a source feeds.
#[derive(Default)]
pub(crate) struct Gates {
    all: RefCell<Vec<Rc<dyn Gate>>>,
    /// Which record goes through the steps, counted.
    record: Cell<u64>,
}

impl Gates {
    /// Lets a record through its steps, wholly or not at all: what `steps` has put into the inputs when it panics is taken back.
    ///
    /// # Errors
    /// What the panic said.
    pub(crate) fn record<T>(&self, steps: impl FnOnce() -> T) -> Result<T, String> {
        let record = self.record.get() + 1;
        self.record.set(record);
        // What a step leaves behind in its own state when it panics is the user's; ours is taken back.
        catch_unwind(AssertUnwindSafe(steps)).map_err(|panic| {
            self.take_back();
            panics::told(panic.as_ref())
        })
    }

    /// Takes back what the last record has put into the inputs.
    pub(crate) fn take_back(&self) {
        let record = self.record.get();
        self.all.borrow().iter().for_each(|gate| gate.undo(record));
    }

    /// Whether nothing enters the dataflow.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.borrow().is_empty()
    }

    /// Acts on all of them.
    pub(crate) fn for_each(&self, act: impl FnMut(&Rc<dyn Gate>)) {
        self.all.borrow().iter().for_each(act);
    }
}

/// An input of the dataflow.
struct Outlet<P: Clone + 'static> {
    open: RefCell<Open<P>>,
    gates: Rc<Gates>,
}

struct Open<P: Clone + 'static> {
    input: InputHandle<Tick, CapacityContainerBuilder<Vec<P>>>,
    chunk: Vec<P>,
    /// The record whose rows came last, and where in the chunk they begin.
    record: u64,
    begin: usize,
}

impl<P: Clone + 'static> Outlet<P> {
    fn push(&self, row: P) {
        let Open { input, chunk, record, begin } = &mut *self.open.borrow_mut();
        let now = self.gates.record.get();
        if *record != now {
            // Between two records, so that the rows of one can be taken back.
            if chunk.len() >= CHUNK {
                input.send_batch(chunk);
            }
            (*record, *begin) = (now, chunk.len());
        }
        chunk.push(row);
    }
}

impl<P: Clone + 'static> Gate for Outlet<P> {
    fn undo(&self, record: u64) {
        let open = &mut *self.open.borrow_mut();
        if open.record == record {
            open.chunk.truncate(open.begin);
        }
    }

    fn flush(&self) {
        let Open { input, chunk, .. } = &mut *self.open.borrow_mut();
        if !chunk.is_empty() {
            input.send_batch(chunk);
        }
    }

    fn advance_to(&self, tick: Tick) {
        self.flush();
        self.open.borrow_mut().input.advance_to(tick);
    }
}

type Borrowing<D> = Box<dyn Fn(&Rec<D>)>;
type Taking<D> = Box<dyn Fn(Rec<D>)>;

/// What is done with the rows of a stream inside the source's loop.
pub(crate) struct Tap<D: 'static> {
    borrowing: RefCell<Vec<Borrowing<D>>>,
    taking: RefCell<Option<Taking<D>>>,
    gates: Rc<Gates>,
}

impl<D: Clone + 'static> Tap<D> {
    /// A tap with which nothing is done yet.
    pub(crate) fn new(gates: &Rc<Gates>) -> Rc<Tap<D>> {
        let (borrowing, taking) = (RefCell::default(), RefCell::default());
        Rc::new(Tap { borrowing, taking, gates: Rc::clone(gates) })
    }

    /// Does with a row what there is to do.
    pub(crate) fn push(&self, rec: Rec<D>) {
        for step in self.borrowing.borrow().iter() {
            step(&rec);
        }
        if let Some(step) = &*self.taking.borrow() {
            step(rec);
        }
    }

    fn borrow(&self, step: impl Fn(&Rec<D>) + 'static) {
        self.borrowing.borrow_mut().push(Box::new(step));
    }

    /// Of several steps that take the row the first gets it, the others a copy.
    fn take(&self, step: impl Fn(Rec<D>) + 'static) {
        let mut taking = self.taking.borrow_mut();
        if taking.is_none() {
            *taking = Some(Box::new(step));
        } else {
            self.borrow(move |rec| step(rec.clone()));
        }
    }

    /// The rows that `logic` gives for each row.
    pub(crate) fn flat_map<I: IntoIterator<Item: Clone + 'static>>(
        &self,
        logic: impl Fn(&D) -> I + 'static,
    ) -> Rc<Tap<I::Item>> {
        let next = Tap::new(&self.gates);
        let fed = Rc::clone(&next);
        self.borrow(move |rec| {
            for row in logic(&rec.row) {
                fed.push(rec.with(row));
            }
        });
        next
    }

    /// The rows for which `logic` is true.
    pub(crate) fn filter(&self, logic: impl Fn(&D) -> bool + 'static) -> Rc<Tap<D>> {
        let next = Tap::new(&self.gates);
        let fed = Rc::clone(&next);
        self.take(move |rec| {
            if logic(&rec.row) {
                fed.push(rec);
            }
        });
        next
    }

    /// What `logic` makes of each row, as a stream of the dataflow.
    pub(crate) fn out<'s, P: Clone + 'static>(
        &self,
        flow: &Flow<'s>,
        logic: impl Fn(Rec<D>) -> P + 'static,
    ) -> StreamVec<'s, Tick, P> {
        let (input, stream) = flow.scope.new_input::<P>();
        let chunk = Vec::with_capacity(CHUNK);
        let open = RefCell::new(Open { input, chunk, record: 0, begin: 0 });
        let outlet = Rc::new(Outlet { open, gates: Rc::clone(&self.gates) });
        self.gates.all.borrow_mut().push(Rc::clone(&outlet) as Rc<dyn Gate>);
        self.take(move |rec| outlet.push(logic(rec)));
        stream.probe_with(&flow.probe)
    }
}

#[cfg(test)]
mod tests;
