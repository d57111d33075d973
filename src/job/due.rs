//! When a snapshot is due. A job at rest goes quiet: it takes a few more snapshots until merges have ended and garbage is gone, then
//! none but to bound the log. Pure.

use std::time::Duration;

/// Ticks after the newest snapshot at which one is taken though nothing has changed: heartbeats make the log longer, and it is cut only
/// behind snapshots.
const TICKS_MAX: u64 = 10_000;

/// Snapshots without a change beyond those that are kept, so that every kept one is of the same segments and the rest is collected: one
/// may be below no sink's progress yet, and one drop may be on its way.
const ALIKE_MORE: usize = 2;

/// What has come since the newest snapshot was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Since {
    /// Whether something came that may change kept state: a record, a watermark, a partition, a command.
    changed: bool,
    /// Whether segments were merged or are being merged: the next manifest names fewer bytes.
    merged: bool,
    /// Ticks.
    ticks: u64,
    /// Snapshots in a row for which nothing had changed and nothing had been merged.
    alike: usize,
}

impl Since {
    /// At a start: what is replayed, or migrated, has changed something.
    pub(crate) fn start() -> Since {
        Since { changed: true, merged: false, ticks: 0, alike: 0 }
    }

    /// A tick was composed.
    pub(crate) fn tick(&mut self, changed: bool) {
        self.changed |= changed;
        self.ticks += 1;
    }

    /// A watermark was decided; whether it is another than before.
    pub(crate) fn moved(&mut self, moved: bool) {
        self.changed |= moved;
    }

    /// Segments were merged, or a merge is under way.
    pub(crate) fn merged(&mut self) {
        self.merged = true;
    }

    /// A snapshot was decided.
    pub(crate) fn taken(&mut self) {
        let alike = if self.changed || self.merged { 0 } else { self.alike.saturating_add(1) };
        *self = Since { changed: false, merged: false, ticks: 0, alike };
    }

    /// Whether a snapshot is due of which `kept` are kept, `waited` after the one before, at one an `interval`.
    pub(crate) fn is_due(&self, kept: usize, waited: Duration, interval: Duration) -> bool {
        waited >= interval
            && (self.changed
                || self.merged
                || self.alike < kept + ALIKE_MORE
                || self.ticks >= TICKS_MAX)
    }
}

#[cfg(test)]
mod tests;
