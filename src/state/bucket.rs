//! Changes in memory between two snapshots, consolidated as they come. It knows no store.
//!
//! Keys and values lie one after the other in one buffer a table, so that a change of a known key allocates nothing, and a new one only
//! what the buffers grow by. They are sorted once, when they are drained.

use crate::hash::hashed;
use crate::ids::Tick;
use crate::state::changes::{Change, What};
use crate::state::cover::Cover;
use crate::state::segment::Tombstones;
use hashbrown::HashTable;

/// What a cell costs beside its key and value, and a removal beside its prefix, roughly: with its place in the index.
const CELL_BYTES: usize = size_of::<Cell>() + 8;

/// The consolidated changes of some ticks, by uid.
#[derive(Debug)]
pub(super) struct Bucket {
    tables: Vec<Table>,
    /// Counts changes, to order those of one tick.
    arrivals: u64,
    tick_max: Tick,
}

#[derive(Debug, Default)]
struct Table {
    /// Places in `cells`, by key.
    index: HashTable<u32>,
    cells: Vec<Cell>,
    /// Keys and values.
    held: Vec<u8>,
    /// Bytes of `held` that values which outgrew them have left behind.
    left: usize,
    removed: Cover<(Tick, u64)>,
    removed_bytes: usize,
}

/// The last change of a key.
#[derive(Clone, Copy, Debug)]
struct Cell {
    hash: u64,
    at: (Tick, u64),
    key: Span,
    /// Empty if the key is gone.
    value: Span,
    /// How long a value may be that is put where this one is.
    room: u32,
    gone: bool,
}

/// Where something lies among what is held.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: usize,
    length: u32,
}

impl Span {
    fn of(self, held: &[u8]) -> &[u8] {
        &held[self.from..self.from + self.length as usize]
    }
}

fn append(held: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let length = u32::try_from(bytes.len()).expect("keys and values are shorter than 4 GiB");
    let span = Span { from: held.len(), length };
    held.extend_from_slice(bytes);
    span
}

/// Changes of one uid, ready to be written.
#[derive(Debug)]
pub(super) struct Drained {
    held: Vec<u8>,
    /// Ascending by key.
    cells: Vec<Cell>,
    pub(super) tombstones: Tombstones,
}

impl Drained {
    /// Key, tick, value or gone; ascending by key.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&[u8], Tick, Option<&[u8]>)> {
        self.cells.iter().map(|cell| {
            let value = (!cell.gone).then(|| cell.value.of(&self.held));
            (cell.key.of(&self.held), cell.at.0, value)
        })
    }

    /// The least and the greatest tick; `None` if there is nothing.
    pub(super) fn ticks(&self) -> Option<(Tick, Tick)> {
        let ticks =
            || self.cells.iter().map(|cell| cell.at.0).chain(self.tombstones.values().copied());
        Some((ticks().min()?, ticks().max()?))
    }
}

impl Table {
    fn bytes(&self) -> usize {
        self.held.len() + self.cells.len() * CELL_BYTES + self.removed_bytes
    }

    fn remove_prefix(&mut self, prefix: &[u8], at: (Tick, u64)) {
        if self.removed.add(prefix, at) {
            self.removed_bytes += prefix.len() + CELL_BYTES;
        }
    }

    /// Notes that `key` has `value`, or is gone, if that is newer than what is known.
    fn set(&mut self, key: &[u8], at: (Tick, u64), value: Option<&[u8]>) {
        let Table { index, cells, held, left, .. } = self;
        let hash = hashed(key);
        let same = |place: &u32| {
            let cell = &cells[*place as usize];
            cell.hash == hash && cell.key.of(held) == key
        };
        let bytes = value.unwrap_or_default();
        let Some(&place) = index.find(hash, same) else {
            let (key, value_span) = (append(held, key), append(held, bytes));
            let place = u32::try_from(cells.len()).expect("fewer than 2^32 keys before a snapshot");
            index.insert_unique(hash, place, |place| cells[*place as usize].hash);
            let (room, gone) = (value_span.length, value.is_none());
            cells.push(Cell { hash, at, key, value: value_span, room, gone });
            return;
        };
        let cell = &mut cells[place as usize];
        if cell.at > at {
            return;
        }
        (cell.at, cell.gone) = (at, value.is_none());
        if bytes.len() > cell.room as usize {
            *left += cell.room as usize;
            cell.value = append(held, bytes);
            cell.room = cell.value.length;
        } else {
            let from = cell.value.from;
            held[from..from + bytes.len()].copy_from_slice(bytes);
            cell.value.length = bytes.len() as u32;
        }
    }

    /// Whether no range tombstone lies over what came to `key` at `at`.
    fn is_live(&self, key: &[u8], at: (Tick, u64)) -> bool {
        self.removed.newest(key).is_none_or(|removed| removed < at)
    }

    /// The same without what range tombstones cover and without what was left behind.
    fn swept(mut self) -> Table {
        let mut swept = Table {
            removed: std::mem::take(&mut self.removed),
            removed_bytes: self.removed_bytes,
            ..Table::default()
        };
        for cell in &self.cells {
            let key = cell.key.of(&self.held);
            if swept.is_live(key, cell.at) {
                swept.set(key, cell.at, (!cell.gone).then(|| cell.value.of(&self.held)));
            }
        }
        swept
    }

    fn drained(self) -> Drained {
        let key = |cell: &Cell| cell.key.of(&self.held);
        let live = self.cells.iter().filter(|cell| self.is_live(key(cell), cell.at));
        let mut order: Vec<(u128, &Cell)> = live.map(|cell| (beginning(key(cell)), cell)).collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| key(a.1).cmp(key(b.1))));
        let tombstones = self.removed.iter().map(|(prefix, at)| (prefix.clone(), at.0)).collect();
        let cells = order.into_iter().map(|(_, cell)| *cell).collect();
        Drained { cells, held: self.held, tombstones }
    }
}

/// The first 16 bytes of a key, as a number that orders as they do. Most keys differ in them, so that a sort seldom looks further.
fn beginning(key: &[u8]) -> u128 {
    let mut first = [0; 16];
    let length = key.len().min(16);
    first[..length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(first)
}

impl Bucket {
    pub(super) fn new(uids: usize) -> Bucket {
        let tables = (0..uids).map(|_| Table::default()).collect();
        Bucket { tables, arrivals: 0, tick_max: 0 }
    }

    /// Memory held in bytes, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.tables.iter().map(Table::bytes).sum()
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
        match change.what {
            What::Put(value) => table.set(change.key, at, Some(value)),
            What::Remove => table.set(change.key, at, None),
            What::RemovePrefix => table.remove_prefix(change.key, at),
        }
    }

    /// Forgets what range tombstones cover, and gives back what was left behind. The tombstones stay, for what is in segments.
    pub(super) fn sweep(&mut self) {
        for table in self.tables.iter_mut().filter(|t| t.left > 0 || !t.removed.is_empty()) {
            *table = std::mem::take(table).swept();
        }
    }

    /// Everything held, by uid; the bucket is empty afterwards. Sorted here, on the I/O thread.
    pub(super) fn drain(&mut self) -> Vec<Drained> {
        self.tables.iter_mut().map(|table| std::mem::take(table).drained()).collect()
    }
}

#[cfg(test)]
mod tests;
