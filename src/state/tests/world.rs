//! A persister with its store, as a job would use it.

use crate::error::Result;
use crate::ids::{Generation, Tick};
use crate::state::changes::ChangeBuffer;
use crate::state::manifest::ManifestFacts;
use crate::state::persister::{Event, Kept, Persister, Settings};
use crate::state::restore::Snapshot;
use crate::state::store::Store;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Generous: reached only if something hangs.
const DEADLINE: Duration = Duration::from_secs(120);

pub(in crate::state) fn kept(uids: &[&str]) -> Vec<Kept> {
    let kept = |uid: &&str| Kept {
        uid: (*uid).to_string(),
        schema: serde_json::json!({"key": "bytes", "value": "bytes"}),
        fingerprint: 7,
        anew: false,
    };
    uids.iter().map(kept).collect()
}

/// Small limits, so that few rows make many segments and blocks.
pub(in crate::state) fn small(generation: u64) -> Settings {
    Settings {
        queue_bytes_max: 2_000,
        spill_bytes: 1_500,
        segment_bytes: 400,
        block_bytes: 60,
        ..Settings::new(Generation(generation))
    }
}

pub(in crate::state) fn facts(generation: u64, tick: Tick) -> ManifestFacts {
    ManifestFacts {
        generation: Generation(generation),
        tick,
        program: "p".to_string(),
        job: "test".to_string(),
        inlets: Vec::new(),
        watermarks: BTreeMap::new(),
        savepoint: None,
    }
}

pub(in crate::state) struct World {
    pub(in crate::state) persister: Persister,
    pub(in crate::state) buffers: Vec<ChangeBuffer>,
    pub(in crate::state) events: Receiver<Event>,
    pub(in crate::state) generation: u64,
}

impl World {
    pub(in crate::state) fn start(
        store: &Store,
        settings: Settings,
        uids: &[&str],
        workers: usize,
        base: Option<Snapshot>,
    ) -> World {
        let (sender, events) = channel();
        let generation = settings.generation.0;
        let tell = Box::new(move |event| {
            let _ = sender.send(event);
        });
        let persister =
            Persister::spawn(store.clone(), settings, kept(uids), workers, base, tell).unwrap();
        let buffers = (0..workers).map(|_| ChangeBuffer::new()).collect();
        World { persister, buffers, events, generation }
    }

    pub(in crate::state) fn hand_over(&mut self, worker: usize) {
        let handle = self.persister.handle();
        let changes = self.buffers[worker].take(Vec::new());
        handle.hand_over(changes);
    }

    /// Takes a snapshot that nothing stands in the way of; gives its manifest's name, or the error that ended the persister.
    pub(in crate::state) fn snapshot(&mut self, tick: Tick) -> Result<String> {
        self.request(tick);
        self.written(tick)
    }

    /// Says and hands over all that a snapshot needs.
    pub(in crate::state) fn request(&mut self, tick: Tick) {
        let handle = self.persister.handle();
        handle.expect(tick);
        for worker in 0..self.buffers.len() {
            self.hand_over(worker);
            handle.finished(worker, tick);
        }
        handle.facts(facts(self.generation, tick));
    }

    /// Waits for the snapshot of this tick.
    pub(in crate::state) fn written(&self, tick: Tick) -> Result<String> {
        self.written_merging(tick).map(|(manifest, _)| manifest)
    }

    fn written_merging(&self, tick: Tick) -> Result<(String, bool)> {
        loop {
            match self.events.recv_timeout(DEADLINE).unwrap() {
                Event::Written { tick: written, manifest, merging, .. } if written == tick => {
                    return Ok((manifest, merging));
                }
                Event::Failed(error) => return Err(error),
                _ => {}
            }
        }
    }

    /// Takes snapshots from `tick` on until nothing is left to merge; gives the last one's tick and manifest.
    pub(in crate::state) fn settle(&mut self, mut tick: Tick) -> (Tick, String) {
        self.snapshot(tick).unwrap();
        loop {
            tick += 1;
            self.request(tick);
            let (manifest, merging) = self.written_merging(tick).unwrap();
            if !merging {
                return (tick, manifest);
            }
            while !matches!(self.events.recv_timeout(DEADLINE).unwrap(), Event::Merged { .. }) {}
        }
    }
}
