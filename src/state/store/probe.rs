//! Whether a store over the network keeps what claims and the tick log stand on. It tries; it trusts no name or version.

use super::{Put, Store};
use crate::error::{Error, Kind, Result};
use crate::random;
use std::time::Duration;

/// Objects that were made to try the store. One that stays, since its maker was killed, is never read.
const PROBE: &str = "probe";
/// So many objects are tried: a store that is not safe may do one rightly, the first above all, before connections are open.
const RACES: usize = 3;
/// So many try to make an object at the same moment.
const RACERS: u8 = 8;
/// Between the tries of one step.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(200)];

/// Makes objects of names that nobody else uses, each several times at once and once more, reads and lists them, and deletes them.
///
/// # Errors
/// `Config` if the store does not make an object only if it is absent, does not show at once what it has, or refuses a call;
/// `Retry` or `Undecided` if it did not answer: try again, the names will be others.
pub(super) fn probe(store: &Store) -> Result<()> {
    let own = format!("{PROBE}/{}-{}", random::nonce(), random::nonce());
    let names: Vec<String> = (1..=RACES).map(|race| format!("{own}-{race}")).collect();
    let tried = names.iter().try_for_each(|name| try_out(store, name));
    match tried {
        Ok(()) => steady(|| store.delete_all(&names)),
        // What was met first says more than what becomes of the deletion.
        Err(error) => {
            drop(store.delete_all(&names));
            Err(error)
        }
    }
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
    let away = racers.iter().all(|(_, outcome)| outcome.is_err());
    let found = if away { None } else { steady(|| store.get(name))? };
    match judge(&racers, found.as_deref()) {
        Verdict::One => {}
        Verdict::Open(error) => return Err(error),
        Verdict::Unfit(what) => return unfit(what),
    }
    if steady(|| store.put_if_absent(name, "late"))? == Put::Created {
        return unfit(AGAIN);
    }
    if steady(|| store.get(name))? != found {
        return unfit("the store refused to make an object again and replaced it all the same");
    }
    if steady(|| store.list(PROBE))?.iter().all(|object| object.name != name) {
        return unfit("the store does not list an object that it has just made");
    }
    Ok(())
}

/// The outcome of a step that may be done twice; a few tries more if it passes.
fn steady<T>(step: impl Fn() -> Result<T>) -> Result<T> {
    for pause in PAUSES {
        match step() {
            Err(e) if matches!(e.kind(), Kind::Retry | Kind::Undecided) => {
                std::thread::sleep(pause)
            }
            outcome => return outcome,
        }
    }
    step()
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
