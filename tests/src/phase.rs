//! The engine's phase lines: log lines of the target `tidemark::phase` that say which step of the protocol it is in.
//! A killer waits for one of them.

use std::collections::BTreeMap;

/// The target that such lines have.
pub const TARGET: &str = "tidemark::phase";

/// A phase line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// The phase: `leading`, `sink-transaction-rows`, ...
    pub name: String,
    /// Its other fields, as text without quotes.
    pub fields: BTreeMap<String, String>,
}

impl Phase {
    /// The phase that `line` tells, if it is a phase line.
    pub fn parse(line: &str) -> Option<Phase> {
        let (_, rest) = line.split_once(TARGET)?;
        let mut fields = BTreeMap::new();
        let mut rest = rest.trim_start_matches(':').trim_start();
        while !rest.is_empty() {
            let word_end = rest.find([' ', '=']).unwrap_or(rest.len());
            let (word, after) = rest.split_at(word_end);
            if let Some(value) = after.strip_prefix('=') {
                let (value, after) = match value.strip_prefix('"') {
                    Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                    None => value.split_once(' ').unwrap_or((value, "")),
                };
                fields.insert(word.to_owned(), value.to_owned());
                rest = after.trim_start();
            } else {
                rest = after.trim_start();
            }
        }
        let name = fields.remove("phase")?;
        Some(Phase { name, fields })
    }

    /// A field as a number.
    pub fn number(&self, field: &str) -> Option<u64> {
        self.fields.get(field)?.parse().ok()
    }
}

#[cfg(test)]
mod tests;
