//! What timely builds of a dataflow, heard from its log while the plan is made. Off while a job runs.

use super::traces::TraceMeter;
use crate::flow::graph::{Built, Operator};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use timely::logging::{TimelyEvent, TimelyEventBuilder};
use timely::worker::Worker;

/// Hears how dataflows are built.
pub(super) struct Listener {
    events: Rc<RefCell<Vec<TimelyEvent>>>,
    traces: TraceMeter,
}

impl Listener {
    /// Listens to `worker`, before the dataflow is built.
    pub(super) fn listen(worker: &Worker) -> Listener {
        let (events, traces) = (Rc::<RefCell<Vec<_>>>::default(), TraceMeter::default());
        traces.listen(worker);
        let heard = Rc::clone(&events);
        let hear = move |_: &Duration, new: &mut Option<Vec<(Duration, TimelyEvent)>>| {
            heard.borrow_mut().extend(new.iter_mut().flat_map(|new| new.drain(..)).map(|(_, e)| e));
        };
        if let Some(mut register) = worker.log_register() {
            register.insert::<TimelyEventBuilder, _>("timely", hear);
        }
        Listener { events, traces }
    }

    /// What was built as dataflow `index`.
    pub(super) fn built(&self, worker: &Worker, index: usize) -> Built {
        if let Some(mut register) = worker.log_register() {
            register.flush();
        }
        let shared = self.traces.shared();
        let mut built = Built::default();
        for event in self.events.borrow().iter() {
            match event {
                TimelyEvent::Operates(operates) => {
                    // What is deeper belongs to the scope that is directly in the dataflow.
                    let [dataflow, operator, ..] = operates.addr[..] else { continue };
                    if dataflow == index {
                        let at: &mut Operator = built.operators.entry(operator).or_default();
                        at.exchanges |= exchanges(&operates.name);
                        at.traces += usize::from(shared.contains(&operates.id));
                    }
                }
                TimelyEvent::Channels(channel) if channel.scope_addr == [index] => {
                    built.channels.entry(channel.target.0).or_default().push(channel.source);
                }
                _ => {}
            }
        }
        built
    }
}

/// Whether an operator of this name takes its rows from all workers. Timely tells of no channel whether it exchanges; these are the names
/// of differential's operators that do, and of our own.
fn exchanges(name: &str) -> bool {
    const DIFFERENTIAL: [&str; 2] = ["Arrange", "Consolidate"];
    const OURS: [&str; 6] = ["Keyed(", "Window(", "Unique(", "Sink(", "Sink", "View"];
    DIFFERENTIAL.iter().any(|begin| name.starts_with(begin))
        || OURS.iter().any(|own| name == *own || (own.ends_with('(') && name.starts_with(own)))
}
