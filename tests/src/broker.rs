//! A real Apache Kafka of one node (KRaft) on loopback, one JVM of 512 MB. Makes no topics and knows no client.

mod jars;
mod port;

pub use jars::KAFKA_VERSION;
pub use port::free_port;

use crate::cache;
use crate::lines::{Found, Lines};
use crate::process::{self, Signal};
use crate::{Failure, Result};
use jars::Jars;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Fills the cache of jars if it is not filled.
///
/// # Errors
/// If Kafka can't be fetched; the message has the output of the program that failed.
pub fn fetch() -> Result<()> {
    Jars::obtain().map(drop)
}

/// How long a start may take before it is given up.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A broker. It lives until it is dropped, its data too; if this process dies it dies with it.
///
/// All calls take `&self`: a test may kill the broker from one thread while others use it.
pub struct Broker {
    folder: PathBuf,
    jars: Jars,
    port: u16,
    node: Mutex<Option<Node>>,
}

struct Node {
    child: Child,
    lines: Lines,
}

impl Broker {
    /// A new, empty broker, ready to serve. Takes 2 to 4 seconds.
    ///
    /// # Errors
    /// If Kafka can't be fetched or does not start; the message has the end of its log.
    pub fn start() -> Result<Broker> {
        Broker::start_with(&[])
    }

    /// As [`Broker::start`], with server properties that are added to ours or replace them.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub fn start_with(properties: &[(&str, &str)]) -> Result<Broker> {
        let jars = Jars::obtain()?;
        let mut last = None;
        // Between the choice of a port and Kafka's bind another process may take it: then others are chosen.
        for _ in 0..5 {
            let folder = cache::scratch("tidemark-kafka-")?;
            let (port, controller) = (free_port()?, free_port()?);
            jars.format(&folder.join("data"))?;
            fs::write(
                folder.join("server.properties"),
                settings(&folder, port, controller, properties),
            )?;
            let broker = Broker { folder, jars: jars.clone(), port, node: Mutex::new(None) };
            match broker.restart() {
                Ok(()) => return Ok(broker),
                Err(failure) if failure.0.contains("Address already in use") => {
                    last = Some(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(last.expect("the loop ran"))
    }

    /// The broker that all tests of this binary share, started at first use. Tests keep apart by topic and group names.
    ///
    /// # Panics
    /// If it does not start: without a broker there is no test.
    pub fn shared() -> &'static Broker {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(|| Broker::start().expect("the tests need Kafka"))
    }

    /// `127.0.0.1:port`, the same over restarts.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The folder of the broker's own log segments.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Kills the broker (SIGKILL) and waits for its end. Data stays. Nothing happens if it is down already.
    ///
    /// # Errors
    /// If the process can't be killed.
    pub fn kill(&self) -> Result<()> {
        let Some(mut node) = self.node().take() else { return Ok(()) };
        node.child.kill()?;
        node.child.wait()?;
        Ok(())
    }

    /// Asks the broker to end and waits for it; kills it if it has not after half a minute. Data stays.
    ///
    /// # Errors
    /// If the process can't be signalled.
    pub fn stop(&self) -> Result<()> {
        let Some(mut node) = self.node().take() else { return Ok(()) };
        process::signal(node.child.id(), Signal::Term)?;
        // A line that never comes: this waits for the streams' end.
        if node.lines.wait_from(usize::MAX, Duration::from_secs(30), |_| false) != Found::Ended {
            node.child.kill()?;
        }
        node.child.wait()?;
        Ok(())
    }

    /// Halts the broker, or lets it go on. Its sockets stay open meanwhile.
    ///
    /// # Errors
    /// If it is down.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match &*self.node() {
            Some(node) => process::signal(node.child.id(), signal),
            None => Err(Failure::new("the broker is down")),
        }
    }

    /// Starts the broker again with its data, on the same port, and waits until it serves. Nothing happens if it is up.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub fn restart(&self) -> Result<()> {
        let mut slot = self.node();
        if slot.is_some() {
            return Ok(());
        }
        let mut command = Command::new("java");
        command
            .args(["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:MaxDirectMemorySize=256m"])
            .args(["-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"])
            .args(["-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp", &self.jars.class_path()])
            .arg("kafka.Kafka")
            .arg(self.folder.join("server.properties"))
            .current_dir(&self.folder);
        let (child, lines) = process::serve("Kafka", command, "Kafka Server started", START_LIMIT)?;
        *slot = Some(Node { child, lines });
        Ok(())
    }

    /// The last `count` lines of the broker's log, for messages.
    pub fn log_tail(&self, count: usize) -> String {
        self.node().as_ref().map_or_else(String::new, |node| node.lines.tail(count))
    }

    fn node(&self) -> std::sync::MutexGuard<'_, Option<Node>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Nothing can be done here about a process or a file that will not go.
        drop(self.kill());
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn settings(folder: &Path, port: u16, controller: u16, more: &[(&str, &str)]) -> String {
    let voters = format!("1@127.0.0.1:{controller}");
    let listeners = format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}");
    let advertised = format!("PLAINTEXT://127.0.0.1:{port}");
    let data = folder.join("data").to_string_lossy().into_owned();
    let mut lines = String::new();
    // Of a key that stands twice Kafka takes the last value.
    for (key, value) in [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", &voters),
        ("listeners", &listeners),
        ("advertised.listeners", &advertised),
        ("controller.listener.names", "CONTROLLER"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("log.dirs", &data),
        ("num.network.threads", "2"),
        ("num.io.threads", "4"),
        ("num.partitions", "4"),
        ("auto.create.topics.enable", "false"),
        ("offsets.topic.replication.factor", "1"),
        ("offsets.topic.num.partitions", "4"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("transaction.state.log.num.partitions", "4"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("share.coordinator.state.topic.num.partitions", "4"),
        ("transaction.max.timeout.ms", "3600000"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("log.cleaner.dedupe.buffer.size", "4194304"),
        // Event times may lie anywhere; with -1 no record is ever too old.
        ("log.retention.hours", "-1"),
        // A broker that was killed is let in again at once, not after nine seconds.
        ("broker.heartbeat.interval.ms", "500"),
        ("broker.session.timeout.ms", "2500"),
        ("message.max.bytes", "10485760"),
    ]
    .iter()
    .chain(more)
    {
        lines.push_str(&format!("{key}={value}\n"));
    }
    lines
}
