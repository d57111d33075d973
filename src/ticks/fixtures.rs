//! Short ways to records, for tests. What a test does not say is empty.

use super::record::{
    Activity, Decision, DropRecord, InletDecl, Open, Range, Record, SinkDecl, SkipRecord,
    SnapshotRecord, StateRecord, TickRecord,
};
use crate::ids::{Generation, Inlet, Nonce, Tick};
use std::collections::BTreeMap;

/// A live sink with no address.
pub(crate) fn sink(name: &str, lanes: u16, first_tick: Tick) -> SinkDecl {
    SinkDecl {
        name: name.into(),
        lanes,
        first_tick,
        live: true,
        address: BTreeMap::new(),
        image: None,
    }
}

/// The same sink, removed.
pub(crate) fn gone(sink: SinkDecl) -> SinkDecl {
    SinkDecl { live: false, ..sink }
}

/// The open of a generation of program "one" with these sinks.
pub(crate) fn open_with(generation: u64, sinks: Vec<SinkDecl>) -> Open {
    Open {
        generation: Generation(generation),
        nonce: Nonce(generation),
        log_id: Nonce(77),
        program: "one".into(),
        base: None,
        dropped: BTreeMap::new(),
        sinks,
    }
}

/// The open of a generation of program "one" without sinks.
pub(crate) fn open(generation: u64) -> Record {
    Record::Open(open_with(generation, vec![]))
}

/// The open of a generation of another program.
pub(crate) fn open_program(generation: u64, program: &str, base: Option<Tick>) -> Record {
    Record::Open(Open { program: program.into(), base, ..open_with(generation, vec![]) })
}

/// A tick without ranges.
pub(crate) fn tick(generation: u64, tick: Tick) -> Record {
    let decision = Decision {
        tick,
        wall: 0,
        watermarks: BTreeMap::new(),
        snapshot: false,
        inlets: vec![],
        commands: vec![],
    };
    Record::Tick(TickRecord { generation: Generation(generation), decision, ranges: vec![] })
}

/// A tick at which partitions appear and ranges are read.
pub(crate) fn reads(
    generation: u64,
    at: Tick,
    inlets: Vec<InletDecl>,
    ranges: Vec<Range>,
) -> Record {
    let Record::Tick(tick) = tick(generation, at) else { unreachable!("a tick is one") };
    let decision = Decision { inlets, ..tick.decision };
    Record::Tick(TickRecord { decision, ranges, ..tick })
}

/// So many records read of an active partition without event time.
pub(crate) fn range(inlet: u16, from: u64, to: u64) -> Range {
    Range {
        inlet: Inlet(inlet),
        from,
        to,
        records: to - from,
        checksum: 0,
        event_time_max: None,
        rejected: 0,
        activity: Activity::Active,
    }
}

/// A partition with its number.
pub(crate) fn inlet(number: u16, source: &str, partition: &str, start: u64) -> InletDecl {
    let (inlet, source, partition) = (Inlet(number), source.into(), partition.into());
    InletDecl { inlet, source, partition, start, identity: None }
}

/// A snapshot, a savepoint if it has a name.
pub(crate) fn snapshot_record(
    generation: u64,
    tick: Tick,
    savepoint: Option<&str>,
) -> SnapshotRecord {
    SnapshotRecord {
        generation: Generation(generation),
        tick,
        manifest: format!("{generation}-{tick}"),
        savepoint: savepoint.map(String::from),
    }
}

/// A snapshot's record.
pub(crate) fn snapshot(generation: u64, tick: Tick) -> Record {
    Record::Snapshot(snapshot_record(generation, tick, None))
}

/// A savepoint's record.
pub(crate) fn savepoint(generation: u64, tick: Tick, name: &str) -> Record {
    Record::Snapshot(snapshot_record(generation, tick, Some(name)))
}

/// Gives snapshots up.
pub(crate) fn drop_below(generation: u64, below: Tick) -> Record {
    drop_savepoints(generation, below, &[])
}

/// Gives snapshots and savepoints up.
pub(crate) fn drop_savepoints(generation: u64, below: Tick, names: &[&str]) -> Record {
    let savepoints = names.iter().map(|n| String::from(*n)).collect();
    Record::Drop(DropRecord { generation: Generation(generation), below, savepoints })
}

/// A record of source `clicks`, partition 0, left out of a tick, or once it is read.
pub(crate) fn skip(generation: u64, tick: Option<Tick>, offset: u64) -> Record {
    let (source, partition) = ("clicks".into(), "0".into());
    Record::Skip(SkipRecord { generation: Generation(generation), tick, source, partition, offset })
}

/// A state without snapshots and inlets.
pub(crate) fn state(generation: u64, tick: Tick) -> Record {
    Record::State(StateRecord {
        generation: Generation(generation),
        open: open_with(generation, vec![]),
        tick,
        snapshots: vec![],
        inlets: vec![],
        skips: vec![],
    })
}
