use super::*;

#[test]
fn records_as_documented_are_read() {
    let start = 1_767_225_610_000_000;
    for (output, record, expected) in [
        (
            Output::Live,
            r#"{"key":{"key":7,"start":"2026-01-01T00:00:10Z","end":"2026-01-01T00:00:20Z"},"value":3,"diff":-1}"#,
            (Row::Live { start, auction: 7, bids: 3 }, -1),
        ),
        (
            Output::Counts,
            r#"{"key":7,"start":"2026-01-01T00:00:10.000Z","end":"2026-01-01T00:00:20Z","value":3}"#,
            (Row::Closed { start, auction: 7, bids: 3 }, 1),
        ),
        (
            Output::Late,
            r#"{"row":{"auction":7,"bidder":8,"price":9,"at":"2026-01-01T00:00:10.001Z"},"start":"2026-01-01T00:00:10Z","end":"2026-01-01T00:00:20Z","late_micros":5}"#,
            (Row::Late { start, bid: (start + 1_000, 7, 8, 9), late_micros: 5 }, 1),
        ),
        (
            Output::Joined,
            r#"{"key":7,"value":{"seller":1,"category":2,"name":"Ada 1","city":"Oslo"},"diff":1}"#,
            (
                Row::Joined {
                    auction: 7,
                    seller: 1,
                    category: 2,
                    name: "Ada 1".into(),
                    city: "Oslo".into(),
                },
                1,
            ),
        ),
        (
            Output::Top,
            r#"{"key":null,"value":{"category":2,"auction":7,"bids":40},"diff":1}"#,
            (Row::Top { category: 2, auction: 7, bids: 40 }, 1),
        ),
        (
            Output::Components,
            r#"{"key":9,"value":3,"diff":-1}"#,
            (Row::Component { node: 9, label: 3 }, -1),
        ),
    ] {
        assert_eq!(output.read(record), Ok(expected));
        assert_eq!(Output::of_topic(output.topic()), Some(output));
    }
}

#[test]
fn other_records_are_refused_with_the_record() {
    for record in [r#"{"key":9,"value":3,"diff":2}"#, r#"{"key":9,"value":3}"#, "", "7"] {
        let refusal = Output::Components.read(record).expect_err("is no change");
        assert!(refusal.contains(record), "{refusal}");
    }
}
