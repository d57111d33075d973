//! The `next` of a page: opaque to clients, all that the following page needs.

use super::answer::Refusal;
use crate::ids::{Generation, Tick};
use crate::views::kind::Ask;
use serde::{Deserialize, Serialize};

/// Where a scan goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Next {
    /// The generation that gave the page before.
    #[serde(rename = "g")]
    pub(super) generation: Generation,
    /// The tick of the whole scan.
    #[serde(rename = "t")]
    pub(super) tick: Tick,
    /// The program: another one's rows do not continue these.
    #[serde(rename = "p")]
    pub(super) program: u64,
    #[serde(rename = "v")]
    pub(super) view: String,
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<String>,
    #[serde(rename = "a")]
    pub(super) after: String,
}

/// What a token says of the program.
pub(super) fn program_mark(program: &str) -> u64 {
    crate::hash::chain(0, program.as_bytes())
}

impl Next {
    pub(super) fn write(&self) -> String {
        let text = serde_json::to_vec(self).expect("it is plain data");
        encode(&text)
    }

    /// Reads a token of this view and program.
    pub(super) fn read(text: &str, view: &str, program: &str) -> Result<Next, Refusal> {
        let next = decode(text).and_then(|bytes| serde_json::from_slice::<Next>(&bytes).ok());
        let next = next.ok_or_else(|| {
            Refusal::bad("next= is not what a page of this API gave; pass it on unchanged")
        })?;
        if next.view != view {
            return Err(Refusal::bad(format!("next= is of view {}, not of {view}", next.view)));
        }
        if next.program != program_mark(program) {
            let message = "the program has changed since the page before; begin the scan again";
            return Err(Refusal::new(410, "gone", message).with("oldest_tick", next.tick + 1));
        }
        Ok(next)
    }

    /// What the next page asks.
    pub(super) fn ask(self, limit: usize) -> Ask {
        let Next { key, from, to, after, .. } = self;
        Ask { key, from, to, after: Some(after), limit }
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 for URLs, without padding.
fn encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - three.len()));
        for at in 0..=three.len() {
            out.push(char::from(DIGITS[(word >> (18 - 6 * at)) as usize & 63]));
        }
    }
    out
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let mut word = 0u32;
        for digit in four {
            word = word << 6 | DIGITS.iter().position(|known| known == digit)? as u32;
        }
        let word = word << (6 * (4 - four.len()));
        match four.len() {
            1 => return None,
            length => out.extend(&word.to_be_bytes()[1..length]),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests;
