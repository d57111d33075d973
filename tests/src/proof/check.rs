//! The whole output against the oracle: what the topics hold up to each committed tick is what is right for exactly its input.

use super::facts::Facts;
use crate::client::Record;
use crate::{Failure, Result};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use tidemark_oracle::{Event, Oracle, Output, Row, Rules};

/// The header that says to which tick a row belongs.
pub const TICK_HEADER: &str = "tidemark-tick";

/// One record of an output topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The tick.
    pub tick: u64,
    /// The row.
    pub row: Row,
    /// 1 or -1.
    pub diff: i64,
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Ticks at which counts, late bids, join and top were compared.
    pub ticks: usize,
    /// Ticks at which components were.
    pub component_ticks: usize,
    /// Records of all topics.
    pub records: usize,
    /// Closed windows' rows.
    pub closed: usize,
    /// Late bids.
    pub late: usize,
    /// Retractions.
    pub retractions: usize,
}

/// The changes that the records of one topic tell, in the order of ticks; `records` by partition and offset.
///
/// # Errors
/// If a record is not as documented, ticks go back within a partition, a row is retracted that is not there, or a key has two
/// rows at any point of its partition.
pub fn changes(output: Output, records: &[Record]) -> Result<Vec<Change>> {
    let mut changes = Vec::with_capacity(records.len());
    let mut newest: BTreeMap<i32, u64> = BTreeMap::new();
    let mut there: BTreeMap<(i64, u64), Row> = BTreeMap::new();
    let mut tops: BTreeSet<Row> = BTreeSet::new();
    for record in records {
        let wrong = |what: &str| {
            let place = format!("{}/{}@{}", record.topic, record.partition, record.offset);
            Failure(format!("{place}: {what}: {}", record.text().unwrap_or("no text")))
        };
        let tick = record.header(TICK_HEADER).and_then(|tick| tick.parse().ok());
        let tick: u64 = tick.ok_or_else(|| wrong("no header tidemark-tick"))?;
        let (row, diff) = output.read(record.text()?).map_err(|what| wrong(&what))?;
        let before = newest.insert(record.partition, tick);
        if before.is_some_and(|before| before > tick) {
            return Err(wrong(&format!("tick {tick} after tick {}", before.unwrap_or_default())));
        }
        let fits = match (&row, key(&row)) {
            (_, Some(key)) => match (there.entry(key), diff) {
                (Entry::Vacant(entry), 1) => {
                    entry.insert(row.clone());
                    true
                }
                (Entry::Occupied(entry), -1) if *entry.get() == row => {
                    entry.remove();
                    true
                }
                _ => false,
            },
            (Row::Top { .. }, None) if diff == 1 => tops.insert(row.clone()),
            (Row::Top { .. }, None) => tops.remove(&row),
            (_, None) => diff == 1,
        };
        if !fits {
            return Err(wrong("a row that is there already, or is taken away and not there"));
        }
        changes.push(Change { tick, row, diff });
    }
    // Stable: within a tick and partition the order stays.
    changes.sort_by_key(|change| change.tick);
    Ok(changes)
}

/// The key of rows of which a topic holds one at a time. Closed windows come once, so their key has one row for ever.
fn key(row: &Row) -> Option<(i64, u64)> {
    match row {
        Row::Live { start, auction, .. } | Row::Closed { start, auction, .. } => {
            Some((*start, *auction))
        }
        Row::Joined { auction, .. } => Some((0, *auction)),
        Row::Component { node, .. } => Some((0, *node)),
        Row::Late { .. } | Row::Top { .. } => None,
    }
}

/// Compares at every tick of `facts`, components only at `component_ticks`. `event` gives the event at (partition, offset).
///
/// # Errors
/// At the first tick at which anything is missing, twice, or wrong; names the tick and the rows. Also if a watermark is beyond
/// what the input allows, or there are rows behind the last tick.
pub fn compare(
    rules: Rules,
    event: impl Fn(u64, u64) -> Event,
    facts: &BTreeMap<u64, Facts>,
    outputs: &BTreeMap<Output, Vec<Change>>,
    component_ticks: &BTreeSet<u64>,
) -> Result<Compared> {
    let partitions = facts.values().next().map_or(0, |facts| facts.offsets.len());
    let mut oracle = Oracle::new(rules, partitions);
    let mut cursors: BTreeMap<Output, &[Change]> =
        outputs.iter().map(|(output, changes)| (*output, changes.as_slice())).collect();
    let mut open: BTreeMap<Row, i64> = BTreeMap::new();
    let mut components: BTreeMap<u64, u64> = BTreeMap::new();
    let mut compared = Compared::default();
    for (tick, facts) in facts {
        for (partition, end) in facts.offsets.iter().enumerate() {
            let number = u64::try_from(partition).expect("few partitions");
            while oracle.next(partition) < *end {
                oracle.take(partition, event(number, oracle.next(partition)));
            }
        }
        if facts.watermark.is_some() && facts.watermark > oracle.watermark_limit() {
            let limit = oracle.watermark_limit();
            let watermark = facts.watermark;
            return Err(Failure(format!("tick {tick}: watermark {watermark:?} beyond {limit:?}")));
        }
        for (row, diff) in oracle.settle(facts.watermark) {
            owe(&mut open, row, diff);
        }
        for cursor in cursors.values_mut() {
            while let Some((change, rest)) = cursor.split_first()
                && change.tick <= *tick
            {
                *cursor = rest;
                compared.note(change);
                match change.row {
                    Row::Component { node, label } if change.diff == 1 => {
                        components.insert(node, label);
                    }
                    // The label's order was looked at in `changes`: a retraction comes before the new label.
                    Row::Component { node, .. } => drop(components.remove(&node)),
                    _ => owe(&mut open, change.row.clone(), -change.diff),
                }
            }
        }
        if !open.is_empty() {
            return Err(wrong(*tick, facts, &open));
        }
        compared.ticks += 1;
        if component_ticks.contains(tick) {
            let right = oracle.components();
            if components != right {
                return Err(wrong_components(*tick, &components, &right));
            }
            compared.component_ticks += 1;
        }
    }
    for (output, left) in cursors {
        if let Some(change) = left.first() {
            let topic = output.topic();
            return Err(Failure(format!("{topic} has {change:?}, a tick without any progress")));
        }
    }
    Ok(compared)
}

impl Compared {
    fn note(&mut self, change: &Change) {
        self.records += 1;
        self.retractions += usize::from(change.diff < 0);
        match change.row {
            Row::Closed { .. } => self.closed += 1,
            Row::Late { .. } => self.late += 1,
            _ => {}
        }
    }
}

impl std::fmt::Display for Compared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Compared { ticks, component_ticks, records, closed, late, retractions } = self;
        write!(
            f,
            "equal to the oracle at all {ticks} committed ticks, components at {component_ticks}: {records} records, \
             {retractions} of them retractions, {closed} rows of closed windows, {late} late bids"
        )
    }
}

fn owe(open: &mut BTreeMap<Row, i64>, row: Row, diff: i64) {
    match open.entry(row) {
        Entry::Vacant(entry) => drop(entry.insert(diff)),
        Entry::Occupied(mut entry) => {
            *entry.get_mut() += diff;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

fn wrong(tick: u64, facts: &Facts, open: &BTreeMap<Row, i64>) -> Failure {
    let mut text = format!("tick {tick} ({facts:?}) is wrong in {} rows:", open.len());
    for (row, diff) in open.iter().take(10) {
        let what = if *diff > 0 { "missing" } else { "too many" };
        text.push_str(&format!("\n  {} {what}: {row:?}", diff.abs()));
    }
    Failure(text)
}

fn wrong_components(tick: u64, found: &BTreeMap<u64, u64>, right: &BTreeMap<u64, u64>) -> Failure {
    let nodes: BTreeSet<&u64> = found.keys().chain(right.keys()).collect();
    let wrong = nodes.into_iter().filter(|node| found.get(node) != right.get(node));
    let wrong: Vec<_> = wrong.map(|node| (node, found.get(node), right.get(node))).collect();
    let count = wrong.len();
    let first = &wrong[..count.min(10)];
    Failure(format!("tick {tick}: {count} components are wrong; (node, found, right): {first:?}"))
}

#[cfg(test)]
mod tests;
