//! A source that changes between a crash and the restart: right answers where nothing that is needed is gone, else a refusal by name,
//! never a wrong sum.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;
use tempfile::TempDir;
use tidemark_oracle::{Generator, Output};
use tidemark_tests::broker::Broker;
use tidemark_tests::clock::Deadline;
use tidemark_tests::engine::{Engine, Launch};
use tidemark_tests::proof::PARTITIONS;
use tidemark_tests::proof::run::say;
use tidemark_tests::proof::stage::Stage;
use tidemark_tests::{Failure, Result};

const LONG: Duration = Duration::from_secs(180);
const EVENTS: u64 = 4_000;
const TOPIC: &str = Output::INPUT_TOPIC;

struct Scene {
    broker: Broker,
    _folder: TempDir,
    stage: Stage,
}

impl Scene {
    fn new(seed: u64, properties: &[(&str, &str)]) -> Result<Scene> {
        let (broker, folder) = (Broker::start_with(properties)?, tempfile::tempdir()?);
        let stage = Stage::new(&broker, folder.path(), seed, (EVENTS, 4_000), false)?;
        Ok(Scene { broker, _folder: folder, stage })
    }

    /// The engine takes snapshots only where the test says so.
    fn launch(&self) -> Launch {
        self.stage.launch(2).set("snapshots.interval", "1h")
    }

    fn lead(&self) -> Result<Engine> {
        let engine = Engine::launch(&self.launch())?;
        engine.wait_phase(0, LONG, |phase| phase.name == "leading")?;
        Ok(engine)
    }

    /// Starts the engine and gives the reason with which it refuses.
    fn refusal(&self) -> Result<String> {
        let mut engine = Engine::launch(&self.launch())?;
        let status = engine.wait(LONG)?;
        let lines = engine.stderr().since(0);
        let reason = lines.iter().find(|line| line.starts_with("error ("));
        let reason = reason.ok_or_else(|| {
            Failure(format!("it ended with {status}: {}", engine.stderr().tail(40)))
        })?;
        assert!(!status.success(), "{status}");
        say(reason);
        Ok(reason.clone())
    }

    fn input(&self, events: u64) -> Result<()> {
        self.stage.pacer.allow(events);
        self.stage.committed(events, LONG)
    }

    fn ends(&self) -> Result<Vec<i64>> {
        let partitions = 0..i32::try_from(PARTITIONS).unwrap();
        partitions.map(|n| Ok(self.stage.client.watermarks(TOPIC, n)?.1)).collect()
    }

    /// Goes on to the end of the input and compares everything.
    fn finish(&self, mut engine: Engine) -> Result<()> {
        self.stage.finish_input(LONG)?;
        assert!(engine.terminate(LONG)?.success());
        say(&self.stage.compare(5, LONG)?.to_string());
        Ok(())
    }
}

fn savepoint(engine: &Engine) -> Result<()> {
    let answer = engine.post("/api/v1/job/savepoint", r#"{"name":"here"}"#)?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    Ok(())
}

fn names_all(reason: &str, parts: &[String]) {
    for part in parts {
        assert!(reason.contains(part), "no `{part}` in: {reason}");
    }
}

#[test]
fn records_deleted_below_the_snapshot_are_not_missed_and_those_above_it_are() -> Result<()> {
    let scene = Scene::new(1, &[])?;
    let mut engine = scene.lead()?;
    scene.input(EVENTS / 4)?;
    savepoint(&engine)?;
    let kept = scene.ends()?;
    engine.kill()?;
    for (partition, end) in (0..).zip(&kept) {
        scene.stage.client.delete_records(TOPIC, partition, *end)?;
    }
    // Nothing of what lies behind the snapshot is gone.
    let mut engine = scene.lead()?;
    scene.input(EVENTS / 2)?;
    engine.kill()?;

    let (before, latest) = (kept[1] + 7, scene.ends()?[1]);
    scene.stage.client.delete_records(TOPIC, 1, before)?;
    let wanted = kept[1];
    names_all(
        &scene.refusal()?,
        &[
            format!("topic {TOPIC}"),
            "partition 1".into(),
            format!("wanted offset {wanted}"),
            format!("earliest {before}"),
            format!("latest {latest}"),
        ],
    );
    // The refusal has changed nothing: what the sinks have is right.
    scene.stage.facts(LONG).map(drop)
}

#[test]
fn after_a_deletion_below_the_snapshot_all_results_are_right() -> Result<()> {
    let scene = Scene::new(2, &[])?;
    let mut engine = scene.lead()?;
    scene.input(EVENTS / 2)?;
    savepoint(&engine)?;
    let kept = scene.ends()?;
    engine.kill()?;
    for (partition, end) in (0..).zip(&kept) {
        scene.stage.client.delete_records(TOPIC, partition, *end)?;
    }
    scene.finish(scene.lead()?)
}

#[test]
fn a_topic_made_anew_is_another_topic_however_long_it_is() -> Result<()> {
    let scene = Scene::new(3, &[])?;
    let mut engine = scene.lead()?;
    scene.input(EVENTS / 4)?;
    // Nothing need be replayed: no checksum could tell.
    savepoint(&engine)?;
    assert!(engine.terminate(LONG)?.success());

    let client = &scene.stage.client;
    client.delete_topic(TOPIC)?;
    let deadline = Deadline::after(LONG);
    let partitions = i32::try_from(PARTITIONS).unwrap();
    // A deletion is answered before it is done.
    while let Err(failure) = client.create_topic(TOPIC, partitions, &[]) {
        deadline.left().ok_or(failure)?;
        std::thread::sleep(Duration::from_millis(100));
    }
    let other = Generator::new(99, PARTITIONS as u64);
    let producer = client.producer()?;
    for number in 0..EVENTS {
        let (partition, offset) = (number % 4, number / 4);
        let line = other.line(partition, offset);
        producer.send(TOPIC, i32::try_from(partition).unwrap(), None, Some(line.as_bytes()))?;
    }
    producer.flush()?;
    names_all(&scene.refusal()?, &[format!("topic {TOPIC}"), "was made anew".into()]);
    Ok(())
}

/// A broker that compacts what it may without delay, and a topic of short segments that it may not compact yet.
fn compactable(seed: u64) -> Result<Scene> {
    let scene = Scene::new(seed, &[("log.cleaner.backoff.ms", "100")])?;
    scene.stage.client.alter_topic(TOPIC, &settings("delete"))?;
    Ok(scene)
}

fn settings(policy: &str) -> [(&str, &str); 4] {
    [
        ("cleanup.policy", policy),
        ("segment.ms", "300"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "500"),
    ]
}

/// Writes the events of these numbers with one of five keys, slowly enough for segments to end.
fn keyed(scene: &Scene, seed: u64, from: u64, to: u64) -> Result<()> {
    let generator = Generator::new(seed, PARTITIONS as u64);
    let producer = scene.stage.client.producer()?;
    for number in from..to {
        let (partition, offset) = (number % 4, number / 4);
        let (key, line) = (format!("k{}", offset % 5), generator.line(partition, offset));
        let partition = i32::try_from(partition).unwrap();
        producer.send(TOPIC, partition, Some(key.as_bytes()), Some(line.as_bytes()))?;
        if number % 100 == 99 {
            std::thread::sleep(Duration::from_millis(40));
        }
    }
    producer.flush()
}

/// Lets the broker compact the topic until at least `share` of each partition's first `before` records are gone, then no more.
fn compact(scene: &Scene, before: i64, share: usize) -> Result<()> {
    scene.stage.client.alter_topic(TOPIC, &settings("compact"))?;
    let deadline = Deadline::after(LONG);
    loop {
        let records = scene.stage.client.read_committed(TOPIC)?;
        let left = |n: i32| {
            let of = records.iter().filter(|r| r.partition == n && r.offset < before);
            of.count()
        };
        if (0..4).all(|n| left(n) + share <= usize::try_from(before).unwrap()) {
            say(&format!("{} records are left by compaction", records.len()));
            return scene.stage.client.alter_topic(TOPIC, &settings("delete"));
        }
        if deadline.left().is_none() {
            let tail = scene.broker.log_tail(20);
            return Err(Failure(format!("nothing was compacted: {} left\n{tail}", records.len())));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_topic_compacted_in_the_range_of_a_replay_is_refused_by_name() -> Result<()> {
    let scene = compactable(4)?;
    let mut engine = scene.lead()?;
    keyed(&scene, 4, 0, EVENTS / 2)?;
    scene.stage.committed(EVENTS / 2, LONG)?;
    engine.kill()?;
    // The newest segment is never compacted; more records end it.
    keyed(&scene, 4, EVENTS / 2, EVENTS / 2 + 400)?;
    compact(&scene, i64::try_from(EVENTS / 16).unwrap(), 50)?;
    let reason = scene.refusal()?;
    names_all(&reason, &[format!("topic {TOPIC}"), "partition ".into(), "read offsets".into()]);
    names_all(&reason, &["records with checksum".into(), "read again they are".into()]);
    Ok(())
}

#[test]
fn a_topic_compacted_below_the_snapshot_gives_right_answers() -> Result<()> {
    let scene = compactable(5)?;
    let mut engine = scene.lead()?;
    keyed(&scene, 5, 0, EVENTS / 4)?;
    // Longer than `segment.ms`: what comes next begins a segment, and only those before it are compacted.
    std::thread::sleep(Duration::from_millis(400));
    keyed(&scene, 5, EVENTS / 4, EVENTS / 2)?;
    scene.stage.committed(EVENTS / 2, LONG)?;
    savepoint(&engine)?;
    engine.kill()?;
    compact(&scene, i64::try_from(EVENTS / 16).unwrap(), 50)?;
    let mut engine = scene.lead()?;
    keyed(&scene, 5, EVENTS / 2, EVENTS)?;
    scene.stage.committed(EVENTS, LONG)?;
    assert!(engine.terminate(LONG)?.success());
    say(&scene.stage.compare(5, LONG)?.to_string());
    Ok(())
}
