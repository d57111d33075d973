//! Which step of the dataflow a worker runs just now, for messages. Nothing that is computed depends on it.
//!
//! Two ways lead there, and neither costs the hot path anything to speak of:
//! - *Marks*: steps say when user's code begins and ends in them. That is a load and two stores of this worker's own word, once an
//!   activation where we wrote the operator, once a call where differential calls the closure. Any thread may read it: the one that
//!   looks for slow workers does.
//! - *Operators*: timely keeps the id of the operator that a thread schedules, nested ones too, where only that thread can read it. The ids
//!   that were drawn between two noted steps belong to the later one. So a panic names its step in differential's own operators too.
//!
//! Timely's log is not used: its events come in batches, and a step that hangs would be in the batch that is not full.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

thread_local! {
    /// Those of the worker that runs on this thread.
    static HERE: RefCell<Option<Arc<Whereabouts>>> = const { RefCell::new(None) };
}

/// Where one worker is.
#[derive(Default)]
pub(crate) struct Whereabouts {
    /// The number of a mark, from 1; 0 outside all of them.
    at: AtomicUsize,
    names: Mutex<Names>,
}

#[derive(Default)]
struct Names {
    marks: Vec<String>,
    /// Ids of operators below the number and not below that of the entry before belong to the step.
    operators: Vec<(usize, String)>,
}

/// A place in the dataflow where user's code runs.
#[derive(Clone)]
pub(crate) struct Mark {
    whereabouts: Arc<Whereabouts>,
    number: usize,
}

/// The worker is in a marked place until this is dropped.
pub(crate) struct Inside<'a> {
    at: &'a AtomicUsize,
    before: usize,
}

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        self.at.store(self.before, Ordering::Relaxed);
    }
}

impl Mark {
    /// The worker is there.
    #[inline]
    pub(crate) fn enter(&self) -> Inside<'_> {
        let at = &self.whereabouts.at;
        let before = at.load(Ordering::Relaxed);
        at.store(self.number, Ordering::Relaxed);
        Inside { at, before }
    }

    /// `logic`, with the worker there while it runs.
    pub(crate) fn around<A, R>(self, logic: impl Fn(A) -> R) -> impl Fn(A) -> R {
        move |given| {
            let _inside = self.enter();
            logic(given)
        }
    }

    /// As [`Mark::around`], of what borrows what it is given.
    pub(crate) fn around_ref<A, R>(self, logic: impl Fn(&A) -> R) -> impl Fn(&A) -> R {
        move |given| {
            let _inside = self.enter();
            logic(given)
        }
    }
}

impl Whereabouts {
    /// A place called `step`.
    pub(crate) fn mark(self: &Arc<Self>, step: String) -> Mark {
        let mut names = self.names();
        names.marks.push(step);
        Mark { whereabouts: Arc::clone(self), number: names.marks.len() }
    }

    /// Operators were built with ids below `next`: those that belong to no step yet belong to `step`.
    pub(crate) fn built(&self, next: usize, step: String) {
        self.names().operators.push((next, step));
    }

    /// The step in which the worker is, as any thread sees it.
    pub(crate) fn step(&self) -> Option<String> {
        let number = self.at.load(Ordering::Relaxed).checked_sub(1)?;
        self.names().marks.get(number).cloned()
    }

    /// The step to which an operator belongs.
    fn operator(&self, id: usize) -> Option<String> {
        let names = self.names();
        let after = names.operators.partition_point(|(next, _)| *next <= id);
        names.operators.get(after).map(|(_, step)| step.clone())
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// This thread runs the worker whose whereabouts these are.
pub(crate) fn is_here(whereabouts: Arc<Whereabouts>) {
    HERE.set(Some(whereabouts));
}

/// The step that this thread runs, if it is a worker's and is in one.
pub(crate) fn here() -> Option<String> {
    HERE.with_borrow(|here| {
        let here = here.as_ref()?;
        here.step().or_else(|| here.operator(timely::scheduling::current::operator_id()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_nest_and_end_by_a_panic_too() {
        let here = Arc::new(Whereabouts::default());
        let (outer, inner) = (here.mark("outer".to_owned()), here.mark("inner".to_owned()));
        assert_eq!(here.step(), None);
        let inside = outer.enter();
        {
            let _inside = inner.enter();
            assert_eq!(here.step().as_deref(), Some("inner"));
        }
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _inside = inner.enter();
            panic!("as wanted");
        }));
        assert!(panicked.is_err());
        assert_eq!(here.step().as_deref(), Some("outer"));
        drop(inside);
        assert_eq!(here.step(), None);
    }

    #[test]
    fn an_operator_belongs_to_the_step_that_was_noted_next() {
        let here = Whereabouts::default();
        here.built(4, "map".to_owned());
        here.built(4, "nothing of its own".to_owned());
        here.built(9, "reduce".to_owned());
        let of: Vec<_> = [3, 4, 8, 9].iter().map(|id| here.operator(*id)).collect();
        let step = |name: &str| Some(name.to_owned());
        assert_eq!(of, [step("map"), step("reduce"), step("reduce"), None]);
    }
}
