//! Which rows of which ticks go into which transaction (PROTOCOL 11). Pure; no I/O.

/// Rows of one tick within a transaction; all rows before `from` are committed already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Which of the ticks.
    pub tick: usize,
    /// Its first row.
    pub from: usize,
    /// The row after its last.
    pub to: usize,
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
                transactions.push(vec![Piece { tick, from, to }]);
                from = to;
            }
        }
        room -= rows - from;
        open.push(Piece { tick, from, to: rows });
    }
    if !open.is_empty() {
        transactions.push(open);
    }
    transactions
}

#[cfg(test)]
mod tests;
