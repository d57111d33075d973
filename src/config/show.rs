//! The merged configuration as text: TOML with the origin of each value beside it, or rows for scripts.

use super::layers::Section;
use super::resolve::{Entry, Resolved};
use super::schema;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

impl Resolved {
    /// A TOML file that gives this configuration again, with the origin of each value in a comment.
    pub fn to_toml(&self) -> String {
        let mut blocks: Vec<(String, Vec<(String, String)>)> = Vec::new();
        for (section, entries) in &self.sections {
            let head =
                if section.kind.is_empty() { String::new() } else { format!("[{section}]\n") };
            let lines = ordered(section, entries).map(|(key, entry)| {
                (format!("{} = {}", bare(key), entry.value), entry.origin.to_string())
            });
            blocks.push((head, lines.collect()));
        }
        let widths =
            blocks.iter().flat_map(|(_, lines)| lines).map(|(text, _)| text.chars().count());
        let width = widths.filter(|w| *w <= 60).max().unwrap_or(0);
        let blocks =
            blocks.into_iter().filter(|(_, lines)| !lines.is_empty()).map(|(head, lines)| {
                lines.iter().fold(head, |text, (line, origin)| {
                    text + &format!("{line:width$}  # {origin}\n")
                })
            });
        blocks.collect::<Vec<_>>().join("\n")
    }

    /// One object a key: `{"key": "tick.heartbeat", "value": "100ms", "origin": "default"}`.
    pub fn to_json(&self) -> Json {
        let rows = self.sections.iter().flat_map(|(section, entries)| {
            ordered(section, entries).map(|(key, entry)| {
                let value = match &entry.value {
                    super::Value::Text(text) => json!(text),
                    super::Value::Integer(number) => json!(number),
                    super::Value::Bool(yes) => json!(yes),
                    super::Value::Secret(secret) => json!(secret),
                    super::Value::Other(kind) => json!(kind),
                };
                json!({"key": section.key(key), "value": value, "origin": entry.origin.to_string()})
            })
        });
        Json::Array(rows.collect())
    }
}

/// Keys in the order of the table, then the rest by name.
fn ordered<'a>(
    section: &'a Section,
    entries: &'a BTreeMap<String, Entry>,
) -> impl Iterator<Item = (&'a str, &'a Entry)> {
    let place = |key: &str| {
        schema::keys_of(&section.kind, None).position(|k| k.name == key).unwrap_or(usize::MAX)
    };
    let mut keys: Vec<_> = entries.iter().map(|(key, entry)| (key.as_str(), entry)).collect();
    keys.sort_by_key(|(key, _)| (place(key), *key));
    keys.into_iter()
}

/// The key as TOML takes it for one key, not for a path.
fn bare(key: &str) -> String {
    if key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)) && !key.is_empty() {
        key.to_owned()
    } else {
        super::value::quoted(key)
    }
}
