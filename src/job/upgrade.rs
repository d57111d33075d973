//! Whether a program's kept state goes on from a snapshot's, and how. Pure but for reading the manifest that is given.

use super::stored_schema;
use crate::error::{Error, Result};
use crate::flow::{KeptPlan, Plan, SINK_UIDS, written_uid};
use crate::ids::Tick;
use crate::row::{Migration, Way};
use crate::state::persister::Kept;
use crate::state::restore::Snapshot;
use crate::ticks::record::Open;
use serde::{Deserialize, Serialize};

/// How one kept state of the program begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begins {
    /// The snapshot's uid whose rows come back; `None`: it begins empty.
    pub(crate) from: Option<String>,
    /// Whether all rows must be kept anew, since the stored ones are under another uid or in another form.
    pub(crate) anew: bool,
}

/// How the kept state of a plan begins, in the plan's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beginning {
    pub(crate) kept: Vec<Begins>,
    /// What the user should read about it.
    pub(crate) notes: Vec<String>,
}

impl Beginning {
    /// Everything begins empty: there is no snapshot.
    pub(crate) fn empty(plan: &Plan) -> Beginning {
        Beginning { kept: vec![Begins::default(); plan.kept.len()], notes: Vec::new() }
    }
}

/// What the persister must know of the kept state.
pub(crate) fn kept(plan: &Plan, begins: &[Begins]) -> Vec<Kept> {
    let kept = |(k, begins): (&KeptPlan, &Begins)| Kept {
        uid: k.uid.clone(),
        schema: serde_json::json!([k.key, k.state]),
        fingerprint: k.key.fingerprint() ^ k.state.fingerprint().rotate_left(1),
        anew: begins.anew || begins.from.is_none(),
    };
    plan.kept.iter().zip(begins).map(kept).collect()
}

/// Checks every uid of the snapshot and of the plan of the program that `open` leads with.
///
/// # Errors
/// `Config` naming each uid that can't go on, with both schemas, and what to do.
pub(crate) fn check(snapshot: &Snapshot, plan: &Plan, open: &Open) -> Result<Beginning> {
    let mut checking = Checking { snapshot, plan, open, problems: Vec::new(), notes: Vec::new() };
    let kept = plan.kept.iter().map(|kept| checking.begins(kept)).collect();
    checking.gone();
    let Checking { problems, notes, .. } = checking;
    if problems.is_empty() {
        Ok(Beginning { kept, notes })
    } else {
        Err(Error::config(problems.join("\n")))
    }
}

struct Checking<'a> {
    snapshot: &'a Snapshot,
    plan: &'a Plan,
    open: &'a Open,
    problems: Vec<String>,
    notes: Vec<String>,
}

impl Checking<'_> {
    fn tick(&self) -> Tick {
        self.snapshot.tick()
    }

    fn stores(&self, uid: &str) -> bool {
        self.snapshot.manifest().kept(uid).is_some()
    }

    fn is_dropped(&self, uid: &str) -> bool {
        self.open.dropped.get(uid).is_some_and(|tick| *tick >= self.tick())
    }

    /// The snapshot's uid that `uid` goes on with, by its own name or by the one that it had.
    fn stored(&self, uid: &str) -> Option<String> {
        if self.stores(uid) {
            return Some(uid.to_owned());
        }
        let mut renamed = self.plan.renamed.iter();
        renamed.find(|r| r.to == uid && self.stores(&r.from)).map(|r| r.from.clone())
    }

    fn begins(&mut self, kept: &KeptPlan) -> Begins {
        let (uid, tick) = (&kept.uid, self.tick());
        let Some(stored) = self.stored(uid) else {
            if uid.starts_with(SINK_UIDS) {
                self.began_to_keep(uid);
            } else {
                self.notes.push(format!("new kept state {uid:?}: it begins empty at tick {tick}"));
            }
            return Begins::default();
        };
        if self.is_dropped(&stored) {
            return Begins::default();
        }
        let Some((key, state)) = stored_schema(self.snapshot, &stored) else {
            self.problems.push(format!("kept state {stored:?}: its stored schema can't be read"));
            return Begins::default();
        };
        let place = format!("kept state {uid:?} ({}:{})", kept.place.file(), kept.place.line());
        let key = self.way(&place, &stored, Migration::between(&key, &kept.key));
        if key.as_ref().is_some_and(|key| !key.keeps_order()) {
            self.problems.push(format!(
                "{place}: its key loses a field or has them in another order, and rows that differ in it would become one: give it a \
                 new uid, or start with --drop-state {stored}"
            ));
        }
        let old = self.plan.migrated.iter().find(|m| m.uid == *uid);
        let old = old.and_then(|migrated| migrated.old(&kept.state));
        let state = self.way(&place, &stored, Way::between(&state, old, &kept.state));
        let migrated = key.is_some_and(|plan| !plan.is_identity())
            | state.is_some_and(|way| !matches!(way, Way::Read(plan) if plan.is_identity()));
        let renamed = stored != *uid;
        let made_by = &self.snapshot.manifest().facts.program;
        if *made_by != self.open.program && !uid.starts_with(SINK_UIDS) {
            self.notes.push(format!(
                "kept state {uid:?} goes on from tick {tick}{}{}: up to there its rows are as {made_by} made them, and a step before it \
                 that is changed acts on later records only",
                if renamed { format!(", renamed from {stored:?}") } else { String::new() },
                if migrated { ", its rows migrated to the new row type" } else { "" },
            ));
        }
        Begins { from: Some(stored), anew: migrated || renamed }
    }

    /// The way from stored rows to those of the program, or a problem.
    fn way<T>(&mut self, place: &str, uid: &str, way: Result<T>) -> Option<T> {
        way.inspect_err(|error| {
            self.problems.push(format!(
                "{place}: {}. Give it a new uid, or start with --drop-state {uid}",
                error.message()
            ));
        })
        .ok()
    }

    /// A sink keeps what it writes from now on: all of it, or the difference at a later change would be wrong.
    fn began_to_keep(&mut self, uid: &str) {
        let sink = self.open.sinks.iter().find(|s| s.live && written_uid(&s.name) == *uid);
        let Some(sink) = sink else { return };
        let whole = sink.image.filter(|image| image.tick > self.tick());
        if whole.is_none_or(|image| image.less_written) {
            self.problems.push(format!(
                "sink {:?} has not kept what it wrote, so that nothing can be compared with it: keep reconcile = true, and set on_change = \
                 \"rewrite\" at this change of program, or give the sink a new name",
                sink.name
            ));
        }
    }

    /// What the snapshot has and the program has not.
    fn gone(&mut self) {
        let tick = self.tick();
        for stored in &self.snapshot.manifest().kept {
            let uid = &stored.uid;
            if self.is_dropped(uid) {
                self.notes.push(format!("kept state {uid:?} of tick {tick} is given up, as told"));
                continue;
            }
            let goes_on = self.plan.kept.iter().any(|k| self.stored(&k.uid).as_ref() == Some(uid));
            // What a sink has written is of no use without the sink.
            if goes_on || uid.starts_with(SINK_UIDS) {
                continue;
            }
            self.problems.push(format!(
                "the program has no kept state {uid:?}, the snapshot of tick {tick} has: give it back its uid, say \
                 flow.renamed({uid:?}, ..) if it has another one now, or start with --drop-state {uid}"
            ));
        }
        for (uid, at) in &self.open.dropped {
            if *at == tick && !self.stores(uid) {
                let all = &self.snapshot.manifest().kept;
                let all: Vec<_> = all.iter().map(|k| k.uid.as_str()).collect();
                self.problems.push(format!(
                    "--drop-state {uid}: the snapshot of tick {tick} has no such kept state; it has: {}",
                    all.join(", ")
                ));
            }
        }
    }
}
