//! Waits until readers see what was committed. The broker answers a commit before it writes the marks that release the rows.

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use std::time::Duration;
use tidemark_tests::client::Client;
use tidemark_tests::clock::Deadline;

/// Waits until no transaction is open or half told in any partition of `topic`.
pub(crate) fn settled(client: &Client, topic: &str) {
    let limit = Duration::from_secs(60);
    let deadline = Deadline::after(limit);
    let [stable, high]: [BaseConsumer; 2] = ["read_committed", "read_uncommitted"]
        .map(|level| client.config().set("isolation.level", level).create().unwrap());
    for partition in 0..client.partitions(topic).unwrap() {
        loop {
            let ends =
                [&high, &stable].map(|c| c.fetch_watermarks(topic, partition, limit).unwrap().1);
            if ends[0] == ends[1] {
                break;
            }
            assert!(
                deadline.left().is_some(),
                "{topic}/{partition}: a transaction stays open: {ends:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
