use super::*;
use expect_test::expect;

fn claim() -> Claim {
    Claim {
        purpose: Purpose::Mesh,
        from: 2,
        to: 1,
        processes: 3,
        workers: 4,
        generation: 5,
        nonce: 0x1f,
        cluster: "shop".into(),
        program: "visits-5a".into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_stay_as_they_are() {
    let greeting = Greeting { version: VERSION, nonce: [0xab; NONCE_BYTES] };
    expect!["54494445434c550a0100abababababababababababababababababababababababababababababababab"]
        .assert_eq(&hex(&greeting.encode()));
    expect!["280003020001000300040005000000000000001f000000000000000473686f70097669736974732d3561"]
        .assert_eq(&hex(&claim().encode()));
    let answer = Answer { code: 7, reason: "no".into() };
    expect!["0702006e6f"].assert_eq(&hex(&answer.encode()));
}

#[test]
fn what_is_written_is_read() {
    let greeting = Greeting { version: 7, nonce: [3; NONCE_BYTES] };
    assert_eq!(Greeting::decode(&greeting.encode()), Some(greeting));
    for purpose in Purpose::ALL {
        let claim = Claim { purpose, ..claim() };
        let bytes = claim.encode();
        assert_eq!(usize::from(u16::from_le_bytes([bytes[0], bytes[1]])), bytes.len() - 2);
        assert_eq!(Claim::decode(&bytes[2..]), Some(claim));
    }
}

#[test]
fn the_longest_claim_is_within_its_limit() {
    let name = "x".repeat(255);
    let longest = Claim { cluster: name.clone(), program: name, ..claim() };
    let bytes = longest.encode();
    assert!(bytes.len() - 2 <= CLAIM_BYTES_MAX);
    assert_eq!(Claim::decode(&bytes[2..]), Some(longest));
}

#[test]
fn what_is_cut_or_longer_or_of_an_unknown_purpose_is_no_claim() {
    let bytes = claim().encode()[2..].to_vec();
    for len in 0..bytes.len() {
        assert_eq!(Claim::decode(&bytes[..len]), None, "{len} bytes");
    }
    assert_eq!(Claim::decode(&[&bytes[..], &[0]].concat()), None);
    for code in [0, 4, 255] {
        assert_eq!(Claim::decode(&[&[code], &bytes[1..]].concat()), None, "purpose {code}");
    }
    let last = bytes.len() - 1;
    assert_eq!(Claim::decode(&[&bytes[..last], &[0xff]].concat()), None, "no UTF-8");
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    let answer = Answer { code: 2, reason: "é".repeat(1000) };
    assert_eq!(answer.encode().len(), 3 + REASON_BYTES_MAX);
    let answer = Answer { code: 2, reason: format!("x{}", "é".repeat(1000)) };
    assert_eq!(answer.encode().len(), 3 + REASON_BYTES_MAX - 1);
}
