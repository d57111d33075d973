use super::*;

fn frames(payloads: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for payload in payloads {
        encode(payload.as_bytes(), &mut bytes);
    }
    bytes
}

fn with(mut bytes: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    bytes[at] = byte;
    bytes
}

#[test]
fn the_bytes_are_fixed() {
    let header = Header { log_id: Nonce(0x0102_0304_0506_0708), start: 9 };
    let bytes = header.encode();
    assert_eq!(bytes[..12], *b"TIDELOG\n\x01\0\0\0");
    assert_eq!(bytes[12..28], [8, 7, 6, 5, 4, 3, 2, 1, 9, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes.len() as u64, HEADER_LEN);
    assert_eq!(Header::decode(&bytes), Ok(header));
    // The check value of CRC-32C (iSCSI).
    assert_eq!(sum(b"123456789"), 0xe306_9283);
    assert_eq!(frames(&["{}"])[..4], [2, 0, 0, 0]);
    assert_eq!(frames(&["{}"])[4..8], sum(b"{}").to_le_bytes());
}

#[test]
fn a_damaged_header_is_refused() {
    let bytes = Header { log_id: Nonce(5), start: 9 }.encode();
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let damaged = with(bytes.clone(), at, bytes[at] ^ flip);
            assert!(Header::decode(&damaged).is_err_and(|e| e.kind() == crate::Kind::Corrupt));
        }
        assert!(Header::decode(&bytes[..at]).is_err());
    }
    let mut newer = bytes[..28].to_vec();
    newer[8] = 2;
    newer.extend(sum(&newer).to_le_bytes());
    let error = Header::decode(&newer).err().map(|e| e.kind());
    assert_eq!(error, Some(crate::Kind::Config), "a newer version is not damage");
}

#[test]
fn what_a_tail_is() {
    let one = || frames(&[r#"{"a":1}"#]);
    let two = || frames(&[r#"{"a":1}"#, r#"{"b":2}"#]);
    let zeros = |n: usize| vec![0; n];
    let torn = |keep: usize, zeros: usize| [&one()[..keep], &vec![0; zeros]].concat();
    #[rustfmt::skip]
    let table: Vec<(&str, Vec<u8>, bool)> = vec![
        ("ends inside the head", one()[..5].to_vec(), true),
        ("ends with the head", one()[..8].to_vec(), true),
        ("ends inside the payload", one()[..11].to_vec(), true),
        ("zeros only", zeros(4096), true),
        ("few zeros", zeros(3), true),
        ("the last page of the record is zeros", torn(10, 5), true),
        ("zeros from inside the record beyond its end", torn(10, 500), true),
        ("zeros from inside the record, and the file ends before it would", torn(10, 2), true),
        ("zeros from inside the checksum", torn(6, 50), true),
        ("zeros from inside the length", torn(1, 50), true),
        ("a byte of the last record is wrong", with(one(), 9, b'x'), false),
        ("a checksum is wrong", with(one(), 4, !one()[4]), false),
        ("a byte of a record in the middle is wrong", with(two(), 9, b'x'), false),
        ("zeros in a record, but another follows", with(two(), 14, 0), false),
        ("no length, but a checksum", with(one(), 0, 0), false),
        ("a length that no record has", with(one(), 3, 0x7f), false),
        ("the last record's length points beyond the end", with(one(), 1, 1), false),
        ("a length points beyond the end, another record follows", with(two(), 1, 1), false),
        ("a length is short", with(two(), 0, 3), false),
    ];
    for (name, rest, is_torn) in table {
        assert_eq!(judge_tail(&rest) == Tail::Torn, is_torn, "{name}: {:?}", judge_tail(&rest));
    }
}
