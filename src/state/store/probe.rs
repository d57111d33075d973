//! Whether a store over the network keeps what claims and the tick log stand on. It tries; it trusts no name or version.

use super::{Put, Store};
use crate::error::{Error, Kind, Result};
use crate::random;

/// Objects that were made to try the store. One that stays, since its maker was killed, is never read.
const PROBE: &str = "probe";
/// So many try to make the object at the same moment.
const RACERS: u8 = 8;

/// Makes an object of a name that nobody else uses, several times at once and once more, reads it, lists it, and deletes it.
///
/// # Errors
/// `Config` if the store does not make an object only if it is absent, does not show at once what it has, or refuses a call;
/// `Retry` or `Undecided` if it did not answer: try again, the name will be another.
pub(super) fn probe(store: &Store) -> Result<()> {
    let name = format!("{PROBE}/{}-{}", random::nonce(), random::nonce());
    let tried = try_out(store, &name);
    let deleted = store.delete(&name);
    tried.and(deleted)
}

fn try_out(store: &Store, name: &str) -> Result<()> {
    let unfit = |what: &str| {
        Err(Error::config(format!(
            "{}: {what}. Claims and a tick log in it would not be safe: two processes could lead at once. Name another store or a \
             newer release of this one; it must keep `If-None-Match: *` of PutObject and show at once what was written",
            store.place_of(name)
        )))
    };
    let racers = race(store, name);
    let found = store.get(name)?;
    match judge(&racers, found.as_deref()) {
        Verdict::One => {}
        Verdict::Open(error) => return Err(error),
        Verdict::Unfit(what) => return unfit(what),
    }
    if store.put_if_absent(name, "late")? == Put::Created {
        return unfit(AGAIN);
    }
    if store.get(name)? != found {
        return unfit("the store refused to make an object again and replaced it all the same");
    }
    if store.list(PROBE)?.iter().all(|object| object.name != name) {
        return unfit("the store does not list an object that it has just made");
    }
    Ok(())
}

const AGAIN: &str = "the store made an object again that was to be made only if absent";

/// What became of the creates, by the one byte that each would write.
fn race(store: &Store, name: &str) -> Vec<(u8, Result<Put>)> {
    std::thread::scope(|scope| {
        let create = |racer: u8| (racer, store.put_if_absent(name, vec![racer]));
        let running: Vec<_> = (0..RACERS).map(|racer| scope.spawn(move || create(racer))).collect();
        let ended = running.into_iter().map(|racer| racer.join());
        ended.map(|outcome| outcome.expect("a call of the store does not panic")).collect()
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// One was made, and it is that of one who was not refused.
    One,
    /// Nobody knows.
    Open(Error),
    Unfit(&'static str),
}

/// What the answers to creates at the same moment, and the object that was then found, say of the store: pure.
fn judge(racers: &[(u8, Result<Put>)], found: Option<&[u8]>) -> Verdict {
    let errors = || racers.iter().filter_map(|(_, outcome)| outcome.as_ref().err());
    if let Some(refused) =
        errors().find(|e| !matches!(e.kind(), Kind::Retry | Kind::Undecided)).cloned()
    {
        return Verdict::Open(refused);
    }
    let made: Vec<u8> = racers.iter().filter(|r| r.1 == Ok(Put::Created)).map(|r| r.0).collect();
    if made.len() > 1 {
        return Verdict::Unfit(AGAIN);
    }
    match (found, made.first(), errors().next()) {
        (None, Some(_), _) => {
            Verdict::Unfit("the store does not show an object that it has just made")
        }
        (None, None, Some(error)) => Verdict::Open(error.clone()),
        (None, None, None) => Verdict::Unfit(
            "the store says of an object that nobody has made that it exists already",
        ),
        (Some(found), made, _) => {
            let by = |racer: &&(u8, Result<Put>)| found == [racer.0];
            match racers.iter().find(by) {
                Some((_, Err(_))) if made.is_none() => Verdict::One,
                Some((_, Ok(Put::Created))) => Verdict::One,
                _ => Verdict::Unfit("the store has the bytes of a create that it refused"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
