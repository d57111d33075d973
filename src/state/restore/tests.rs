use super::spread;

/// First key and bytes.
type Blocks<'a> = &'a [(&'a str, u64)];

fn cut(blocks: Blocks<'_>, of: usize) -> Vec<Option<String>> {
    let blocks: Vec<(&[u8], u64)> = blocks.iter().map(|(key, n)| (key.as_bytes(), *n)).collect();
    let text = |key: Vec<u8>| String::from_utf8_lossy(&key).into_owned();
    spread(&blocks, of).into_iter().map(|key| key.map(text)).collect()
}

fn some(keys: &[&str]) -> Vec<Option<String>> {
    keys.iter().map(|key| (!key.is_empty()).then(|| (*key).to_string())).collect()
}

#[test]
fn shares_are_cut_at_blocks_with_equal_bytes_between() {
    let even = [("a", 10), ("b", 10), ("c", 10), ("d", 10)];
    let large_first = [("a", 90), ("b", 5), ("c", 5)];
    let same_keys = [("a", 10), ("a", 10), ("a", 10), ("b", 10)];
    let cases: [(Blocks<'_>, usize, &[&str]); 8] = [
        (&even, 1, &[]),
        (&even, 2, &["c"]),
        (&even, 4, &["b", "c", "d"]),
        (&even, 6, &["b", "c", "d", "", ""]),
        (&large_first, 3, &["b", "c"]),
        (&same_keys, 2, &["b"]),
        (&[("a", 10)], 3, &["", ""]),
        (&[], 3, &["", ""]),
    ];
    for (blocks, of, expected) in cases {
        assert_eq!(cut(blocks, of), some(expected), "{blocks:?} in {of}");
    }
}
