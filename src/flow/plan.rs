//! What a dataflow declares, learned by building it once without input.

use super::graph::Step;
use crate::row::Schema;
use crate::views::kind::ViewKind;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// A place in the user's code, "visits.rs:12".
pub(crate) type Place = &'static Location<'static>;

/// What a dataflow declares: enough to open it, to explain it, and to refuse it.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The sources in the order of their declaration.
    pub sources: Vec<SourcePlan>,
    /// The sinks in the order of their declaration.
    pub sinks: Vec<SinkPlan>,
    /// Kept state that has another uid now.
    pub renamed: Vec<Renamed>,
    /// Kept state whose rows become others by a closure.
    pub migrated: Vec<Migrated>,
    /// Kept state in the order of its declaration; the index is the state's number in memory.
    pub kept: Vec<KeptPlan>,
    /// The served views.
    pub views: Vec<ViewPlan>,
    /// The steps of the dataflow, in the order in which they are built: each after those that feed it.
    pub steps: Vec<Step>,
    /// What is wrong with the dataflow, each with its place.
    pub problems: Vec<String>,
}

/// A declared source.
#[derive(Clone, Debug)]
pub struct SourcePlan {
    /// The name that configuration uses.
    pub name: String,
    /// The transport that the code names, as configuration keys.
    pub defaults: BTreeMap<String, String>,
    /// The bound on disorder in microseconds; `None` without event time.
    pub lag: Option<i64>,
    /// The row's schema.
    pub schema: Schema,
    /// Where it is declared.
    pub place: Place,
}

/// Kept state that has another uid than it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The uid that a snapshot may have.
    pub from: String,
    /// The uid that it has now.
    pub to: String,
}

/// Kept state whose rows become others by a closure.
#[derive(Clone, Debug)]
pub struct Migrated {
    /// The uid that it has now.
    pub uid: String,
    /// The states that may be kept under it, each as the schemas of an old and of a new state.
    pub states: Vec<(Schema, Schema)>,
    /// Where it is declared.
    pub place: Place,
}

impl Migrated {
    /// The old state, if the new one is of this shape.
    pub(crate) fn old(&self, current: &Schema) -> Option<&Schema> {
        let mut states = self.states.iter();
        states.find(|(_, new)| new.shape == current.shape).map(|(old, _)| old)
    }
}

/// A declared sink.
#[derive(Clone, Debug)]
pub struct SinkPlan {
    /// The name that configuration uses.
    pub name: String,
    /// The transport that the code names, as configuration keys.
    pub defaults: BTreeMap<String, String>,
    /// `append`, `upsert` or `changelog`.
    pub mode: &'static str,
    /// Whether it takes the changes of a table; else the records of a stream.
    pub of_table: bool,
    /// Where it is declared.
    pub place: Place,
}

/// Declared kept state.
#[derive(Clone, Debug)]
pub struct KeptPlan {
    /// The stable name.
    pub uid: String,
    /// What keeps it: "upsert", "aggregate (count, sum)", "window tumbling 10s ..."; a change is refused.
    pub operator: String,
    /// Schema of the key.
    pub key: Schema,
    /// Schema of the state.
    pub state: Schema,
    /// What bounds its size, for `explain`.
    pub bound: String,
    /// Where it is declared.
    pub place: Place,
}

/// A declared view.
#[derive(Clone)]
pub struct ViewPlan {
    /// The view without its types.
    pub kind: Arc<dyn ViewKind>,
    /// Where it is declared.
    pub place: Place,
}

impl fmt::Debug for ViewPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewPlan").field("decl", self.kind.decl()).finish_non_exhaustive()
    }
}

impl ViewPlan {
    /// The name in the route.
    pub fn name(&self) -> &str {
        &self.kind.decl().name
    }
}

impl Plan {
    /// Notes a problem for each [`Migrated`] that fits no kept state. Called when all is declared.
    pub(crate) fn check_migrated(&mut self) {
        for migrated in self.migrated.clone() {
            let uid = &migrated.uid;
            let text = match self.kept.iter().find(|kept| kept.uid == *uid) {
                None => format!("flow.migrate: there is no kept state {uid:?}"),
                Some(kept) if migrated.old(&kept.state).is_none() => {
                    let new = migrated
                        .states
                        .first()
                        .map_or_else(String::new, |(_, new)| new.to_string());
                    let kept = &kept.state;
                    format!(
                        "flow.migrate: the closure gives {new}, and kept state {uid:?} is {kept}"
                    )
                }
                Some(_) => continue,
            };
            self.problem(migrated.place, text);
        }
    }

    /// Notes a problem at `place`.
    pub(crate) fn problem(&mut self, place: Place, text: impl std::fmt::Display) {
        self.problems.push(format!("{}:{}: {text}", place.file(), place.line()));
    }

    /// Notes a problem if one of `earlier` has this name already.
    pub(crate) fn once<'a>(
        &mut self,
        what: &str,
        name: &str,
        place: Place,
        earlier: impl Iterator<Item = (&'a str, Place)>,
    ) {
        let clash = earlier.into_iter().find(|(other, _)| *other == name).map(|(_, at)| at);
        if let Some(first) = clash {
            self.problem(
                place,
                format_args!(
                    "{what} {name:?} is used twice; first at {}:{}",
                    first.file(),
                    first.line()
                ),
            );
        }
    }
}
