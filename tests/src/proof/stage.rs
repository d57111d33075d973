//! What surrounds an engine that runs the proof's dataflow: topics, configuration, input, what was read live, and the judgement of
//! everything that was written. It starts and kills nothing.

use super::check::{self, Compared};
use super::facts::{self, Facts};
use super::pacer::Pacer;
use super::{DATAFLOW, PARTITIONS, SOURCE};
use crate::broker::Broker;
use crate::client::Client;
use crate::engine::Launch;
use crate::follow::Follower;
use crate::progress::{self, Progress};
use crate::ticklog::Counted;
use crate::{Failure, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidemark_oracle::{Generator, Output, Random, Rules};

/// The topic of the tick log, if it is one.
const LOG_TOPIC: &str = "proof-ticks";

/// The surroundings of the proof's dataflow.
pub struct Stage {
    /// A client of the broker.
    pub client: Client,
    /// Writes the input.
    pub pacer: Pacer,
    /// What all sinks said of their progress, read live.
    pub progress: Follower<Progress>,
    /// The folder of state.
    pub state: PathBuf,
    config: PathBuf,
    seed: u64,
    generator: Generator,
    events: u64,
    log_on_kafka: bool,
}

impl Stage {
    /// Makes topics and configuration (in `folder`) for `events` events of `seed`, `per_second` at most. With `log_on_kafka` the tick
    /// log is a topic, else a file.
    ///
    /// # Errors
    /// If the broker refuses something.
    pub fn new(
        broker: &Broker,
        folder: &Path,
        seed: u64,
        (events, per_second): (u64, u64),
        log_on_kafka: bool,
    ) -> Result<Stage> {
        let client = Client::new(broker.bootstrap());
        let partitions = i32::try_from(PARTITIONS).expect("few partitions");
        client.create_topic(Output::INPUT_TOPIC, partitions, &[])?;
        for output in Output::ALL {
            client.create_topic(output.topic(), 2, &[])?;
        }
        let config = folder.join("proof.toml");
        std::fs::write(&config, settings(&broker.bootstrap(), log_on_kafka))?;
        let generator = Generator::new(seed, PARTITIONS as u64);
        Ok(Stage {
            pacer: Pacer::start(&client, generator, events, per_second)?,
            progress: progress::follow(&client, DATAFLOW, &Output::ALL.map(Output::sink))?,
            client,
            state: folder.join("state"),
            config,
            seed,
            generator,
            events,
            log_on_kafka,
        })
    }

    /// How to start the engine here.
    pub fn launch(&self, workers: usize) -> Launch {
        let mut launch = Launch::new(DATAFLOW, workers, &self.state);
        launch.config = Some(self.config.clone());
        launch
    }

    /// What an event of the input is.
    pub fn event(&self, partition: u64, offset: u64) -> tidemark_oracle::Event {
        self.generator.event(partition, offset)
    }

    /// Lets all input come and waits until every sink has committed it, at most `limit`.
    ///
    /// # Errors
    /// If it is not committed in time.
    pub fn finish_input(&self, limit: Duration) -> Result<()> {
        self.pacer.allow(self.events);
        self.pacer.wait(self.events)?;
        self.committed(self.events, limit)
    }

    /// Waits until some sink has committed the first `events` events, at most `limit`.
    ///
    /// # Errors
    /// If that does not happen in time.
    pub fn committed(&self, events: u64, limit: Duration) -> Result<()> {
        let end = events / PARTITIONS as u64;
        let there = |progress: &Progress| {
            let offsets = progress.offsets(SOURCE, PARTITIONS);
            offsets.is_ok_and(|all| all.iter().all(|next| *next >= end))
        };
        let found = self.progress.wait(0, limit, there);
        found.map(drop).map_err(|failure| failure.at(format!("{events} events committed")))
    }

    /// What counts in the tick log at present.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn counted(&self) -> Result<Counted> {
        if self.log_on_kafka {
            if !self.client.topics()?.contains(LOG_TOPIC) {
                return Ok(Counted::default());
            }
            let records = self.client.read_committed(LOG_TOPIC)?;
            return Counted::of(records.iter().filter_map(|record| record.value.as_deref()));
        }
        match find(&self.state, "tick.log")? {
            Some(log) => Counted::read(&std::fs::read(&log)?).map_err(|f| f.at(log.display())),
            None => Ok(Counted::default()),
        }
    }

    /// What is known of each committed tick.
    ///
    /// # Errors
    /// If two sinks disagree, or a lane goes back.
    pub fn facts(&self, limit: Duration) -> Result<BTreeMap<u64, Facts>> {
        facts::facts(&self.all_progress(limit)?)
    }

    /// Reads everything that was written and compares it with the oracle: components at the ticks around restarts and at
    /// `component_ticks` more, all else at every committed tick.
    ///
    /// # Errors
    /// At the first difference.
    pub fn compare(&self, component_ticks: usize, limit: Duration) -> Result<Compared> {
        let facts = self.facts(limit)?;
        let end = self.events / PARTITIONS as u64;
        match facts.last_key_value() {
            Some((_, last)) if last.offsets.iter().all(|next| *next == end) => {}
            last => return Err(Failure(format!("the last tick is {last:?}, not at {end}"))),
        }
        for (partition, end) in (0..).zip([end; PARTITIONS]) {
            let (_, written) = self.client.watermarks(Output::INPUT_TOPIC, partition)?;
            if u64::try_from(written) != Ok(end) {
                return Err(Failure(format!(
                    "partition {partition} has {written} records of input"
                )));
            }
        }
        let mut outputs = BTreeMap::new();
        for output in Output::ALL {
            let records = self.client.read_committed(output.topic())?;
            outputs.insert(output, check::changes(output, &records)?);
        }
        let ticks = self.component_ticks(&facts, component_ticks);
        let event = |partition, offset| self.generator.event(partition, offset);
        check::compare(Rules::default(), event, &facts, &outputs, &ticks)
    }

    /// The progress that was read live, once it has come to the end of its topics.
    fn all_progress(&self, limit: Duration) -> Result<Vec<Progress>> {
        for output in Output::ALL {
            let records = self.client.read_committed(&progress::topic(DATAFLOW, output.sink()))?;
            let all: Vec<_> = records.iter().map(Progress::read).collect::<Result<_>>()?;
            if let Some(last) = all.into_iter().flatten().last() {
                self.progress.wait(0, limit, |progress| *progress == last)?;
            }
        }
        self.progress.since(0)
    }

    /// The last tick before and the first after each restart, and `more`.
    fn component_ticks(&self, facts: &BTreeMap<u64, Facts>, more: usize) -> BTreeSet<u64> {
        let pairs = facts.iter().zip(facts.iter().skip(1));
        let restarts = pairs.filter(|((_, a), (_, b))| a.generation != b.generation);
        let mut ticks: BTreeSet<u64> =
            restarts.flat_map(|((before, _), (after, _))| [*before, *after]).collect();
        let all: Vec<u64> = facts.keys().copied().collect();
        let mut random = Random::of(self.seed, &[2]);
        let wanted = (ticks.len() + more).min(all.len());
        while ticks.len() < wanted {
            let place = random.below(all.len() as u64);
            ticks.insert(all[usize::try_from(place).expect("below a length")]);
        }
        ticks
    }
}

/// The engine's configuration beside what the dataflow says.
fn settings(bootstrap: &str, log_on_kafka: bool) -> String {
    let mut text = format!(
        "[connection.kafka]\n\"bootstrap.servers\" = \"{bootstrap}\"\n\n\
         [snapshots]\ninterval = \"1s\"\n\n[source.{SOURCE}]\nidle = \"1h\"\n"
    );
    if log_on_kafka {
        text.push_str(&format!(
            "\n[log]\nkind = \"kafka\"\nconnection = \"kafka\"\ntopic = \"{LOG_TOPIC}\"\nreplication = 1\n"
        ));
    }
    for output in Output::ALL {
        text.push_str(&format!("\n[sink.{}]\nreplication = 1\n", output.sink()));
    }
    text
}

/// The file of this name in a folder or below it.
fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    if !folder.exists() {
        return Ok(None);
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if let Some(found) = find(&path, name)? {
                return Ok(Some(found));
            }
        } else if path.file_name().is_some_and(|file| file == name) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
