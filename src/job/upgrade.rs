//! Whether a program's kept state goes on from a snapshot's. Pure but for reading the manifest that is given.

use super::stored_schema;
use crate::error::{Error, Result};
use crate::flow::Plan;
use crate::row::Migration;
use crate::state::persister::Kept;
use crate::state::restore::Snapshot;

/// What the persister must know of the kept state.
pub(crate) fn kept(plan: &Plan) -> Vec<Kept> {
    let kept = |k: &crate::flow::KeptPlan| Kept {
        uid: k.uid.clone(),
        schema: serde_json::json!([k.key, k.state]),
        fingerprint: k.key.fingerprint() ^ k.state.fingerprint().rotate_left(1),
    };
    plan.kept.iter().map(kept).collect()
}

/// Checks every uid of the snapshot and of the plan.
///
/// # Errors
/// `Config` naming each uid that can't go on, with both schemas, and what to do.
pub(crate) fn check(snapshot: &Snapshot, plan: &Plan, drop_state: &[String]) -> Result<()> {
    let mut problems = Vec::new();
    for stored in &snapshot.manifest().kept {
        let uid = &stored.uid;
        if drop_state.contains(uid) {
            tracing::warn!(uid, "kept state is given up, as told");
            continue;
        }
        let Some(current) = plan.kept.iter().find(|kept| kept.uid == *uid) else {
            problems.push(format!(
                "the program has no kept state {uid:?}, the snapshot of tick {} has: give it back its uid, or start with \
                 --drop-state {uid}",
                snapshot.tick()
            ));
            continue;
        };
        let Some((key, state)) = stored_schema(snapshot, uid) else {
            problems.push(format!("kept state {uid:?}: its stored schema can't be read"));
            continue;
        };
        let place =
            format!("kept state {uid:?} ({}:{})", current.place.file(), current.place.line());
        for (stored, current) in [(&key, &current.key), (&state, &current.state)] {
            if let Err(error) = Migration::between(stored, current) {
                problems.push(format!("{place}: {}", error.message()));
            }
        }
    }
    for new in &plan.kept {
        if snapshot.manifest().kept(&new.uid).is_none() {
            tracing::warn!(
                uid = new.uid,
                tick = snapshot.tick(),
                "new kept state: it begins empty"
            );
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::config(problems.join("\n"))) }
}
