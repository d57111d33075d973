use super::*;
use proptest::prelude::*;

/// What is expected of a file: (offset, next, bytes cut to `max + 1`), by a plain split.
fn model(file: &[u8], from: usize, max: usize) -> Vec<(u64, u64, Vec<u8>)> {
    let mut lines = Vec::new();
    let mut at = from;
    for line in file[from..].split_inclusive(|byte| *byte == b'\n') {
        let next = at + line.len();
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        lines.push((at as u64, next as u64, text[..text.len().min(max + 1)].to_vec()));
        at = next;
    }
    lines
}

/// Reads `file` in reads of at most `read` bytes; gives what was found, and the greatest buffer.
fn run(
    file: &[u8],
    from: usize,
    max: usize,
    block: usize,
    read: usize,
) -> (Vec<(u64, u64, Vec<u8>)>, usize) {
    let mut lines = Lines::new(from as u64, max, block);
    let (mut found, mut buffer_max) = (Vec::new(), 0);
    loop {
        let at = usize::try_from(lines.read_to()).expect("small");
        let line = match lines.peek() {
            Some(line) => line,
            None if at == file.len() => match lines.rest() {
                Some(line) => line,
                None => return (found, buffer_max),
            },
            None => {
                let space = lines.space();
                let count = space.len().min(read).min(file.len() - at);
                space[..count].copy_from_slice(&file[at..at + count]);
                lines.filled(count);
                buffer_max = buffer_max.max(lines.buf.len());
                continue;
            }
        };
        assert_eq!(
            lines.peek().unwrap_or_else(|| line.clone()),
            line,
            "a line stays until it is taken"
        );
        lines.take(&line);
        found.push((line.offset, line.next, lines.bytes(&line).to_vec()));
        assert_eq!(lines.offset(), line.next);
        assert_eq!(lines.read_to(), at as u64);
    }
}

#[test]
fn lines_end_in_lf_or_crlf_or_with_the_file() {
    let file = b"a\r\n\nb\rc\n\r\nlast";
    let expected =
        [(0, 3, &b"a"[..]), (3, 4, b""), (4, 8, b"b\rc"), (8, 10, b""), (10, 14, b"last")];
    let (found, _) = run(file, 0, 100, 4, 100);
    assert_eq!(found, expected.map(|(offset, next, bytes)| (offset, next, bytes.to_vec())));
}

#[test]
fn the_longest_line_is_whole_and_one_byte_more_is_cut() {
    let text = |n: usize| "x".repeat(n);
    let file = format!("{}\n{}\r\n{}\n{}\r\nend\n", text(10), text(10), text(11), text(1000));
    let (found, buffer_max) = run(file.as_bytes(), 0, 10, 8, 5);
    let sizes: Vec<_> = found.iter().map(|(_, _, bytes)| bytes.len()).collect();
    assert_eq!(sizes, [10, 10, 11, 11, 3]);
    assert!(buffer_max <= 11 + 8, "{buffer_max}");
}

proptest! {
    #[test]
    fn equals_a_plain_split(
        pieces in proptest::collection::vec(
            prop_oneof![Just("\n".to_owned()), Just("\r\n".to_owned()), Just("\r".to_owned()), "[a-c]{0,30}"], 0..40),
        from_line in 0_usize..10,
        max in 1_usize..20,
        block in 1_usize..20,
        read in 1_usize..20,
    ) {
        let file = pieces.concat().into_bytes();
        let all = model(&file, 0, max);
        let from = all.get(from_line).map_or(0, |line| usize::try_from(line.0).expect("small"));
        let (found, buffer_max) = run(&file, from, max, block, read);
        prop_assert_eq!(found, model(&file, from, max));
        prop_assert!(buffer_max <= max + 1 + 2 * block);
    }
}
