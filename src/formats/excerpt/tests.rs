#![expect(clippy::unwrap_used, reason = "tests")]

use super::excerpt;
use proptest::prelude::*;

/// The bytes that an uncut excerpt tells.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let mut push = |c: char| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        if c != '\\' {
            push(c);
            continue;
        }
        match chars.next().unwrap() {
            'n' => push('\n'),
            'r' => push('\r'),
            't' => push('\t'),
            '0' => push('\0'),
            '\\' => push('\\'),
            'x' => {
                let hex: String = chars.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&hex, 16).unwrap());
            }
            'u' => {
                let hex: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                push(char::from_u32(u32::from_str_radix(&hex, 16).unwrap()).unwrap());
            }
            other => panic!("unknown escape {other}"),
        }
    }
    out
}

#[test]
fn shows_text_and_escapes_the_rest() {
    for (bytes, max, expected) in [
        (&b"{\"a\":'b'}"[..], 100, "{\"a\":'b'}"),
        (b"a\nb\t\\\x00\x1b", 100, "a\\nb\\t\\\\\\0\\u{1b}"),
        ("größe 日本".as_bytes(), 100, "größe 日本"),
        (b"\xff\xc3(", 100, "\\xff\\xc3("),
        (b"abcdef", 3, "abc...(6 bytes)"),
        ("a\u{65e5}b".as_bytes(), 3, "a...(5 bytes)"),
        (b"\x80\x80\x80\x80\x80\x80", 5, "\\x80\\x80\\x80\\x80\\x80...(6 bytes)"),
        (b"abc", 0, "...(3 bytes)"),
        (b"", 0, ""),
    ] {
        assert_eq!(excerpt(bytes, max), expected, "{bytes:?} {max}");
    }
}

proptest! {
    #[test]
    fn tells_the_bytes_exactly(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let text = excerpt(&bytes, usize::MAX);
        prop_assert_eq!(unescape(&text), bytes);
        prop_assert!(text.chars().all(|c| !c.is_control()));
    }

    #[test]
    fn tells_text_exactly(text in ".*", max in 0_usize..20) {
        prop_assert_eq!(unescape(&excerpt(text.as_bytes(), usize::MAX)), text.as_bytes());
        let cut = excerpt(text.as_bytes(), max);
        let shown = cut.rfind("...(").map_or(&cut[..], |at| &cut[..at]);
        if text.len() > max {
            prop_assert!(text.as_bytes().starts_with(&unescape(shown)));
        }
    }
}
