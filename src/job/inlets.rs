//! Where every partition stands, as the ranges say. A function of the counted records alone.

use crate::error::{Error, Kind, Result};
use crate::ids::{Inlet, Tick};
use crate::sources::Partition;
use crate::state::manifest::InletState;
use crate::ticks::record::{Activity, InletDecl, Range};
use crate::ticks::watermarks::{PartitionTime, hold};
use std::collections::BTreeMap;

/// Where every partition stands.
pub(crate) struct Inlets {
    inlets: BTreeMap<Inlet, InletState>,
    lags: BTreeMap<String, i64>,
}

impl Inlets {
    pub(crate) fn new(at: &[InletState], lags: &BTreeMap<String, i64>) -> Inlets {
        let inlets = at.iter().map(|inlet| (inlet.decl.inlet, inlet.clone())).collect();
        Inlets { inlets, lags: lags.clone() }
    }

    /// The number of a partition.
    pub(crate) fn number(&self, source: &str, partition: &str) -> Option<Inlet> {
        let same = |at: &&InletState| at.decl.source == source && at.decl.partition == partition;
        self.inlets.values().find(same).map(|at| at.decl.inlet)
    }

    /// The declaration of a partition that is new: with the next number. It is not added.
    pub(crate) fn declare(
        &mut self,
        source: &str,
        found: &Partition,
        identity: Option<String>,
    ) -> Option<InletDecl> {
        if self.number(source, &found.name).is_some() {
            return None;
        }
        let next = self.inlets.last_key_value().map_or(0, |(last, _)| last.0 + 1);
        let decl = InletDecl {
            inlet: Inlet(next),
            source: source.to_owned(),
            partition: found.name.clone(),
            start: found.start,
            identity,
        };
        self.add(&decl);
        Some(decl)
    }

    /// Adds a declared partition.
    pub(crate) fn add(&mut self, decl: &InletDecl) {
        self.inlets.entry(decl.inlet).or_insert_with(|| InletState {
            decl: decl.clone(),
            next: decl.start,
            event_time_max: None,
            activity: Activity::Active,
        });
    }

    /// Takes over what was read.
    pub(crate) fn apply(&mut self, ranges: &[Range]) {
        for range in ranges {
            if let Some(at) = self.inlets.get_mut(&range.inlet) {
                at.next = range.to;
                at.event_time_max = range.event_time_max;
                at.activity = range.activity;
            }
        }
    }

    /// Compares what was read again with what the log says.
    ///
    /// # Errors
    /// `SourceChanged`, naming source (and as `describe` does), partition, range, what was expected and what was found.
    pub(crate) fn verify(
        &self,
        tick: Tick,
        recorded: &[Range],
        found: &[Range],
        describe: impl Fn(&str) -> String,
    ) -> Result<()> {
        for expected in recorded {
            let read = found.iter().find(|range| range.inlet == expected.inlet);
            let same = match read {
                Some(range) => {
                    (range.to, range.records, range.checksum)
                        == (expected.to, expected.records, expected.checksum)
                }
                None => expected.records == 0,
            };
            if same {
                continue;
            }
            let place = self.inlets.get(&expected.inlet).map(|at| &at.decl);
            let (source, partition) = place.map_or(("?", "?"), |d| (&d.source, &d.partition));
            let found = read.map_or_else(
                || "nothing".to_owned(),
                |r| {
                    format!(
                        "{} records up to {} with checksum {:016x}",
                        r.records, r.to, r.checksum
                    )
                },
            );
            let outside = describe(source);
            return Err(Error::new(
                Kind::SourceChanged,
                format!(
                    "source {source} ({outside}), partition {partition}: tick {tick} read offsets {}..{}, {} records with checksum {:016x}; read \
                     again they are {found}. The source has changed (compacted, truncated or written anew): restore it, or start \
                     from a snapshot at or above tick {tick}",
                    expected.from, expected.to, expected.records, expected.checksum
                ),
            ));
        }
        Ok(())
    }

    fn times(&self, source: &str, lag: i64) -> Vec<(Inlet, PartitionTime)> {
        let of = self.inlets.values().filter(|at| at.decl.source == source);
        let time = |at: &InletState| PartitionTime {
            event_time_max: at.event_time_max,
            lag,
            activity: at.activity,
        };
        of.map(|at| (at.decl.inlet, time(at))).collect()
    }

    /// The watermark of each source with event time that has one, given the current ones.
    pub(crate) fn watermarks(&self, current: impl Fn(&str) -> Option<i64>) -> Vec<(String, i64)> {
        let of = |(source, lag): (&String, &i64)| {
            let times: Vec<_> =
                self.times(source, *lag).into_iter().map(|(_, time)| time).collect();
            Some((source.clone(), hold(&times, current(source)).watermark?))
        };
        self.lags.iter().filter_map(of).collect()
    }

    /// The partition that holds a source's watermark.
    pub(crate) fn holder(&self, source: &str) -> Option<&InletState> {
        let times = self.times(source, *self.lags.get(source)?);
        let all: Vec<_> = times.iter().map(|(_, time)| *time).collect();
        let held_by = hold(&all, None).held_by?;
        self.inlets.get(&times[held_by].0)
    }

    /// Source -> partition -> next offset.
    pub(crate) fn next_offsets(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut offsets: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for at in self.inlets.values() {
            let of_source = offsets.entry(at.decl.source.clone()).or_default();
            of_source.insert(at.decl.partition.clone(), at.next);
        }
        offsets
    }

    /// What a manifest says of them.
    pub(crate) fn states(&self) -> Vec<InletState> {
        self.inlets.values().cloned().collect()
    }

    /// The source of a partition.
    pub(crate) fn source(&self, inlet: Inlet) -> Option<&str> {
        self.inlets.get(&inlet).map(|at| at.decl.source.as_str())
    }

    /// The sources with event time.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &String> {
        self.lags.keys()
    }

    /// The event time to which a partition has come, less its source's lag, in microseconds.
    pub(crate) fn stamp(&self, at: &InletState) -> Option<i64> {
        let lag = self.lags.get(&at.decl.source)?;
        Some(at.event_time_max?.saturating_sub(*lag))
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &InletState> + Clone {
        self.inlets.values()
    }

    /// Whether every partition is at its end and the watermarks that were decided say so too.
    pub(crate) fn all_finished(
        &self,
        lags: &BTreeMap<String, i64>,
        decided: &BTreeMap<String, i64>,
    ) -> bool {
        !self.inlets.is_empty()
            && self.inlets.values().all(|at| at.activity == Activity::Finished)
            && lags.keys().all(|source| decided.get(source) == Some(&i64::MAX))
    }
}
