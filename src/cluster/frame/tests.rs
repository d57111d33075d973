#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use expect_test::expect;

fn read_string(mut bytes: &[u8]) -> Found<String> {
    read(&mut bytes, 16)
}

#[test]
fn messages_come_back_one_after_the_other() {
    let frames = [encode(&"a", 16).unwrap(), encode(&"bc", 16).unwrap()].concat();
    let mut rest = &frames[..];
    assert_eq!(read(&mut rest, 16), Found::Message("a".to_owned(), 3));
    assert_eq!(read(&mut rest, 16), Found::Message("bc".to_owned(), 4));
    assert_eq!(read::<String>(&mut rest, 16), Found::End);
}

#[test]
fn the_bytes_of_a_frame_stay_as_they_are() {
    expect!["030000003b49f79c226122"].assert_eq(&hex(&encode(&"a", 16).unwrap()));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_is_no_message_is_told_by_what_is_wrong_with_it() {
    let good = encode(&"abc", 16).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let table = [
        (good[..3].to_vec(), "ended inside"),
        (good[..10].to_vec(), "ended inside"),
        (with(0, 17), "17 bytes; 16 are allowed"),
        (with(3, 0xff), "are allowed"),
        (with(4, !good[4]), "checksum"),
        (with(9, b'x'), "checksum"),
        (encode(&7, 16).unwrap(), "does not know"),
    ];
    for (bytes, expected) in table {
        match read_string(&bytes) {
            Found::Broken(why) => assert!(why.contains(expected), "{why}, not {expected}"),
            other => panic!("{other:?}, not {expected}"),
        }
    }
}

#[test]
fn a_message_beyond_the_limit_is_not_sent() {
    assert_eq!(encode(&"0123456789abcd", 16).unwrap().len(), 24);
    let error = encode(&"0123456789abcde", 16).unwrap_err();
    assert!(error.message().contains("has 17 bytes; 16 are allowed"), "{error}");
}
