#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use std::collections::BTreeMap;

#[test]
fn lines_are_what_the_documentation_says_and_never_change() {
    let generator = Generator::new(1, 4);
    // A seed that is printed must give the same input in a year.
    assert_eq!([0, 1, 4, 10].map(|offset| generator.line(2, offset)).join("\n"), GOLDEN.trim());
    for partition in 0..4 {
        for offset in 0..2_000 {
            let event = generator.event(partition, offset);
            assert_eq!(Event::parse(&generator.line(partition, offset)), Ok(event));
        }
    }
}

const GOLDEN: &str = r#"
{"kind":"person","at":"2026-01-01T00:00:00.000Z","id":2,"name":"Ada 2","city":"Lima"}
{"kind":"auction","at":"2026-01-01T00:00:00.002Z","id":2,"seller":13,"category":2}
{"kind":"edge","at":"2026-01-01T00:00:00.008Z","from":310,"to":311,"present":false}
{"kind":"bid","at":"2025-12-31T23:59:59.540Z","auction":2,"bidder":8,"price":8086}
"#;

#[test]
fn every_key_keeps_to_its_partition_and_its_events_to_the_order_of_time() {
    let generator = Generator::new(2, 4);
    let mut newest: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    for partition in 0..4 {
        for offset in 0..20_000 {
            let event = generator.event(partition, offset);
            let key = match event.kind {
                Kind::Person(id, _) => format!("person {id}"),
                Kind::Auction(id, _) => format!("auction {id}"),
                Kind::Edge(edge, _) => format!("edge {edge:?}"),
                Kind::Bid(..) => continue,
            };
            if let Some((before, at)) = newest.insert(key.clone(), (partition, event.at)) {
                assert_eq!(before, partition, "{key}");
                assert!(at <= event.at, "{key}");
            }
        }
    }
}

#[test]
fn there_is_something_of_everything_that_the_proof_is_about() {
    let generator = Generator::new(3, 4);
    let (mut stragglers, mut updates, mut gone, mut bids) = (0, 0, 0, 0);
    let mut seen = std::collections::BTreeSet::new();
    let mut present = std::collections::BTreeSet::new();
    for offset in 0..100_000 {
        let event = generator.event(1, offset);
        let usual = BEGIN + i64::try_from(offset).unwrap() * STEP;
        match event.kind {
            Kind::Bid(..) => {
                bids += 1;
                stragglers += usize::from(usual - event.at > 1_500_000);
            }
            Kind::Auction(id, _) => updates += usize::from(!seen.insert(id)),
            Kind::Edge(edge, true) => drop(present.insert(edge)),
            Kind::Edge(edge, false) => gone += usize::from(present.remove(&edge)),
            Kind::Person(..) => {}
        }
    }
    assert_eq!(bids, 80_000);
    assert!((60..140).contains(&stragglers), "{stragglers} of {bids} bids");
    assert!(updates > 500, "{updates} auctions changed");
    assert!(gone > 1_000, "{gone} edges went");
}
