//! JSON for people: aligned tables. Control characters are shown, never sent to the terminal.

use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Rows as a table with a column for each field; nested objects become columns of their own (`value.page`).
pub(crate) fn rows(rows: &[Json]) -> String {
    let flat: Vec<BTreeMap<String, &Json>> = rows.iter().map(flattened).collect();
    let mut names: Vec<&str> = Vec::new();
    for name in flat.iter().flat_map(|row| row.keys()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let head: Vec<String> = names.iter().map(|name| shown_text(name)).collect();
    let body = flat.iter().map(|row| {
        names.iter().map(|name| row.get(*name).map_or_else(String::new, |v| cell(v))).collect()
    });
    let numbers = |name: &&str| {
        flat.iter().filter_map(|row| row.get(*name)).all(|v| v.is_number() || v.is_null())
    };
    let right: Vec<bool> = names.iter().map(numbers).collect();
    aligned(std::iter::once(head).chain(body).collect(), &right)
}

/// An object as `name  value` lines; lists of objects in it as tables below.
pub(crate) fn facts(json: &Json) -> String {
    let Json::Object(fields) = json else { return format!("{}\n", cell(json)) };
    let (mut lines, mut tables) = (Vec::new(), String::new());
    for (name, value) in fields {
        match value {
            Json::Array(list) if !list.is_empty() && list.iter().all(Json::is_object) => {
                tables += &format!("\n{}\n{}", shown_text(name), rows(list));
            }
            Json::Object(_) => {
                let inner = flattened(value).into_iter();
                lines.extend(
                    inner.map(|(key, v)| vec![shown_text(&format!("{name}.{key}")), cell(v)]),
                );
            }
            _ => lines.push(vec![shown_text(name), cell(value)]),
        }
    }
    aligned(lines, &[false, false]) + &tables
}

fn flattened(row: &Json) -> BTreeMap<String, &Json> {
    fn walk<'a>(prefix: &str, value: &'a Json, into: &mut BTreeMap<String, &'a Json>) {
        match value {
            Json::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    let dot = if prefix.is_empty() { "" } else { "." };
                    walk(&format!("{prefix}{dot}{name}"), value, into);
                }
            }
            _ => {
                into.insert(if prefix.is_empty() { "row".into() } else { prefix.into() }, value);
            }
        }
    }
    let mut into = BTreeMap::new();
    walk("", row, &mut into);
    into
}

fn cell(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => shown_text(text),
        other => other.to_string(),
    }
}

pub(crate) fn shown_text(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// Lines of cells under each other; a column is `right`-aligned or not. All lines have as many cells as `right`.
pub(crate) fn aligned(lines: Vec<Vec<String>>, right: &[bool]) -> String {
    let columns = right.len();
    let width = |i: usize| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().enumerate().map(|(i, cell)| match right[i] {
            true => format!("{cell:>0$}", widths[i]),
            false => format!("{cell:<0$}", widths[i]),
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
