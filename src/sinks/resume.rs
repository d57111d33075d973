//! What of a tick a lane still lacks, from its progress: pure decisions for every writer (PROTOCOL 9 and 11).

use super::{Identity, LaneTick, Progress, Row};
use crate::error::{Error, Kind, Result};
use crate::hash::chain;

/// What to write of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Nothing: the lane holds it.
    Held,
    /// The rows from this index on, and progress even if there are none.
    From(usize),
}

/// What is to be written of `tick` into a lane whose progress is `progress`.
///
/// # Errors
/// `Nondeterministic` if the rows of the tick do not begin with those that were committed of it, naming sink, lane and tick;
/// `Internal` if the lane holds an earlier tick only in part.
pub fn resume(sink: &str, progress: Option<&Progress>, tick: &LaneTick) -> Result<Resume> {
    let Some(progress) = progress else {
        return Ok(Resume::From(0));
    };
    if tick.tick < progress.tick {
        return Ok(Resume::Held);
    }
    if tick.tick > progress.tick {
        if progress.last {
            return Ok(Resume::From(0));
        }
        return Err(Error::internal(format!(
            "sink {sink}, lane {}: tick {} follows tick {}, of which only {} rows are written",
            tick.lane.0, tick.tick, progress.tick, progress.rows
        )));
    }
    let committed = usize::try_from(progress.rows).unwrap_or(usize::MAX);
    let differs = |found: String| {
        Err(Error::new(
            Kind::Nondeterministic,
            format!(
                "sink {sink}, lane {}, tick {}: the replay gives {found}, but {} rows with digest {:016x} are committed; \
                 nothing was written. Look for a clock, randomness or hash map order in the dataflow",
                tick.lane.0, tick.tick, progress.rows, progress.digest
            ),
        ))
    };
    // What was committed in part had more rows than that.
    let rows = tick.rows.len();
    if if progress.last { rows != committed } else { rows <= committed } {
        return differs(format!("{rows} rows in all"));
    }
    let found = digest(0, &tick.rows[..committed]);
    if found != progress.digest {
        return differs(format!("rows with digest {found:016x}"));
    }
    Ok(if progress.last { Resume::Held } else { Resume::From(committed) })
}

/// The progress of a lane once the first `rows` rows of `tick` are committed.
pub fn progress(identity: &Identity, sink: &str, tick: &LaneTick, rows: usize) -> Progress {
    Progress::of(identity, sink, tick, rows, digest(0, &tick.rows[..rows]))
}

/// The digest of rows behind those whose digest is `before` (0 for none): `doc/formats/progress.md` has it byte by byte. What a row
/// does (`diff`) is told by its bytes.
pub fn digest(before: u64, rows: &[Row]) -> u64 {
    rows.iter().fold(before, |before, row| {
        let (key, value) = (row.key.as_deref(), row.value.as_deref());
        let mut head = [0; 9];
        head[0] = u8::from(key.is_some()) | u8::from(value.is_some()) << 1;
        let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
        // No transport takes 4 GiB in a row; of a longer one the lower half of its length will do.
        head[1..5].copy_from_slice(&(key.len() as u32).to_le_bytes());
        head[5..].copy_from_slice(&(value.len() as u32).to_le_bytes());
        chain(chain(chain(before, &head), key), value)
    })
}

#[cfg(test)]
mod tests;
