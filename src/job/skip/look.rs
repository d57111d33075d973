//! Whether a record that is to be left out is there: a source is read from where a tick begins to read it.

use super::Place;
use crate::error::{Error, Result};
use crate::ids::Inlet;
use crate::sources::{Budget, Polled, Transport};
use crate::time::clock;
use std::sync::Arc;
use std::time::Duration;

/// How long a record is looked for.
const LOOK_TIME_MAX: Duration = Duration::from_secs(10);
/// How often more is asked for where there is none yet.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks for the record at `place`. `from` is where the partition was read up to; `None` if it was not.
///
/// # Errors
/// `Config` if it is not there; what the transport says.
pub(crate) fn exists(transport: &dyn Transport, place: &Place, from: Option<u64>) -> Result<()> {
    let from = match from {
        Some(from) => from,
        None => begin(transport, place)?,
    };
    let none = |near: Option<u64>| {
        let near = near.map_or_else(String::new, |at| format!("; the record before it is at {at}"));
        Err(Error::config(format!("{place}: no record begins there{near}")))
    };
    if place.offset < from {
        return none(None);
    }
    let mut reader = transport.open(Arc::new(|| {}))?;
    reader.assign(Inlet(0), &place.partition, from)?;
    let all = Budget { records: usize::MAX, bytes: usize::MAX };
    let until = clock::instant() + LOOK_TIME_MAX;
    let (mut last, mut there) = (None, false);
    loop {
        let limit = place.offset.saturating_add(1);
        let polled = reader.poll(Inlet(0), limit, all, &mut |raw| {
            (last, there) = (Some(raw.offset), there || raw.offset == place.offset);
            Ok(())
        })?;
        match polled {
            _ if there => return Ok(()),
            Polled::Limit | Polled::Finished => return none(last),
            // What is behind the end may only be on its way.
            Polled::CaughtUp | Polled::Waiting if clock::instant() > until => return none(last),
            Polled::CaughtUp | Polled::Waiting => std::thread::sleep(PAUSE),
            Polled::More => {}
        }
    }
}

/// Where a partition begins that was never read.
fn begin(transport: &dyn Transport, place: &Place) -> Result<u64> {
    let partitions = transport.discover()?;
    if let Some(found) = partitions.iter().find(|found| found.name == place.partition) {
        return Ok(found.start);
    }
    let mut known: Vec<_> = partitions.iter().map(|found| found.name.as_str()).collect();
    known.sort_unstable();
    Err(Error::config(format!(
        "source {:?} has no partition {:?}; there are: {}",
        place.source,
        place.partition,
        known.join(", ")
    )))
}
