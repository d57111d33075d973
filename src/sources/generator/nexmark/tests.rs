#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::formats::{Decode, Json, Reason, Rejected, encode_json};
use crate::sources::Raw;
use expect_test::expect;
use proptest::prelude::*;

fn events(settings: &Nexmark, partition: u16, offset: u64, count: usize) -> Vec<Event> {
    Events::new(settings, partition, offset).take(count).collect()
}

fn decode(bytes: &[u8]) -> Result<Option<Event>, Rejected> {
    let raw = Raw { offset: 0, next: 1, key: None, payload: Some(bytes), timestamp: None };
    Json::default().decode(&raw)
}

/// The bytes of an offset are for ever: jobs replay them. Whoever has to change this needs another connector name.
#[test]
fn bytes_are_fixed() {
    let one = Nexmark::new().partitions(1).unwrap();
    let text: Vec<_> = [0, 1, 4, 4_600_001]
        .map(|offset| {
            let event = &events(&one.clone().seed(offset % 2), 0, offset, 1)[0];
            String::from_utf8(encode_json(event).unwrap()).unwrap()
        })
        .into();
    expect![[r#"
        {"kind":"person","id":1000,"name":"vicky noris","email_address":"yplkvgz@qbxfg.com","credit_card":"7878 5821 1864 2539","city":"cheyenne","state":"az","at":"2026-01-01T00:00:00Z","extra":"lwaiyhjhrkaruidlsjilvqccyedttedeynpqmackqbwvklwuyypztnkengzgtwtjivjgrxurskpcldfohdzuwnefqymyncrksxyfaecwsbswjumzxudgoznyhakxrudomnxtmqtgshecfjgspxzpludz"}
        {"kind":"auction","id":3221226472,"item_name":"zejdtsgrqlgvlykobbtk","description":"nbpxcjczjioidktegqwskgxercnncnbvkzosoiwqzvqsugajfszhrgfokpsmguwczkocjtcnuprcgsjrkvxjvhjbvsfpcbwhdpoc","initial_bid":9275862,"reserve":9293254,"at":"2026-01-01T00:00:00Z","expires":"2026-01-01T00:00:00.191Z","seller":1073742563,"category":13,"extra":"pbrdwmtvgwdlqzwszylhrgewyjlckrdjwwwugivdjtropbndsunwpfoimjdqimgllbcdxvqezjrvjlfoqrxdmzvhsbtburdnchhpqkaucnxzkzsiurqmhvfcivishqafngbqjvzfpkjrdedbxoztmkhunnnjzilpraesfuprzokqwawizyfbitzkupwwyekmxxpoegqiqbawnjgbvtpgixkxqraedlrjhzyejpasvzgygqymrkxvwlrygsxktytjrpgxqmwqteohfntinmdbaxkzutkvy"}
        {"kind":"bid","auction":1000,"bidder":1001,"price":73134520,"channel":"channel-7568","url":"https://www.nexmark.com/rswp/bsu/_gzj/item.htm?query=1&channel_id=163053568","at":"2026-01-01T00:00:00Z","extra":"tjegpemlelrhcglaovelrtxwcwcintpbwbhwemkngirkduwbqfbwmnrtegvmrittzvxgswwdln"}
        {"kind":"auction","id":3221502472,"item_name":"odfjlindfmlaxqidzhly","description":"ympmpebrquvgpeiuoefwgbipbidcadzgqauryvyxpjvxoaegpmefmpsddweewakkfovdiohtzoaexadwpntrpkowtgulvvqwjvan","initial_bid":1099047,"reserve":49493319,"at":"2026-01-01T00:07:40Z","expires":"2026-01-01T00:07:40.163Z","seller":1073834800,"category":14,"extra":"aeshemeuvkbgpemkkkdtwahklhpdkafplewgdncdlqimwkmnwwpqtxxfkdlmalqqmfgpqbzujilttptwxkleztiagrdblbtdopiqrukzubjhptnuibkvlzqmqryxvknqdtogjodiyjmopmyozvpcdgsfvwfafokqmnonmuuvilctkrjswarkorlxblxpkcgkwnayynhymqqvuxejxsazjfzihvwfjnrctseppslmcelfspwtsnzwapgdahhupjghwgxksdwpbgkjizofbhqnqphoatpcnbuxhwvwjbqoojamrqxlhznehkjjvedy"}"#]].assert_eq(&text.join("\n"));
}

#[test]
fn partitions_share_the_stream_out() {
    let one = Nexmark::new().partitions(1).unwrap();
    let three = Nexmark::new().partitions(3).unwrap();
    for (number, event) in events(&one, 0, 0, 300).into_iter().enumerate() {
        let (partition, offset) = (u16::try_from(number % 3).unwrap(), number as u64 / 3);
        assert_eq!(events(&three, partition, offset, 1), [event], "event {number}");
    }
}

#[test]
fn seeds_give_other_events_of_the_same_kinds_and_times() {
    let (a, b) = (events(&Nexmark::new(), 0, 0, 100), events(&Nexmark::new().seed(1), 0, 0, 100));
    let shape = |event: &Event| (std::mem::discriminant(event), event.at());
    assert!(a.iter().zip(&b).all(|(a, b)| shape(a) == shape(b) && a != b));
}

#[test]
fn bids_find_auctions_and_auctions_find_sellers() {
    for seed in [0, 7] {
        let all = events(&Nexmark::new().partitions(1).unwrap().seed(seed), 0, 0, 50_000);
        let auctions: std::collections::BTreeSet<u64> = all
            .iter()
            .filter_map(|e| if let Event::Auction(a) = e { Some(a.id) } else { None })
            .collect();
        let bids =
            all.iter().filter_map(|e| if let Event::Bid(b) = e { Some(b.auction) } else { None });
        let (found, missed): (Vec<_>, Vec<_>) =
            bids.partition(|auction| auctions.contains(auction));
        assert!(found.len() > 8 * missed.len(), "{} against {}", found.len(), missed.len());
    }
}

#[test]
fn event_time_follows_the_number() {
    let settings = Nexmark::new().partitions(2).unwrap().event_time_rate(1_000).unwrap();
    let at = |offset| events(&settings, 1, offset, 1)[0].at();
    assert_eq!(at(0).to_string(), "2026-01-01T00:00:00.001Z");
    assert_eq!(at(500).to_string(), "2026-01-01T00:00:01.001Z");
    assert_eq!(at(43_200_000).to_string(), "2026-01-02T00:00:00.001Z");
    let last = |offset| events(&Nexmark::new(), 3, offset, 1)[0].at();
    assert!(last((1 << 48) - 1) > last(1 << 47), "still in order at the greatest offset");
}

#[test]
fn stragglers_are_few_early_and_always_the_same() {
    let delay = Duration::from_secs(60);
    let settings = Nexmark::new().stragglers(10_000, delay);
    let (plain, late) = (events(&Nexmark::new(), 0, 0, 20_000), events(&settings, 0, 0, 20_000));
    let stragglers = plain.iter().zip(&late).filter(|(a, b)| a != b);
    let moved: Vec<_> = stragglers.map(|(a, b)| a.at().since(b.at())).collect();
    assert!((100..300).contains(&moved.len()), "{} of 20,000", moved.len());
    assert!(moved.iter().all(|by| *by == Some(delay)));
    assert_eq!(late, events(&settings, 0, 0, 20_000));
}

#[test]
fn the_kind_comes_first() {
    for (text, reason) in [
        (r#"{"auction":1,"kind":"bid"}"#, Reason::Malformed),
        (r#"{"kind":"offer"}"#, Reason::Malformed),
        (r#"{"kind":"bid","auction":1}"#, Reason::MissingField),
        ("{}", Reason::MissingField),
        ("[]", Reason::Malformed),
    ] {
        assert_eq!(decode(text.as_bytes()).unwrap_err().reason, reason, "{text}");
    }
    let text = r#"{"kind":"bid","auction":1,"bidder":2,"price":3,"channel":"","url":"","at":"9999-12-31T23:59:59-01:00","extra":""}"#;
    assert_eq!(decode(text.as_bytes()).unwrap_err().reason, Reason::EventTimeRange);
}

proptest! {
    #[test]
    fn any_offset_is_as_if_read_from_the_start(
        partitions in 1_u16..5, seed: u64, offset in 0_usize..300,
    ) {
        let settings = Nexmark::new().partitions(partitions).unwrap().seed(seed);
        let all = events(&settings, partitions - 1, 0, offset + 3);
        prop_assert_eq!(&events(&settings, partitions - 1, offset as u64, 3), &all[offset..]);
    }

    #[test]
    fn json_is_read_as_it_was_written(seed: u64, offset in 0_u64..(1 << 40)) {
        for event in events(&Nexmark::new().seed(seed), 3, offset, 20) {
            prop_assert_eq!(decode(&encode_json(&event).unwrap()), Ok(Some(event)));
        }
    }
}
