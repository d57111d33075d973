//! Changes in memory between two snapshots, consolidated as they come. It knows no store.

use crate::hash::Map;
use crate::ids::Tick;
use crate::state::changes::{Change, What};
use crate::state::cover::Cover;
use crate::state::segment::Tombstones;

/// What a cell costs beside its key and value, roughly.
const CELL_BYTES: usize = 96;

/// The consolidated changes of some ticks, by uid.
#[derive(Debug)]
pub(super) struct Bucket {
    tables: Vec<Table>,
    bytes: usize,
    /// Counts changes, to order those of one tick.
    arrivals: u64,
    tick_max: Tick,
}

#[derive(Debug, Default)]
struct Table {
    cells: Map<Box<[u8]>, Cell>,
    removed: Cover<(Tick, u64)>,
}

#[derive(Debug)]
struct Cell {
    at: (Tick, u64),
    value: Option<Vec<u8>>,
}

/// Key, tick, value or gone.
type LastChange = (Box<[u8]>, Tick, Option<Vec<u8>>);

/// Changes of one uid, ready to be written.
#[derive(Debug)]
pub(super) struct Drained {
    /// Ascending by key.
    pub(super) entries: Vec<LastChange>,
    pub(super) tombstones: Tombstones,
}

impl Drained {
    /// The least and the greatest tick; `None` if there is nothing.
    pub(super) fn ticks(&self) -> Option<(Tick, Tick)> {
        let ticks = || {
            self.entries.iter().map(|(_, tick, _)| *tick).chain(self.tombstones.values().copied())
        };
        Some((ticks().min()?, ticks().max()?))
    }
}

impl Bucket {
    pub(super) fn new(uids: usize) -> Bucket {
        Bucket {
            tables: (0..uids).map(|_| Table::default()).collect(),
            bytes: 0,
            arrivals: 0,
            tick_max: 0,
        }
    }

    /// Memory held in bytes, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The greatest tick seen; 0 before the first change.
    pub(super) fn tick_max(&self) -> Tick {
        self.tick_max
    }

    /// Takes a change in.
    pub(super) fn apply(&mut self, change: &Change<'_>) {
        self.arrivals += 1;
        self.tick_max = self.tick_max.max(change.tick);
        let at = (change.tick, self.arrivals);
        let table = &mut self.tables[usize::from(change.uid)];
        let value = match change.what {
            What::Put(value) => Some(value),
            What::Remove => None,
            What::RemovePrefix => {
                if table.removed.add(change.key, at) {
                    self.bytes += change.key.len() + CELL_BYTES;
                }
                return;
            }
        };
        let Some(cell) = table.cells.get_mut(change.key) else {
            self.bytes += CELL_BYTES + change.key.len() + value.map_or(0, <[u8]>::len);
            let cell = Cell { at, value: value.map(<[u8]>::to_vec) };
            table.cells.insert(change.key.into(), cell);
            return;
        };
        if cell.at > at {
            return;
        }
        cell.at = at;
        let before = cell.value.as_ref().map_or(0, Vec::len);
        match (&mut cell.value, value) {
            (Some(old), Some(new)) => {
                old.clear();
                old.extend_from_slice(new);
            }
            (old, new) => *old = new.map(<[u8]>::to_vec),
        }
        self.bytes = self.bytes + value.map_or(0, <[u8]>::len) - before;
    }

    /// Forgets what range tombstones cover; they themselves stay, for what is in segments.
    pub(super) fn sweep(&mut self) {
        for table in &mut self.tables {
            if table.removed.is_empty() {
                continue;
            }
            let (cells, removed) = (&mut table.cells, &table.removed);
            cells.retain(|key, cell| {
                let live = removed.newest(key).is_none_or(|at| at < cell.at);
                if !live {
                    self.bytes -= CELL_BYTES + key.len() + cell.value.as_ref().map_or(0, Vec::len);
                }
                live
            });
        }
    }

    /// Everything held, by uid; the bucket is empty afterwards. Sorted here, on the I/O thread.
    pub(super) fn drain(&mut self) -> Vec<Drained> {
        self.sweep();
        self.bytes = 0;
        self.tables
            .iter_mut()
            .map(|table| {
                let table = std::mem::take(table);
                let mut entries: Vec<_> = table
                    .cells
                    .into_iter()
                    .map(|(key, cell)| (key, cell.at.0, cell.value))
                    .collect();
                entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
                let tombstones =
                    table.removed.iter().map(|(prefix, at)| (prefix.clone(), at.0)).collect();
                Drained { entries, tombstones }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
