//! `tidemark replay`: a tick of the job run again beside it, and the record that makes it panic. It reads configuration, log, store and
//! sources; it writes nothing but what it tells.

use super::connectors::{Configured, kafka_log};
use super::run::{local, log_file, open_store, options, sink_options, source_options};
use crate::config::{self, Settings};
use crate::error::{Error, Kind, Result};
use crate::flow::Build;
use crate::formats::excerpt;
use crate::ids::{Inlet, Tick};
use crate::job::bisect::{self, Next};
use crate::job::engine::{self, Connectors};
use crate::job::replay::{Outcome, Rerun, Shadow, is_outside};
use crate::job::skip::Place;
use crate::job::{deaths, panics};
use crate::sources::{Budget, Polled, Transport};
use crate::state::store::Store;
use crate::ticks::counts::Position;
use crate::ticks::log::Log;
use crate::ticks::log::file::FileLog;
use crate::ticks::log::store::StoreLog;
use crate::ticks::record::Record;
use crate::time::clock;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The most of a record that is shown, in bytes.
const EXCERPT_BYTES: usize = 200;
/// How long a source may give nothing until what it has given is all.
const SILENCE: Duration = Duration::from_secs(10);

/// A record of the tick.
struct Suspect {
    place: Place,
    excerpt: String,
}

/// Of a partition: its source and name, from where, and up to where or to its present end.
type Wanted = (String, String, u64, Option<u64>);

/// Runs a tick again: what there is to tell, and whether it gets through.
pub(super) fn replay(
    build: Build,
    name: &str,
    settings: &Settings,
    tick: Option<Tick>,
) -> Result<(String, bool)> {
    panics::install();
    let plan = engine::plan(build, source_options(settings)?, sink_options(settings))?;
    let options = options(name, &plan, settings)?;
    let store = existing(settings)?;
    let outsides = Arc::new(Configured { settings: settings.clone() });
    let log = read_log(settings, &store, &outsides)?;
    let tick = match tick {
        Some(tick) => tick,
        None => deaths::newest(&store)?.map(|death| death.tick).ok_or_else(|| {
            Error::config("no generation of this job has ended by a panic; name a tick: --tick T")
        })?,
    };
    let shadow = Shadow::of(&log, tick, &store)?;
    let mut sources = Vec::new();
    for source in &plan.sources {
        let transport = outsides.source(source)?;
        if !shadow.counter.inlets().is_empty() {
            transport.resumed();
        }
        sources.push((source.name.clone(), transport));
    }
    let wanted = wanted(&shadow, &sources)?;
    let most = if shadow.record.is_some() { usize::MAX } else { options.budget.records };
    let (suspects, ends) = read(&sources, &wanted, most)?;
    let mut text = heading(&shadow, &options.job, settings, &wanted, &suspects, &ends);
    let ends = ends.into_iter().map(|(source, partition, _, to)| (source, partition, to)).collect();
    let (plan, options, shadow) = (&plan, &options, &shadow);
    let rerun = Rerun { build, plan, options, connectors: outsides, shadow, ends };
    match rerun.run(&[])? {
        Outcome::Through(rows, time) => {
            let _ = writeln!(text, "tick {tick} gets through, in {time:.1?}");
            for (sink, rows) in rows {
                let _ = writeln!(text, "  sink {sink}: {rows} rows");
            }
            return Ok((text, true));
        }
        Outcome::Failed(error) => return Err(error.at(format_args!("tick {tick}"))),
        Outcome::Died(death) if death.tick != tick => {
            return Err(Error::new(
                Kind::Input,
                format!(
                    "tick {} panics, before tick {tick}: {}; name it with --tick",
                    death.tick, death.told
                ),
            ));
        }
        Outcome::Died(death) => {
            let _ = writeln!(text, "tick {tick} panics: {}", death.told);
        }
    }
    text += &blame(&rerun, &suspects)?;
    Ok((text, false))
}

/// Looks for the record that is to blame.
fn blame(rerun: &Rerun<'_>, suspects: &[Suspect]) -> Result<String> {
    let mut trials = Vec::new();
    let found = loop {
        let left_out = match bisect::next(suspects.len(), &trials) {
            Next::Try(left_out) => left_out,
            found => break found,
        };
        let places: Vec<_> = suspects[left_out.clone()].iter().map(|s| &s.place).collect();
        let through = match rerun.run(&places)? {
            Outcome::Through(..) => true,
            Outcome::Failed(error) if is_outside(&error) => return Err(error),
            Outcome::Failed(_) | Outcome::Died(_) => false,
        };
        tracing::info!(
            "without records {left_out:?} it {}",
            if through { "gets through" } else { "does not get through" }
        );
        trials.push((left_out, through));
    };
    let tried =
        format!("found by running the tick {} times without some of its records", trials.len());
    Ok(match found {
        Next::Blame(guilty) => {
            let Suspect { place, excerpt } = &suspects[guilty];
            let Place { source, partition, offset } = place;
            format!(
                "it gets through without one record ({tried}):\n  {place}: {excerpt}\n\
                 to leave it out, once and for all:\n  tidemark skip {} {} {offset}\n",
                quoted(source),
                quoted(partition)
            )
        }
        Next::Several(range) => format!(
            "no single record is to blame: it gets through without {} of them, but not without one half or the other ({tried})\n",
            range.len()
        ),
        Next::Earlier | Next::Try(_) => {
            "no record of this tick is to blame: it panics without all of them too. What it meets is in the state that ticks before it left, or in the \
             watermark; mend the program\n"
                .to_owned()
        }
    })
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

type Ends = Vec<(String, String, u64, u64)>;

fn heading(
    shadow: &Shadow,
    job: &str,
    settings: &Settings,
    wanted: &[Wanted],
    suspects: &[Suspect],
    ends: &Ends,
) -> String {
    let tick = shadow.tick;
    let begin = match shadow.from {
        0 => "from the beginning of the log".to_owned(),
        from => format!("from the snapshot of tick {from}"),
    };
    let mut text = format!(
        "job {job}, state in {}: tick {tick} is run again {begin}, beside the job\n",
        settings.state
    );
    if shadow.record.is_none() {
        text += "the tick is not in the log, it comes next: it reads what its sources have now\n";
    }
    for ((source, partition, from, _), (_, _, _, to)) in wanted.iter().zip(ends) {
        let of = |s: &&Suspect| s.place.source == *source && s.place.partition == *partition;
        let records = suspects.iter().filter(of).count();
        if records > 0 {
            let _ = writeln!(
                text,
                "  source {source}, partition {partition}: offsets {from}..{to}, {records} records"
            );
        }
    }
    text
}

/// What the tick reads of each partition.
fn wanted(shadow: &Shadow, sources: &[(String, Arc<dyn Transport>)]) -> Result<Vec<Wanted>> {
    let mut wanted: Vec<Wanted> = Vec::new();
    if let Some(record) = &shadow.record {
        for range in &record.ranges {
            let decls = shadow.counter.inlets().iter();
            for decl in decls.filter(|decl| decl.inlet == range.inlet) {
                let (source, partition) = (decl.source.clone(), decl.partition.clone());
                wanted.push((source, partition, range.from, Some(range.to)));
            }
        }
        for (_, transport) in sources {
            transport.discover()?;
        }
        return Ok(wanted);
    }
    let known = shadow.offsets()?;
    for (source, transport) in sources {
        for found in transport.discover()? {
            let at = known.iter().find(|(s, p, _)| s == source && *p == found.name);
            let from = at.map_or(found.start, |(_, _, next)| *next);
            wanted.push((source.clone(), found.name, from, None));
        }
    }
    Ok(wanted)
}

/// Reads these places, at most so many records where no end is given: each record, and where each partition was read to.
fn read(
    sources: &[(String, Arc<dyn Transport>)],
    wanted: &[Wanted],
    most: usize,
) -> Result<(Vec<Suspect>, Ends)> {
    let (mut suspects, mut ends) = (Vec::new(), Ends::new());
    for (place, (source, partition, from, to)) in wanted.iter().enumerate() {
        let mut end = *from;
        let transport = sources.iter().find(|(name, _)| name == source);
        if let (Some((_, transport)), true) = (transport, to.is_none_or(|to| to > *from)) {
            let inlet = Inlet(u16::try_from(place).unwrap_or(u16::MAX));
            let mut reader = transport.open(Arc::new(|| {}))?;
            reader.assign(inlet, partition, *from)?;
            let mut quiet = clock::instant();
            loop {
                let before = end;
                let records = most.saturating_sub(suspects.len()).min(4096);
                if records == 0 {
                    break;
                }
                let budget = Budget { records, bytes: 16 << 20 };
                let polled = reader.poll(inlet, to.unwrap_or(u64::MAX), budget, &mut |raw| {
                    end = raw.next;
                    let (source, partition) = (source.clone(), partition.clone());
                    suspects.push(Suspect {
                        place: Place { source, partition, offset: raw.offset },
                        excerpt: excerpt(raw.payload.unwrap_or_default(), EXCERPT_BYTES),
                    });
                    Ok(())
                })?;
                if end != before {
                    quiet = clock::instant();
                }
                let silent = clock::instant() - quiet >= SILENCE;
                match polled {
                    Polled::Limit | Polled::Finished => break,
                    Polled::CaughtUp if to.is_none() || silent => break,
                    Polled::Waiting | Polled::More if silent => break,
                    _ => std::thread::sleep(Duration::from_millis(1)),
                }
            }
        }
        ends.push((source.clone(), partition.clone(), *from, to.unwrap_or(end)));
    }
    Ok((suspects, ends))
}

/// The store, if there is one: looking at it makes none.
fn existing(settings: &Settings) -> Result<Store> {
    let path = local(&settings.state);
    if !path.contains("://") && !Path::new(path).is_dir() {
        return Err(Error::config(format!("state {}: there is no such directory", settings.state)));
    }
    open_store(settings)
}

/// All records of the log, which is not held meanwhile and not changed.
fn read_log(
    settings: &Settings,
    store: &Store,
    outsides: &Configured,
) -> Result<Vec<(Position, Record)>> {
    let mut log: Box<dyn Log> = match &settings.log {
        config::Log::File { path } => {
            let path = log_file(settings, path.as_deref());
            if !path.exists() {
                return Err(Error::config(format!(
                    "there is no tick log at {}: is that the job's --state? A job of `tidemark cluster` has its log in the store unless it is told \
                     otherwise: -D log.kind=store",
                    path.display()
                )));
            }
            Box::new(FileLog::read_only(path)?)
        }
        config::Log::Kafka { connection, topic, replication } => {
            kafka_log(false, outsides.connection(connection)?, topic, *replication)?
        }
        config::Log::Store => Box::new(StoreLog::existing(store.clone())?),
    };
    let mut records = Vec::new();
    log.read(&mut |position, record| {
        records.push((position, record));
        Ok(())
    })?;
    Ok(records)
}
