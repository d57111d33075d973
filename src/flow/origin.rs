//! What made the rows of a table: said in messages about them, and nothing else.

use super::plan::{KeptPlan, Place};
use std::fmt;
use std::rc::Rc;

/// The operator that a table's changes come from. Steps that only pass changes on (map, filter) are not named.
#[derive(Clone, Debug)]
pub(crate) struct Origin(Rc<str>);

impl Origin {
    /// An operator without a uid.
    pub(crate) fn at(operator: &str, place: Place) -> Origin {
        Origin(format!("{operator} ({}:{})", place.file(), place.line()).into())
    }

    /// An operator that keeps state.
    pub(crate) fn kept(plan: &KeptPlan) -> Origin {
        let (place, operator) = (plan.place, &plan.operator);
        let uid = &plan.uid;
        Origin(format!("{uid:?}, {operator} ({}:{})", place.file(), place.line()).into())
    }

    /// Either of two.
    pub(crate) fn or(&self, other: &Origin) -> Origin {
        if self.0 == other.0 { self.clone() } else { Origin(format!("{self} or {other}").into()) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
