//! Claims in the state store: one object a generation, so that numbers are unique and a lost or foreign log is noticed (PROTOCOL 1). Who
//! claims does not lead yet; the log says who leads.

use super::generation;
use crate::error::{Error, Kind, Result};
use crate::ids::{Generation, Nonce};
use crate::state::store::{Put, Store};
use serde::{Deserialize, Serialize};

/// Under which name a generation's claim lies in the store: its number in 20 digits, so that names sort as numbers.
const PREFIX: &str = "generation";
/// After so many lost answers or lost races in one call a claim gives up.
const ATTEMPTS: usize = 8;

/// What claims need of a store; every method blocks.
pub trait Objects {
    /// The object's bytes, or `None` if there is none.
    ///
    /// # Errors
    /// `Retry` if the store can't be reached, `Config` if it refuses.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Makes the object if there is none of this name: whether this call has made it.
    ///
    /// # Errors
    /// `Retry` if it was not made, `Undecided` if it may have been.
    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool>;

    /// The names of the objects under `prefix` (whole path segments), in any order.
    ///
    /// # Errors
    /// As [`Objects::get`].
    fn list(&self, prefix: &str) -> Result<Vec<String>>;
}

impl Objects for Store {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(Store::get(self, name)?.map(Vec::from))
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        Ok(Store::put_if_absent(self, name, bytes.to_vec())? == Put::Created)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(Store::list(self, prefix)?.into_iter().map(|object| object.name).collect())
    }
}

/// A claim as it is stored: a JSON object (`doc/formats/tick-log.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The generation.
    pub generation: Generation,
    /// Drawn by the claimant; the same stands in its open record.
    pub nonce: Nonce,
    /// Identity of the tick log.
    pub log_id: Nonce,
    /// Where the log is, for people.
    pub place: String,
}

/// What a claimant brings.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// Drawn for this generation.
    pub nonce: Nonce,
    /// Identity of the log that it has opened (and locked, if it is a file).
    pub log_id: Nonce,
    /// Where that log is.
    pub place: String,
    /// The newest open in that log.
    pub newest_open: Option<Generation>,
}

/// The newest claim in the store.
///
/// # Errors
/// `Retry` if the store can't be reached, `Corrupt` if a claim can't be read.
pub fn newest(objects: &dyn Objects) -> Result<Option<Claim>> {
    let names = objects.list(PREFIX)?;
    let Some(generation) = names.iter().filter_map(|name| number(name)).max() else {
        return Ok(None);
    };
    let name = name(generation);
    let bytes = objects.get(&name)?.ok_or_else(|| {
        Error::new(
            Kind::Retry,
            format!("state store: {name} was listed and is gone; claims are never deleted"),
        )
    })?;
    decode(&name, &bytes).map(Some)
}

/// PROTOCOL 1: claims the generation after the newest. A lost answer is cleared up by one's own nonce; whoever was quicker with a number gets
/// it, and the next one is tried.
///
/// # Errors
/// `Config` if the newest claim names another log: this one was made anew after the old one was lost, or belongs to another job.
/// `Retry` if the store can't be reached or others were quicker again and again; nothing is lost by an unused claim.
pub fn claim(objects: &dyn Objects, claimant: &Claimant) -> Result<Claim> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let newest = newest(objects)?;
        if let Some(newest) = &newest {
            same_log(newest, claimant)?;
        }
        let generation = generation::next(newest.map(|c| c.generation), claimant.newest_open);
        let Claimant { nonce, log_id, ref place, .. } = *claimant;
        let claim = Claim { generation, nonce, log_id, place: place.clone() };
        let name = name(generation);
        let json = serde_json::to_vec(&claim).expect("a claim is numbers and text");
        match objects.put_if_absent(&name, &json) {
            Ok(true) => return Ok(claim),
            Ok(false) => {}
            Err(e) if e.kind() == Kind::Undecided => last = Some(e),
            Err(e) => return Err(e),
        }
        // "Exists" and a lost answer are the same question: whose is it?
        if let Some(bytes) = objects.get(&name)?
            && decode(&name, &bytes)?.nonce == nonce
        {
            return Ok(claim);
        }
    }
    let why = last.map_or("others were quicker".to_string(), |e| e.message().to_string());
    Err(Error::new(
        Kind::Retry,
        format!("state store: no generation could be claimed in {ATTEMPTS} attempts: {why}"),
    ))
}

fn same_log(newest: &Claim, claimant: &Claimant) -> Result<()> {
    if newest.log_id == claimant.log_id {
        return Ok(());
    }
    Err(Error::config(format!(
        "the tick log {} has the id {}, but generation {} of this state store had a log with the id {} at {}: that log was lost or \
         moved, or this store belongs to another job. Exactly once can't be kept without it: bring the old log back, or begin a \
         new job with a state directory and sinks of its own",
        claimant.place, claimant.log_id, newest.generation, newest.log_id, newest.place
    )))
}

fn name(generation: Generation) -> String {
    format!("{PREFIX}/{:020}", generation.0)
}

fn number(name: &str) -> Option<Generation> {
    name.strip_prefix(PREFIX)?.strip_prefix('/')?.parse().ok().map(Generation)
}

fn decode(name: &str, bytes: &[u8]) -> Result<Claim> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::corrupt(format!("state store: {name} is no claim: {e}; restore it")))
}

#[cfg(test)]
mod tests;
