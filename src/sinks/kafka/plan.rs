//! Which rows of which ticks go into which transaction, and whether a replay gives the rows that are there (PROTOCOL 9 and 11).
//! Pure; no I/O.

use super::progress::digest_of;
use crate::sinks::{LaneTick, Progress};
use crate::{Error, Kind, Result};

/// Rows of one tick within a transaction; all rows before `from` are committed already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Which of the ticks.
    pub tick: usize,
    /// Its first row.
    pub from: usize,
    /// The row after its last.
    pub to: usize,
    /// Whether the tick is whole with it.
    pub last: bool,
}

/// How many rows of `tick` the lane has; `None` if it has the whole tick.
///
/// # Errors
/// `Nondeterministic` if the rows that it has are not the first ones of `tick`; `Internal` if an earlier tick is not whole.
pub(super) fn committed(
    sink: &str,
    tick: &LaneTick,
    progress: Option<&Progress>,
) -> Result<Option<usize>> {
    let Some(progress) = progress else { return Ok(Some(0)) };
    if tick.tick < progress.tick {
        return Ok(None);
    }
    if tick.tick > progress.tick {
        if progress.last {
            return Ok(Some(0));
        }
        return Err(Error::internal(format!(
            "sink {sink} lane {}: tick {} was to be written while {} rows of tick {} are committed and more are missing",
            tick.lane.0, tick.tick, progress.rows, progress.tick
        )));
    }
    let differs = |what: String| {
        Error::new(
            Kind::Nondeterministic,
            format!(
                "sink {sink} lane {}: tick {} has {} rows committed with digest {:016x} by generation {} (program {}), but the replay \
                 gives {what}; nothing was written; look for a clock, randomness or hash-map order in the dataflow",
                tick.lane.0,
                tick.tick,
                progress.rows,
                progress.digest,
                progress.generation,
                progress.program
            ),
        )
    };
    let have = usize::try_from(progress.rows).unwrap_or(usize::MAX);
    let rows = tick.rows.len();
    let fits = if progress.last { rows == have } else { rows > have };
    if !fits {
        return Err(differs(format!("{rows} rows in all")));
    }
    let digest = digest_of(&tick.rows[..have]);
    if digest != progress.digest {
        return Err(differs(format!("digest {digest:016x} for them")));
    }
    Ok(if progress.last { None } else { Some(have) })
}

/// Cuts ticks into transactions of at most `rows_max` rows. `ticks` gives for each tick its first row to write and its number of
/// rows. A tick is torn only if it does not fit a transaction that it has alone.
pub(super) fn cut(
    ticks: impl IntoIterator<Item = (usize, usize, usize)>,
    rows_max: usize,
) -> Vec<Vec<Piece>> {
    let mut transactions = Vec::new();
    let mut open: Vec<Piece> = Vec::new();
    let mut room = rows_max;
    for (tick, mut from, rows) in ticks {
        if rows - from > room {
            if !open.is_empty() {
                transactions.push(std::mem::take(&mut open));
            }
            room = rows_max;
            while rows - from > rows_max {
                let to = from + rows_max;
                transactions.push(vec![Piece { tick, from, to, last: false }]);
                from = to;
            }
        }
        room -= rows - from;
        open.push(Piece { tick, from, to: rows, last: true });
    }
    if !open.is_empty() {
        transactions.push(open);
    }
    transactions
}

#[cfg(test)]
mod tests;
