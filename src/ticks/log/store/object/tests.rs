#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::error::Kind;
use crate::ticks::fixtures::{open, tick};

const HEAD: Head = Head { log_id: Nonce(7), number: 42, nonce: Nonce(9) };

fn bytes() -> Vec<u8> {
    encode(HEAD, &[open(1).to_json(), tick(1, 1).to_json()])
}

#[test]
fn an_object_is_read_as_it_was_written() {
    assert_eq!(decode(&bytes()).unwrap(), (HEAD, vec![open(1), tick(1, 1)]));
    assert_eq!(decode(&encode(HEAD, &[])).unwrap(), (HEAD, vec![]));
}

#[test]
fn the_header_is_the_documented_one() {
    let header = encode(HEAD, &[]);
    let text: String = header.iter().map(|b| format!("{b:02x}")).collect();
    expect_test::expect![[
        "544944454f424a0a0100000007000000000000002a00000000000000090000000000000000000000"
    ]]
    .assert_eq(&text[..80]);
}

#[test]
fn every_changed_bit_and_every_lost_tail_is_damage() {
    let whole = bytes();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        assert_eq!(decode(&damaged).unwrap_err().kind(), Kind::Corrupt, "byte {at} changed");
    }
    for len in 0..whole.len() {
        assert_eq!(decode(&whole[..len]).unwrap_err().kind(), Kind::Corrupt, "cut at byte {len}");
    }
}

#[test]
fn another_version_is_not_damage() {
    let mut other = encode(HEAD, &[]);
    other[8] = 2;
    let sum = frame::sum(&other[..40]).to_le_bytes();
    other[40..44].copy_from_slice(&sum);
    let error = decode(&other).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains("format version 2"), "{error}");
}
