//! Snapshots that are no longer needed: gives them up, and once that counts deletes their objects and cuts the log (PROTOCOL 13, 14).
//! Its own thread; nothing in the job waits for it.

use super::generation::roots::{RootFacts, droppable, oldest_root};
use super::writers::SinkHand;
use crate::ids::{Generation, Tick};
use crate::state::garbage::{Roots, collect, listing};
use crate::state::persister::Handle as PersisterHandle;
use crate::state::store::{Object, Store};
use crate::ticks::log::thread::Appender;
use crate::ticks::record::{DropRecord, Record, SnapshotRecord};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// What of the log concerns the keeper.
pub(crate) enum Kept {
    /// A snapshot's record counts.
    Snapshot(SnapshotRecord),
    /// A drop counts.
    Dropped(DropRecord),
}

/// What the keeper needs.
pub(crate) struct Settings {
    pub(crate) store: Store,
    pub(crate) appender: Appender,
    pub(crate) persister: PersisterHandle,
    pub(crate) generation: Generation,
    pub(crate) base: Option<Tick>,
    /// The tick that was restored.
    pub(crate) lineage: Option<Tick>,
    /// Snapshots that count at the start.
    pub(crate) snapshots: Vec<SnapshotRecord>,
    pub(crate) sinks: BTreeMap<String, SinkHand>,
    pub(crate) kept: usize,
    pub(crate) events: Receiver<Kept>,
}

/// The thread; dropping it waits for the collection under way.
pub(crate) struct Keeper {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn start(settings: Settings) -> Keeper {
        let (end, ended) = channel();
        let mut state = Keeping { settings, own_newest: 0, listed: None };
        let thread =
            std::thread::Builder::new().name("keeper".into()).spawn(move || state.run(&ended));
        let thread = thread
            .inspect_err(
                |error| tracing::warn!(%error, "no thread for garbage: nothing is deleted"),
            )
            .ok();
        Keeper { end: Some(end), thread }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has already been reported by the hook.
            let _ = thread.join();
        }
    }
}

struct Keeping {
    settings: Settings,
    own_newest: Tick,
    /// The listing that was taken before the drop that is on its way.
    listed: Option<Vec<Object>>,
}

impl Keeping {
    fn run(&mut self, ended: &Receiver<()>) {
        use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
        loop {
            if matches!(ended.try_recv(), Err(TryRecvError::Disconnected)) {
                return;
            }
            let event =
                match self.settings.events.recv_timeout(std::time::Duration::from_millis(200)) {
                    Ok(event) => event,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return,
                };
            let outcome = match event {
                Kept::Snapshot(snapshot) => self.snapshot(snapshot),
                Kept::Dropped(drop) => self.dropped(&drop),
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, "garbage is left for the next time");
            }
        }
    }

    fn facts(&self) -> RootFacts<'_> {
        let settings = &self.settings;
        let committed = settings.sinks.values().map(SinkHand::committed);
        RootFacts {
            snapshots: &settings.snapshots,
            least: committed.min().unwrap_or_else(|| settings.appender.last_tick()),
            base: settings.base,
            lineage: settings.lineage,
        }
    }

    /// PROTOCOL 13: list first, then append the drop.
    fn snapshot(&mut self, snapshot: SnapshotRecord) -> crate::Result<()> {
        self.own_newest = self.own_newest.max(snapshot.tick);
        self.settings.lineage = Some(snapshot.tick);
        let tick = snapshot.tick;
        self.settings.snapshots.push(snapshot);
        // Only now, since until it is among the roots here the persister must hold it.
        self.settings.persister.counted(tick);
        if self.listed.is_some() {
            return Ok(());
        }
        let settings = &self.settings;
        if let Some(drop) = droppable(self.facts(), settings.kept, &[], settings.generation) {
            let listed = listing(&settings.store)?;
            settings.appender.append(Record::Drop(drop))?;
            self.listed = Some(listed);
        }
        Ok(())
    }

    /// Deletes what the counted drop gave up, then cuts the log.
    fn dropped(&mut self, drop: &DropRecord) -> crate::Result<()> {
        let base = self.settings.base;
        self.settings
            .snapshots
            .retain(|s| s.tick >= drop.below || s.savepoint.is_some() || Some(s.tick) == base);
        let Some(listed) = self.listed.take() else { return Ok(()) };
        let settings = &self.settings;
        // Before the roots: what is held no longer afterwards is a root by then.
        let held = settings.persister.held();
        let roots = Roots {
            generation: settings.generation,
            newest: self.own_newest,
            manifests: settings.snapshots.iter().map(|s| s.manifest.clone()).collect(),
            held,
        };
        let collected = collect(&settings.store, &listed, &roots)?;
        tracing::debug!(?collected, below = drop.below, "garbage collected");
        if let Some(root) = oldest_root(self.facts()) {
            settings.appender.cut(root)?;
        }
        Ok(())
    }
}
