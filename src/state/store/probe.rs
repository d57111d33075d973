//! Whether a store over the network keeps what claims and the tick log stand on. It tries; it trusts no name or version.

use super::{Put, Store};
use crate::error::{Error, Result};
use crate::random;

/// Objects that were made to try the store. One that stays, since its maker was killed, is never read.
const PROBE: &str = "probe";

/// Makes an object of a name that nobody else uses, tries to make it again, reads it, lists it, and deletes it.
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
             newer release of this one; it must know `If-None-Match: *` of PutObject and show at once what was written",
            store.place_of(name)
        )))
    };
    if store.put_if_absent(name, "first")? == Put::Exists {
        return unfit("the store says of an object that nobody has made that it exists already");
    }
    if store.put_if_absent(name, "second")? == Put::Created {
        return unfit(
            "the store made an object a second time though it was to be made only if absent",
        );
    }
    match store.get(name)? {
        Some(bytes) if bytes == "first" => {}
        Some(_) => {
            return unfit("the store refused to make an object again and replaced it all the same");
        }
        None => return unfit("the store does not show an object that it has just made"),
    }
    if store.list(PROBE)?.iter().all(|object| object.name != name) {
        return unfit("the store does not list an object that it has just made");
    }
    Ok(())
}
