//! What a dead letter shows of a record.

use std::fmt::Write as _;

/// At most the first `max` bytes, printable on one line, from which the bytes can be told exactly.
///
/// Printable UTF-8 stands as it is. A backslash is doubled; characters that don't print are `\n`, `\r`, `\t`, `\0` or `\u{..}`;
/// bytes that are not UTF-8 are `\xNN`. If bytes were left out, `...(N bytes)` follows with the whole length; text of the
/// record itself that ends alike is told apart by its length. A character that the cut falls into is left out.
pub fn excerpt(bytes: &[u8], max: usize) -> String {
    let shown = &bytes[..cut(bytes, max)];
    let mut out = String::with_capacity(shown.len() + 16);
    for chunk in shown.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\'' => out.push(c),
                c => out.extend(c.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a `String` can't fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    if shown.len() < bytes.len() {
        let _ = write!(out, "...({} bytes)", bytes.len());
    }
    out
}

/// The greatest cut at or below `max` that does not fall into a character.
fn cut(bytes: &[u8], max: usize) -> usize {
    if max >= bytes.len() {
        return bytes.len();
    }
    let mut at = max;
    // A character has at most three continuation bytes; beyond that the bytes are no UTF-8 and any cut will do.
    while at > 0 && max - at < 3 && bytes[at] & 0xc0 == 0x80 {
        at -= 1;
    }
    if bytes[at] & 0xc0 == 0x80 { max } else { at }
}

#[cfg(test)]
mod tests;
