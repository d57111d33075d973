//! Rows of kept state that become others by a closure of the user's, when they are restored.

use super::plan::{Migrated, Place};
use crate::error::{Error, Result};
use crate::hash::Map;
use crate::job::panics;
use crate::row::{self, Migration, Row, Schema};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// The closures of a dataflow on one worker, by uid.
pub(crate) type Migrations = Rc<RefCell<Map<String, Rc<dyn Migrate>>>>;

/// A closure without its types.
pub(crate) trait Migrate {
    /// What was declared.
    fn migrated(&self) -> &Migrated;

    /// The encoded state of schema `current` for an encoded stored one, which `plan` reads as the old state that belongs to it.
    ///
    /// # Errors
    /// `Config` if the closure panics, `Corrupt` if the state can't be read.
    fn state(&self, plan: &Migration, stored: &[u8], current: &Schema) -> Result<Vec<u8>>;
}

/// What an upsert keeps of a row: its place in the order of all, and none if it was removed.
type Upserted<R> = (u64, Option<R>);

/// A closure with its types.
pub(crate) struct Closure<Old, New> {
    migrated: Migrated,
    logic: Box<dyn Fn(Old) -> New>,
}

impl<Old: Row, New: Row> Closure<Old, New> {
    pub(crate) fn new(
        uid: &str,
        place: Place,
        logic: impl Fn(Old) -> New + 'static,
    ) -> Closure<Old, New> {
        let states = vec![
            (Old::schema(), New::schema()),
            (Upserted::<Old>::schema(), Upserted::<New>::schema()),
        ];
        let migrated = Migrated { uid: uid.to_owned(), states, place };
        Closure { migrated, logic: Box::new(logic) }
    }

    fn call(&self, old: Old) -> Result<New> {
        let shown = row::show(&old);
        catch_unwind(AssertUnwindSafe(|| (self.logic)(old))).map_err(|panic| {
            Error::config(format!(
                "the closure of flow.migrate panicked on {shown}: {}; mend it",
                panics::told(panic.as_ref())
            ))
        })
    }
}

impl<Old: Row, New: Row> Migrate for Closure<Old, New> {
    fn migrated(&self) -> &Migrated {
        &self.migrated
    }

    fn state(&self, plan: &Migration, stored: &[u8], current: &Schema) -> Result<Vec<u8>> {
        if New::schema().shape == current.shape {
            return Ok(row::to_bytes(&self.call(row::decode_migrated(plan, stored)?)?));
        }
        let (order, old): Upserted<Old> = row::decode_migrated(plan, stored)?;
        let new = old.map(|old| self.call(old)).transpose()?;
        Ok(row::to_bytes::<Upserted<New>>(&(order, new)))
    }
}
