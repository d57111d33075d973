//! Views: tables served from ordered indexes on the workers.

use super::context::Flow;
use super::graph::What;
use super::plan::{Place, ViewPlan};
use super::{KeyedTable, Table};
use crate::ids::{Diff, Tick};
use crate::operators::keyed::place;
use crate::row::Row;
use crate::views::kind::{Kind, ViewDecl};
use crate::views::shard::{Shard, ViewShard};
use differential_dataflow::VecCollection;
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::probe::Probe;

/// What can be served as a view.
pub trait Served {
    /// Serves it.
    #[doc(hidden)]
    fn serve(&self, name: &str, place: Place);
}

impl<'s> Flow<'s> {
    /// Serves a table over HTTP at `/api/v1/views/NAME`.
    #[track_caller]
    pub fn serve(&self, name: &str, table: &impl Served) {
        table.serve(name, Location::caller());
    }
}

impl<K: Row, V: Row> Served for KeyedTable<'_, K, V> {
    fn serve(&self, name: &str, place: Place) {
        let types = (true, K::schema().to_string(), V::schema().to_string());
        index(&self.flow, name, types, place, &self.proven(&format!("view {name:?}"), place));
    }
}

impl<D: Row> Served for Table<'_, D> {
    fn serve(&self, name: &str, place: Place) {
        let types = (false, D::schema().to_string(), String::new());
        index(&self.flow, name, types, place, &self.rows.clone().map(|row| (row, ())));
    }
}

fn index<K: Row, V: Row>(
    flow: &Flow<'_>,
    name: &str,
    (keyed, key, value): (bool, String, String),
    place_in_code: Place,
    rows: &VecCollection<'_, Tick, (K, V), Diff>,
) {
    let context = &flow.context;
    let history_ticks = context.view_history.get(name).copied().unwrap_or(0);
    let decl = ViewDecl { name: name.to_owned(), keyed, key, value, history_ticks };
    let kind = Arc::new(Kind::<K, V>::new(decl));
    flow.declare_view(ViewPlan { kind: kind.clone(), place: place_in_code });
    let shard = Rc::new(RefCell::new(Shard::new(kind, context.start.max(1))));
    let filled = Rc::clone(&shard);
    let by_key = Exchange::new(|row: &((K, V), Tick, Diff)| place(&row.0.0));
    let view = rows
        .inner
        .clone()
        .unary::<CapacityContainerBuilder<Vec<()>>, _, _, _>(by_key, "View", move |_, _| {
            move |input, _| {
                input.for_each(|_, rows| {
                    let mut shard = filled.borrow_mut();
                    // A message may carry updates of later ticks than its own.
                    for ((key, value), tick, diff) in rows.drain(..) {
                        shard.push(tick, key, value, diff);
                    }
                });
            }
        })
        .probe_with(&flow.probe);
    flow.made(What::new("view", place_in_code).named(name).holds(1), &view);
    let shard: Rc<RefCell<dyn ViewShard>> = shard;
    context.shards.borrow_mut().insert(name.to_owned(), shard);
}
