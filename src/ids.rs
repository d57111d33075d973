//! The numbers that name things: ticks, generations, inlets, lanes. No I/O and no data.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Logical time of the system: gap-free, agreed by all workers. The first tick of a job is 1; 0 is "nothing yet".
pub type Tick = u64;

/// How often a row is in a table; negative in a change that takes it away.
pub type Diff = isize;

/// One incarnation of a job's leader. Greater is newer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A number drawn at random by whoever writes a record, so that a repeated or foreign one is recognised.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nonce(pub u64);

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Serialize for Nonce {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{self:?}"))
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map(Nonce).map_err(serde::de::Error::custom)
    }
}

/// A source partition's dense number in the job, given once and written in the tick log.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Inlet(pub u16);

impl Inlet {
    /// The greatest one.
    pub const MAX: Inlet = Inlet((1 << 15) - 1);
}

/// A writer of a sink: one transactional id, one progress partition. Fixed for the sink's life.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Lane(pub u16);

/// Where a record stands: inlet in the upper 16 bits, offset in the lower 48. Ordered as (inlet, offset); what is derived stands
/// behind all inlets, by its event time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pos(pub u64);

impl Pos {
    /// The greatest offset that a position holds: 2^48 - 1.
    pub const OFFSET_MAX: u64 = (1 << 48) - 1;

    /// The position of `offset` in `inlet`.
    ///
    /// # Panics
    /// If `offset` is beyond [`Pos::OFFSET_MAX`] or the inlet beyond [`Inlet::MAX`]; both are refused before they come here.
    pub fn new(inlet: Inlet, offset: u64) -> Pos {
        assert!(offset <= Self::OFFSET_MAX, "offset {offset} does not fit a position");
        assert!(inlet <= Inlet::MAX, "inlet {} does not fit a position", inlet.0);
        Pos(u64::from(inlet.0) << 48 | offset)
    }

    /// The position of what is derived and has event time `at` in microseconds: it grows with the event time, whatever tick it comes at.
    pub fn derived(at: i64) -> Pos {
        const HALF: i64 = 1 << 62;
        Pos(1 << 63 | (at.clamp(-HALF, HALF - 1) + HALF).unsigned_abs())
    }

    /// The inlet.
    pub fn inlet(self) -> Inlet {
        Inlet((self.0 >> 48) as u16)
    }

    /// The offset in the inlet.
    pub fn offset(self) -> u64 {
        self.0 & Self::OFFSET_MAX
    }
}

impl fmt::Debug for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.inlet().0, self.offset())
    }
}
