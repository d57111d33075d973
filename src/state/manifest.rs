//! Manifests: one object a snapshot, naming all that belongs to it. That a manifest lies in the store does not make its
//! snapshot exist; a counted record in the tick log does (PROTOCOL 12).
//!
//! ```text
//! {"tidemark":"manifest","format":1,"crc32c":"<8 hex digits>","body":<body>}\n
//! ```
//! The checksum is over the bytes of the body. Everything before and after it is fixed, so every byte is checked.

use crate::error::{Error, Result};
use crate::ids::{Generation, Tick};
use crate::state::coding::crc;
use crate::state::segment::SegmentRef;
use crate::state::store::Store;
use crate::ticks::record::{Activity, InletDecl};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const BEFORE: &str = r#"{"tidemark":"manifest","format":1,"crc32c":""#;
const BETWEEN: &str = r#"","body":"#;
const AFTER: &str = "}\n";

/// Where a partition stands at the end of the snapshot's tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InletState {
    /// The partition.
    pub decl: InletDecl,
    /// The next offset.
    pub next: u64,
    /// The greatest event time so far in microseconds; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time_max: Option<i64>,
    /// Whether it takes part in the watermark.
    #[serde(default)]
    pub activity: Activity,
}

/// What the log says about the snapshot's tick; given to the persister by whoever follows the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFacts {
    /// The generation that writes it.
    pub generation: Generation,
    /// The tick whose end it shows.
    pub tick: Tick,
    /// Fingerprint of the program.
    pub program: String,
    /// The job's name.
    pub job: String,
    /// Every inlet so far, in the order of numbers.
    pub inlets: Vec<InletState>,
    /// Watermarks in force after the tick in microseconds, by source.
    pub watermarks: BTreeMap<String, i64>,
    /// The savepoint's name, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savepoint: Option<String>,
}

/// The kept rows of one uid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptState {
    /// The uid.
    pub uid: String,
    /// The readable schema of key and value.
    pub schema: serde_json::Value,
    /// The schema's fingerprint.
    #[serde(with = "crate::state::coding::hex")]
    pub fingerprint: u64,
    /// Its segments, oldest first.
    pub segments: Vec<SegmentRef>,
}

/// A manifest's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What the log says. (Not flattened: serde can't, with numbers of any precision.)
    pub facts: ManifestFacts,
    /// Kept state by uid.
    pub kept: Vec<KeptState>,
}

/// The name of a manifest object: `manifest/<generation>-<tick>`.
pub fn name(generation: Generation, tick: Tick) -> String {
    format!("manifest/{generation}-{tick}")
}

impl Manifest {
    /// The object's bytes.
    ///
    /// # Errors
    /// `Internal` if it can't be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let body = serde_json::to_string(self).map_err(|e| {
            Error::internal(format!("the manifest of tick {}: {e}", self.facts.tick))
        })?;
        let crc = crc(body.as_bytes());
        Ok(format!("{BEFORE}{crc:08x}{BETWEEN}{body}{AFTER}").into_bytes())
    }

    /// The manifest in `bytes`; `place` names the object in errors.
    ///
    /// # Errors
    /// `Corrupt` if any byte is not as it was written.
    pub fn decode(bytes: &[u8], place: &str) -> Result<Manifest> {
        let wrong = |offset: usize, what: String| {
            Error::corrupt(format!(
                "{place} is damaged at byte {offset}: {what}; bring the object back, or start from an older snapshot"
            ))
        };
        let hex = BEFORE.len();
        let between = hex + 8;
        let start = between + BETWEEN.len();
        let part = |from: usize, len: usize| bytes.get(from..from + len);
        if part(0, hex) != Some(BEFORE.as_bytes()) {
            return Err(wrong(0, "it is no manifest of format 1".to_string()));
        }
        if part(between, BETWEEN.len()) != Some(BETWEEN.as_bytes()) {
            return Err(wrong(between, "the frame is another".to_string()));
        }
        let Some(body) = bytes[start..].strip_suffix(AFTER.as_bytes()) else {
            return Err(wrong(bytes.len(), "it does not end as a manifest does".to_string()));
        };
        if &bytes[hex..between] != format!("{:08x}", crc(body)).as_bytes() {
            return Err(wrong(hex, "the checksum of the body is another".to_string()));
        }
        serde_json::from_slice(body)
            .map_err(|e| wrong(start, format!("the body can't be read: {e}")))
    }

    /// Reads the manifest object of this name.
    ///
    /// # Errors
    /// `Corrupt` if it is gone or damaged, `Retry` if the store did not answer.
    pub fn read(store: &Store, name: &str) -> Result<Manifest> {
        let place = format!("{name} in {}", store.url());
        let Some(bytes) = store.get(name)? else {
            return Err(Error::corrupt(format!(
                "{place} is gone (byte 0): begin again at a newer snapshot, or bring the object back"
            )));
        };
        let manifest = Manifest::decode(&bytes, &place)?;
        if self::name(manifest.facts.generation, manifest.facts.tick) != name {
            return Err(Error::corrupt(format!(
                "{place} is damaged at byte 0: it is the manifest of generation {} and tick {}",
                manifest.facts.generation, manifest.facts.tick
            )));
        }
        Ok(manifest)
    }

    /// The kept state of a uid.
    pub fn kept(&self, uid: &str) -> Option<&KeptState> {
        self.kept.iter().find(|kept| kept.uid == uid)
    }

    /// The names of all segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().flat_map(|kept| kept.segments.iter().map(|s| s.name.as_str()))
    }
}
