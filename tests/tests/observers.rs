//! The evidence that the proof rests on, taken from a real broker.
#![expect(clippy::unwrap_used, reason = "tests")]

use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use std::time::Duration;
use tidemark_oracle::{Generator, Output};
use tidemark_tests::broker::Broker;
use tidemark_tests::client::Client;
use tidemark_tests::clock::wall_ms;
use tidemark_tests::proof::pacer::Pacer;
use tidemark_tests::transactions::{self, Status};

const LONG: Duration = Duration::from_secs(60);

fn producer(client: &Client, id: &str) -> ThreadedProducer<DefaultProducerContext> {
    let mut config = client.config();
    let producer: ThreadedProducer<_> = config.set("transactional.id", id).create().unwrap();
    producer.init_transactions(LONG).unwrap();
    producer
}

#[test]
fn the_broker_tells_an_aborted_transaction_from_a_committed_one() {
    let client = Client::new(Broker::shared().bootstrap());
    client.create_topic("rows", 2, &[]).unwrap();
    let steps = transactions::follow(&client).unwrap();
    let send = |producer: &ThreadedProducer<_>, text: &str| {
        for partition in 0..2 {
            let record = BaseRecord::<str, str>::to("rows").partition(partition).payload(text);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(LONG).unwrap();
    };

    let (lost, kept) = (producer(&client, "job.rows.0"), producer(&client, "job.rows.1"));
    lost.begin_transaction().unwrap();
    kept.begin_transaction().unwrap();
    send(&lost, "lost");
    send(&kept, "kept");
    steps.wait(0, LONG, |s| s.id == "job.rows.0" && s.status == Status::Ongoing).unwrap();
    let moment = wall_ms();
    kept.commit_transaction(LONG).unwrap();
    // Whoever takes the id over ends what was open under it.
    drop(lost);
    let heir = producer(&client, "job.rows.0");
    steps.wait(0, LONG, |s| s.id == "job.rows.0" && s.status == Status::CompleteAbort).unwrap();
    steps.wait(0, LONG, |s| s.id == "job.rows.1" && s.status == Status::CompleteCommit).unwrap();
    let all = steps.since(0).unwrap();
    assert_eq!(transactions::aborted_over(&all, moment), ["job.rows.0"]);
    assert_eq!(transactions::aborted_over(&all, wall_ms() + 1), [""; 0]);

    heir.begin_transaction().unwrap();
    send(&heir, "again");
    heir.commit_transaction(LONG).unwrap();
    let records = client.read_committed("rows").unwrap();
    let of_0 = records.iter().filter(|record| record.partition == 0);
    let mut texts: Vec<_> = of_0.map(|record| record.text().unwrap()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["again", "kept"], "what was aborted is not seen");
}

#[test]
fn the_input_goes_as_far_as_allowed_and_is_what_the_generator_says() {
    let client = Client::new(Broker::shared().bootstrap());
    client.create_topic(Output::INPUT_TOPIC, 4, &[]).unwrap();
    let generator = Generator::new(3, 4);
    let pacer = Pacer::start(&client, generator, 5_000, 50_000).unwrap();
    pacer.allow(1_001);
    pacer.wait(1_001).unwrap();
    assert_eq!(pacer.sent(), 1_001);
    pacer.allow(5_000);
    pacer.wait(5_000).unwrap();
    pacer.finish().unwrap();
    let records = client.read_committed(Output::INPUT_TOPIC).unwrap();
    assert_eq!(records.len(), 5_000);
    for record in records {
        let partition = u64::try_from(record.partition).unwrap();
        let offset = u64::try_from(record.offset).unwrap();
        assert_eq!(record.text().unwrap(), generator.line(partition, offset));
    }
}
