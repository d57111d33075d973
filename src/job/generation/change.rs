//! The sinks of tables at a change of program: what each is told to do, and which must be told. Pure.
//!
//! What a table's sink holds are the changes that the old program made. Whether the new one derives the same table is not known:
//! a fingerprint only says that something differs. So the user says it, sink by sink. Sinks of streams hold rows that came once and
//! for all, and go on.

use super::lanes::Wanted;
use crate::error::Error;
use crate::ids::Tick;
use crate::ticks::record::{Image, Open};

/// What happens to the sink of a table when another program goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChange {
    /// The program does not start.
    #[default]
    Refuse,
    /// The difference between the new program's table and what the sink has written is written at the first tick.
    Reconcile,
    /// The whole table is written at the first tick.
    Rewrite,
    /// What changes from the first tick on is written.
    FromNow,
}

/// The sinks that hold changes of another program's table and are not told what to do.
pub fn untold<'a>(in_force: Option<&Open>, wanted: &'a [Wanted]) -> Vec<&'a str> {
    let untold = |w: &&Wanted| w.change == Some(OnChange::Refuse) && w.before(in_force).is_some();
    wanted.iter().filter(untold).map(|w| w.name.as_str()).collect()
}

/// What the user reads if there are any.
pub fn refusal(untold: &[&str], in_force: &str) -> Error {
    let keys: Vec<_> = untold.iter().map(|name| format!("sink.{name}.on_change")).collect();
    Error::config(format!(
        "this program differs from {in_force}, and the changes of a table that {in_force} made stand in {} {}; say for each how to go \
         on, with {} = \"reconcile\" (write the difference to what stands there; the sink must have run with reconcile = true), \
         \"rewrite\" (write the whole table once more) or \"from-now\" (go on with changes, right if the table is the same)",
        if untold.len() == 1 { "sink" } else { "sinks" },
        untold.join(", "),
        keys.join(" and ")
    ))
}

/// The tick at which the next open gives the whole table to a sink; `None` if it goes on with changes, or is as it was.
/// `end` is the last tick; `switches` says that another program goes on.
pub fn first_image(
    wanted: &Wanted,
    in_force: Option<&Open>,
    end: Tick,
    switches: bool,
) -> Option<Image> {
    let image = |less_written| Some(Image { tick: end + 1, less_written });
    match (wanted.change?, wanted.before(in_force)) {
        // Before the first tick every table is empty.
        _ if end == 0 => None,
        (_, None) => image(false),
        (OnChange::Rewrite, Some(_)) if switches => image(false),
        (OnChange::Reconcile, Some(_)) if switches => image(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
