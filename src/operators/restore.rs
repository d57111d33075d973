//! How kept state comes back: rows read by any worker are sent, at the restored tick, to the worker that keeps them.

use crate::error::{Error, Result};
use crate::flow::context::{Context, Flow};
use crate::flow::migrate::Migrations;
use crate::flow::{KeptPlan, SINK_UIDS};
use crate::ids::Tick;
use crate::job::ports::{RestoreTask, Rows};
use crate::row::{Migration, Row, Schema, Way};
use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use timely::dataflow::operators::vec::Input;
use timely::dataflow::{InputHandle, StreamVec};

/// Kept state that was declared: its number, and the rows that come back.
pub(crate) struct Kept<'s, K: Row, S: Row> {
    pub(crate) uid: String,
    pub(crate) number: u16,
    /// Rows in memory on this worker.
    pub(crate) live: Rc<Cell<usize>>,
    /// Whether restored rows must be kept anew, since the stored ones have another form or another uid.
    pub(crate) anew: Rc<Cell<bool>>,
    pub(crate) restored: StreamVec<'s, Tick, (K, S)>,
}

/// Declares kept state under a uid, and makes the input by which it comes back.
pub(crate) fn keep<'s, K: Row, S: Row>(flow: &Flow<'s>, plan: KeptPlan) -> Kept<'s, K, S> {
    let context: &Context = &flow.context;
    let uid = plan.uid.clone();
    let (key, state) = (plan.key.clone(), plan.state.clone());
    let (handle, restored) = flow.scope.new_input::<(K, S)>();
    let number = {
        let mut known = context.plan.borrow_mut();
        let earlier: Vec<_> = known.kept.iter().map(|k| (k.uid.clone(), k.place)).collect();
        known.once("uid", &uid, plan.place, earlier.iter().map(|(n, p)| (n.as_str(), *p)));
        if uid.starts_with(SINK_UIDS) && !plan.operator.starts_with("sink ") {
            let text = format!("uid {uid:?}: {SINK_UIDS:?} begins uids of what sinks have written");
            known.problem(plan.place, text);
        }
        known.kept.push(plan);
        u16::try_from(known.kept.len() - 1).expect("fewer than 65,536 uids")
    };
    let live = Rc::new(Cell::new(0));
    let anew = Rc::new(Cell::new(false));
    context.live_rows.borrow_mut().push(Rc::clone(&live));
    context.restores.borrow_mut().push(Box::new(Restoring::<K, S> {
        uid: uid.clone(),
        handle: Some(handle),
        schemas: (key, state),
        migrations: Rc::clone(&context.migrations),
        anew: Rc::clone(&anew),
        rows: PhantomData,
    }));
    Kept { uid, number, live, anew, restored }
}

struct Restoring<K: Row, S: Row> {
    uid: String,
    handle: Option<InputHandle<Tick, timely::container::CapacityContainerBuilder<Vec<(K, S)>>>>,
    schemas: (Schema, Schema),
    migrations: Migrations,
    anew: Rc<Cell<bool>>,
    rows: PhantomData<(K, S)>,
}

impl<K: Row, S: Row> RestoreTask for Restoring<K, S> {
    fn feed(
        &mut self,
        tick: Tick,
        stored: &(Schema, Schema),
        anew: bool,
        rows: Rows<'_>,
    ) -> Result<u64> {
        let mut handle = self.handle.take().expect("fed once");
        handle.advance_to(tick);
        let place = |error: Error| error.at(format!("kept state {:?}", self.uid));
        let key_plan = Migration::between(&stored.0, &self.schemas.0).map_err(place)?;
        let closure = self.migrations.borrow().get(&self.uid).cloned();
        let old = closure.as_ref().and_then(|closure| closure.migrated().old(&self.schemas.1));
        let way = Way::between(&stored.1, old, &self.schemas.1).map_err(place)?;
        let whole = |bytes: &[u8]| match (&way, &closure) {
            (Way::Through(plan), Some(closure)) => {
                let new = closure.state(plan, bytes, &self.schemas.1)?;
                crate::row::from_bytes::<S>(&new)
            }
            (Way::Read(plan) | Way::Through(plan), _) => {
                crate::row::decode_migrated::<S>(plan, bytes)
            }
        };
        self.anew.set(anew);
        let mut count = 0;
        for row in rows {
            let (key, state) = row?;
            let key = crate::row::decode_migrated::<K>(&key_plan, &key).map_err(place)?;
            let state = whole(&state).map_err(place)?;
            handle.send((key, state));
            count += 1;
        }
        Ok(count)
    }

    fn close(&mut self) {
        self.handle = None;
    }
}
