//! A Kafka for trying things out: the same broker that the tests use.
//!
//! `kafka fetch` only fills the cache of jars; `kafka run` starts a broker with empty data, prints its address and holds it
//! until the input ends or Ctrl-C; `kafka run TOPIC:PARTITIONS...` makes topics in it first.
#![expect(clippy::print_stdout, reason = "a command for people")]

use std::io::Read as _;
use tidemark_tests::broker::{self, Broker};
use tidemark_tests::client::Client;
use tidemark_tests::{Failure, Result};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((command, [])) if command == "fetch" => broker::fetch(),
        Some((command, topics)) if command == "run" => run(topics),
        _ => Err(Failure::new("usage: kafka fetch | kafka run [TOPIC:PARTITIONS]...")),
    }
}

fn run(topics: &[String]) -> Result<()> {
    let broker = Broker::start()?;
    let client = Client::new(broker.bootstrap());
    for topic in topics {
        let parts =
            topic.split_once(':').and_then(|(name, count)| Some((name, count.parse().ok()?)));
        let (name, partitions) =
            parts.ok_or_else(|| Failure(format!("{topic} is not TOPIC:PARTITIONS")))?;
        client.create_topic(name, partitions, &[])?;
    }
    println!("{}", broker.bootstrap());
    std::io::stdin().lock().read_to_end(&mut Vec::new())?;
    broker.stop()
}
