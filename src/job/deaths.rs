//! Generations that ended by a panic of the user's code, noted in the store: a job that meets the same panic again and again
//! stops trying and says what to do.
//!
//! A note is written by the process that panicked; one that is lost makes the job try once more. Nothing that is computed depends on it.

use crate::error::{Error, Result};
use crate::ids::{Generation, Tick};
use crate::job::claim;
use crate::state::store::Store;
use serde::{Deserialize, Serialize};

/// Objects are called `deaths/` and the generation.
const PREFIX: &str = "deaths/";
/// So many generations in a row, and no more is tried.
const DEATHS: usize = 3;

/// The end of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Death {
    pub(crate) generation: Generation,
    /// The first tick that was not done on the worker that panicked, the last time that it panicked so far on.
    pub(crate) tick: Tick,
    /// The fingerprint of the program's file, whatever it is called in the log: a mended one is another.
    pub(crate) build: String,
    /// The worker, what it said, and where.
    pub(crate) told: String,
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Death { generation, tick, told, .. } = self;
        write!(
            f,
            "{DEATHS} generations, the last one {generation}, ended at tick {tick} with the same panic: {told}. No dataflow runs now, and nothing is \
             lost. Mend the program and start it: another build is tried at once; if all that the job has shown would be the same with it, start it \
             with -D job.program= and the program that this status names, since there is no clean end to go on from. Or leave out the record that \
             it can't get through, which `tidemark replay DATAFLOW --tick {tick}` finds: `tidemark skip SOURCE PARTITION OFFSET`. Or `tidemark \
             retry` tries as it is"
        )
    }
}

/// Where the processes of a generation note its end.
pub(crate) struct Deaths {
    pub(crate) store: Store,
    pub(crate) generation: Generation,
    pub(crate) build: String,
}

impl Deaths {
    /// Notes the end. What can't be noted is logged.
    pub(crate) fn note(&self, tick: Tick, told: &str) {
        let (generation, build) = (self.generation, self.build.clone());
        // One that reads ticks again may be at several of them at once, and meets the panic before it is through the first.
        let tick = match newest(&self.store) {
            Ok(Some(last)) if (&last.build, &*last.told) == (&build, told) => last.tick.max(tick),
            _ => tick,
        };
        let death = Death { generation, tick, build, told: told.to_owned() };
        let written = serde_json::to_vec(&death)
            .map_err(|e| Error::internal(e.to_string()))
            .and_then(|json| self.store.put_if_absent(&name(generation), json));
        if let Err(error) = written {
            tracing::warn!(%error, "the end of the generation could not be noted in the store");
        }
    }
}

fn name(generation: Generation) -> String {
    format!("{PREFIX}{:020}", generation.0)
}

/// All notes, oldest first.
fn names(store: &Store) -> Result<Vec<String>> {
    Ok(store.list(PREFIX)?.into_iter().map(|object| object.name).collect())
}

/// The death that the last generations of this build died again and again, if they did.
///
/// # Errors
/// `Retry` if the store does not answer, `Corrupt` if a note can't be read.
pub(crate) fn repeated(store: &Store, build: &str) -> Result<Option<Death>> {
    let names = names(store)?;
    let Some(first) = names.len().checked_sub(DEATHS) else { return Ok(None) };
    // Most starts end above: nothing more is asked of the store for them.
    let Some(newest) = claim::newest(store)? else { return Ok(None) };
    let mut last = Vec::new();
    for (back, found) in (0..).zip(names[first..].iter().rev()) {
        if newest.generation.0.checked_sub(back).map(Generation).map(name).as_ref() != Some(found) {
            return Ok(None);
        }
        let Some(death) = read(store, found)? else { return Ok(None) };
        last.push(death);
    }
    Ok(same(&last, build))
}

/// The newest of these, which come first, if all are one.
fn same(last: &[Death], build: &str) -> Option<Death> {
    let newest = last.first().filter(|death| death.build == build)?;
    let one = |death: &Death| (&death.build, &death.told) == (&newest.build, &newest.told);
    last.iter().all(one).then(|| newest.clone())
}

/// The newest of all notes.
///
/// # Errors
/// As [`repeated`].
pub(crate) fn newest(store: &Store) -> Result<Option<Death>> {
    names(store)?.last().map_or(Ok(None), |name| read(store, name))
}

/// The note of this name; `None` if it is gone.
fn read(store: &Store, name: &str) -> Result<Option<Death>> {
    let Some(bytes) = store.get(name)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| Error::corrupt(format!("{name} in {} can't be read: {e}", store.url())))
}

/// Forgets all of them.
///
/// # Errors
/// `Retry` if the store does not answer.
pub(crate) fn forget(store: &Store) -> Result<()> {
    store.delete_all(&names(store)?)
}

#[cfg(test)]
mod tests;
