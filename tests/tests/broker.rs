//! The broker that the other tests stand on: it keeps what it acknowledged, and it dies when it should.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;
use tidemark_tests::broker::Broker;
use tidemark_tests::client::Client;

#[test]
fn what_was_written_is_read_back_after_a_kill_and_a_stop() {
    let broker = Broker::start().unwrap();
    let client = Client::new(broker.bootstrap());
    client.create_topic("kept", 2, &[]).unwrap();
    assert_eq!(client.partitions("kept").unwrap(), 2);
    assert_eq!(client.partitions("unknown").unwrap(), 0, "topics are not made by looking at them");
    client.produce("kept", 0, ["a", "b"]).unwrap();
    client.produce_one("kept", 1, Some(b"k"), None).unwrap();
    let mut tail = client.tail(&["kept"]).unwrap();

    broker.kill().unwrap();
    broker.restart().unwrap();
    client.produce("kept", 0, ["c"]).unwrap();
    broker.stop().unwrap();
    broker.restart().unwrap();

    let records = client.read_committed("kept").unwrap();
    let of_0: Vec<_> = records.iter().filter(|r| r.partition == 0).collect();
    assert_eq!(of_0.iter().map(|r| r.text().unwrap()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(of_0.iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1, 2]);
    let mut followed = Vec::new();
    while followed.len() < 4 {
        let record = tail.poll(Duration::from_secs(60)).unwrap();
        followed.push(record.expect("a reader that was there before goes on over kill and stop"));
    }
    followed.sort_by_key(|record| (record.partition, record.offset));
    assert_eq!(followed, records);
    let of_1: Vec<_> = records.iter().filter(|r| r.partition == 1).collect();
    assert_eq!((of_1.len(), of_1[0].key.as_deref(), &of_1[0].value), (1, Some(&b"k"[..]), &None));
}

#[test]
fn deleted_records_are_gone_a_tail_follows_new_ones_and_refusals_are_told() {
    let client = Client::new(Broker::shared().bootstrap());
    client.create_topic("cut", 1, &[]).unwrap();
    client.produce("cut", 0, ["a", "b", "c"]).unwrap();
    client.delete_records("cut", 0, 2).unwrap();
    assert_eq!(client.watermarks("cut", 0).unwrap(), (2, 3));

    let mut tail = client.tail(&["cut"]).unwrap();
    let next = |tail: &mut tidemark_tests::client::Tail| {
        let record = tail.poll(Duration::from_secs(30)).unwrap().expect("comes in time");
        (record.offset, record.text().unwrap().to_owned())
    };
    assert_eq!(next(&mut tail), (2, "c".into()));
    client.produce("cut", 0, ["d"]).unwrap();
    assert_eq!(next(&mut tail), (3, "d".into()));

    client.create_topic("compacted", 1, &[("cleanup.policy", "compact")]).unwrap();
    let failure = client.produce("compacted", 0, ["without a key"]).unwrap_err();
    assert!(failure.0.contains("not written to compacted/0"), "{failure}");

    client.delete_topic("cut").unwrap();
    assert!(!client.topics().unwrap().contains("cut"));
    let failure = client.read_committed("cut").unwrap_err();
    assert!(failure.0.contains("cut does not exist"), "{failure}");
}

/// A shared broker is a static and never dropped: the kernel must kill it when its test process is gone.
#[test]
fn a_broker_dies_with_its_test_process() {
    const ROLE: &str = "TIDEMARK_TEST_HOLDS_BROKER";
    if std::env::var_os(ROLE).is_some() {
        // The child's role: hold a broker, started from a thread that ends, and say where, until killed.
        let broker = std::thread::spawn(|| Broker::start().unwrap()).join().unwrap();
        Client::new(broker.bootstrap()).create_topic("held", 1, &[]).unwrap();
        let told = std::path::PathBuf::from(std::env::var_os(ROLE).unwrap());
        std::fs::write(told.with_extension("part"), broker.bootstrap()).unwrap();
        std::fs::rename(told.with_extension("part"), told).unwrap();
        loop {
            std::thread::park();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("bootstrap");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_broker_dies_with_its_test_process"])
        .env(ROLE, &told)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let wait_until = |what: &str, done: &mut dyn FnMut() -> bool| {
        for _ in 0..1_200 {
            if done() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{what}: not within two minutes");
    };
    let mut address = String::new();
    wait_until("the child has a broker", &mut || {
        address = std::fs::read_to_string(&told).unwrap_or_default();
        !address.is_empty()
    });
    assert!(std::net::TcpStream::connect(&address).is_ok());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the broker is gone", &mut || std::net::TcpStream::connect(&address).is_err());
}
