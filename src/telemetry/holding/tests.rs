use super::*;

fn by(partition: &str, lag_records: Option<u64>) -> WatermarkHeld {
    WatermarkHeld::By { partition: partition.into(), lag_records }
}

#[test]
fn each_fact_has_its_words() {
    let watermark = |held| Facts { watermarks: vec![("clicks".into(), held)], ..Facts::default() };
    let clock = |held| Facts { clock: Some(held), ..Facts::default() };
    let both = Facts {
        replay: Some((1_200, 5_000)),
        watermarks: vec![("a".into(), by("0", Some(1))), ("b".into(), WatermarkHeld::AllIdle)],
        clock: Some(ClockHeld::Output { ticks: 64 }),
    };
    let table = [
        (Facts::default(), ""),
        (watermark(by("3", Some(12_400))), "watermark held by clicks/3 (lagging 12,400 records)"),
        (
            watermark(by("3", Some(0))),
            "watermark held by clicks/3 (caught up, waiting for records)",
        ),
        (watermark(by("in/a.csv", None)), "watermark held by clicks/in/a.csv"),
        (
            watermark(WatermarkHeld::AllIdle),
            "watermark of clicks stands still (all partitions idle)",
        ),
        (
            clock(ClockHeld::Sink { name: "visits".into(), commit_ms: 340 }),
            "clock held by sink visits (commit 340 ms)",
        ),
        (
            clock(ClockHeld::Durable { ticks: 3, append_ms: 1_500 }),
            "clock held by the tick log (3 ticks not durable, append 1,500 ms)",
        ),
        (
            clock(ClockHeld::Memory { percent: 96, process: None }),
            "clock held by memory (96 % of memory.budget)",
        ),
        (
            clock(ClockHeld::Memory { percent: 97, process: Some(2) }),
            "clock held by memory of process 2 (97 % of memory.budget)",
        ),
        (
            both,
            "replaying tick 1,200 of 5,000, watermark held by a/0 (lagging 1 record), \
             watermark of b stands still (all partitions idle), \
             clock held by operators (64 ticks under way)",
        ),
    ];
    for (facts, wanted) in table {
        assert_eq!(holding(&facts), wanted, "{facts:?}");
    }
}

#[test]
fn thousands_are_grouped() {
    for (number, wanted) in
        [(0, "0"), (999, "999"), (1_000, "1,000"), (u64::MAX, "18,446,744,073,709,551,615")]
    {
        assert_eq!(grouped(number), wanted);
    }
}
