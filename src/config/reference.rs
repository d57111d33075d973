//! The reference page of all keys, made from the table; a test compares it with the file in `doc/`.
//!
//! `UPDATE_EXPECT=1 cargo test -p tidemark --lib config::reference` writes it anew.

use super::schema::{Absent, KEYS, Key, SECTIONS, SectionSpec};

const HEAD: &str = r#"# Configuration

<!-- Generated from the table of keys in src/config/schema.rs by the test config::reference. Do not edit. -->

Values come in layers; the stronger wins, key by key:

1. built-in defaults (below),
2. what the dataflow's code says (`code`),
3. the TOML file given with `--config FILE`,
4. environment variables `TIDEMARK_SECTION__KEY`, e.g. `TIDEMARK_TICK__HEARTBEAT=1s`, `TIDEMARK_SOURCE__CLICKS__TOPIC=clicks`,
   `TIDEMARK_CONNECTION__MAIN__BOOTSTRAP_SERVERS=broker:9092` (in connections `_` stands for `.`). Names of sources, sinks, views and
   connections are matched without regard to case, with `_` for `-`. A variable without `__` that is no key is left alone,
5. `-D section.key=value`, e.g. `-D source.clicks.topic=clicks`,
6. flags of their own: `--workers`, `--state`, `--http`.

`tidemark config check DATAFLOW` prints the merged configuration with the origin of every value, as a file that gives the same again.

A value of a weaker layer that the connector chosen by a stronger one does not have is forgotten: to replace
`kafka::topic("clicks")` of the code by a file, `connector = "file"` and `path` are enough. Unknown keys, sections and names are refused.

Durations are whole numbers with a unit: `us`, `ms`, `s`, `m`, `h`, `d`. Sizes: `B`, `KiB`, `MiB`, `GiB`, `TiB`, `kB`, `MB`, `GB`. `-` and `_` in keys
are the same. Secrets are only ever named, `{ env = "NAME" }` or `{ file = "/path" }`; one that stands in an environment variable of
Tidemark's own is named by it. Names are made of letters, digits, `-` and `_`.

Some keys are read but not yet obeyed by the engine; `CHANGELOG.md` names them.
"#;

/// The page `doc/operating/configuration.md`: every key with type, unit, default and range.
pub fn reference() -> String {
    SECTIONS.iter().fold(HEAD.to_owned(), |page, section| page + &table(section))
}

fn table(section: &SectionSpec) -> String {
    let title = match (section.kind, section.named) {
        ("", _) => "Top".to_owned(),
        (kind, true) => format!("`[{kind}.NAME]`"),
        (kind, false) => format!("`[{kind}]`"),
    };
    let head = format!(
        "\n## {title}\n\n{}\n\n| key | takes | default | meaning |\n|---|---|---|---|\n",
        section.doc
    );
    let rows = KEYS.iter().filter(|key| key.section == section.kind);
    rows.fold(head, |text, key| text + &row(section, key))
}

fn row(section: &SectionSpec, key: &Key) -> String {
    let default = match key.default {
        Absent::Is(text) => format!("`{text}`"),
        Absent::Unset(meaning) => format!("({meaning})"),
        Absent::Required => "must be set".to_owned(),
    };
    let only = match section.selector {
        Some(selector) if !key.variants.is_empty() => {
            format!(" Only with {selector} {}.", key.variants.join(", "))
        }
        _ => String::new(),
    };
    format!("| `{}` | {} | {default} | {}{only} |\n", key.name, key.kind.allowed(), key.doc)
}

#[cfg(test)]
mod tests;
