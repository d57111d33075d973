//! Consumers that read one partition from an offset on, on a thread that may block: of the tick log and of progress.

use super::{Connection, Context, failed, passes};
use crate::Result;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::Duration;

/// A consumer with these options beside those that every such consumer has; `place` is for messages.
///
/// # Errors
/// `Config` if the connection's options contradict.
pub(crate) fn consumer(
    connection: &Connection,
    place: &str,
    fixed: &[(&str, &str)],
) -> Result<BaseConsumer<Context>> {
    let own = [
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
    ];
    let config = connection.client(
        &[
            ("client.id", "tidemark"),
            ("group.id", "tidemark"),
            ("fetch.wait.max.ms", "20"),
            ("reconnect.backoff.max.ms", "1000"),
        ],
        &[&own[..], fixed].concat(),
    )?;
    config.create_with_context(Context::default()).map_err(|error| failed(place, &error))
}

/// Reads `partition` from `offset` on, and nothing else.
pub(crate) fn read_from(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    partition: i32,
    offset: u64,
) -> KafkaResult<()> {
    let mut list = TopicPartitionList::with_capacity(1);
    let offset = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
    list.add_partition_offset(topic, partition, offset)?;
    consumer.assign(&list)
}

/// The next message, if one comes in time. The end of the partition and errors that pass by themselves are no message.
pub(crate) fn next(
    consumer: &BaseConsumer<Context>,
    most: Duration,
) -> KafkaResult<Option<BorrowedMessage<'_>>> {
    match consumer.poll(most) {
        Some(Err(KafkaError::PartitionEOF(_))) => Ok(None),
        Some(Err(error)) if error.rdkafka_error_code().is_some_and(passes) => Ok(None),
        polled => polled.transpose(),
    }
}
