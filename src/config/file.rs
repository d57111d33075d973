//! The TOML file: which key stands on which line with which value.

use super::layers::{Assignment, Section};
use super::schema;
use super::value::{Origin, Secret, Value};
use crate::error::{Error, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Everything that the text of the file `path` says, in the order of its lines.
///
/// # Errors
/// `Config` with file and line, if it is not TOML or a section is none.
pub(crate) fn read(path: &Path, text: &str) -> Result<Vec<Assignment>> {
    let lines = Lines { path, text };
    let table = DeTable::parse(text).map_err(|e| {
        let place = lines.origin(e.span().unwrap_or(0..0));
        // Only the message: the excerpt that TOML errors carry could show a secret.
        Error::config(format!("{place}: {}", e.message().replace('\n', "; ")))
    })?;
    let mut found = Vec::new();
    for (key, value) in table.get_ref() {
        match value.get_ref() {
            DeValue::Table(inner) if value_of(value.get_ref()).is_none() => {
                section(&lines, key, inner, &mut found)?;
            }
            _ => found.push(lines.assignment(Section::top(), key.get_ref(), key, value.get_ref())),
        }
    }
    found.sort_by_key(|a| match &a.origin {
        Origin::File { line, .. } => *line,
        _ => 0,
    });
    Ok(found)
}

struct Lines<'a> {
    path: &'a Path,
    text: &'a str,
}

type Name<'i> = Spanned<std::borrow::Cow<'i, str>>;

impl Lines<'_> {
    fn origin(&self, span: Range<usize>) -> Origin {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        Origin::File { path: PathBuf::from(self.path), line }
    }

    fn assignment(
        &self,
        section: Section,
        key: &str,
        at: &Name<'_>,
        value: &DeValue<'_>,
    ) -> Assignment {
        let origin = self.origin(at.span());
        let value = value_of(value).unwrap_or(Value::Other(match value {
            DeValue::Float(_) => "a fraction",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            _ => "a table",
        }));
        Assignment { section, key: key.to_owned(), value, origin }
    }
}

fn section(
    lines: &Lines<'_>,
    at: &Name<'_>,
    table: &DeTable<'_>,
    found: &mut Vec<Assignment>,
) -> Result<()> {
    let kind = at.get_ref().as_ref();
    let spec = schema::section_named(kind);
    if !spec.is_some_and(|spec| spec.named) {
        // An unknown section is reported where all unknown things are.
        flatten(lines, &Section::new(kind, None), "", table, spec.is_some_and(|s| s.open), found);
        return Ok(());
    }
    for (name, value) in table {
        let DeValue::Table(inner) = value.get_ref() else {
            return Err(Error::config(format!(
                "{}: [{kind}] holds no keys of its own; write [{kind}.NAME], then {} below it",
                lines.origin(name.span()),
                name.get_ref()
            )));
        };
        let section = Section::new(kind, Some(name.get_ref()));
        if inner.is_empty() {
            found.push(Assignment::empty(section.clone(), lines.origin(name.span())));
        }
        flatten(lines, &section, "", inner, spec.is_some_and(|s| s.open), found);
    }
    Ok(())
}

fn flatten(
    lines: &Lines<'_>,
    section: &Section,
    prefix: &str,
    table: &DeTable<'_>,
    dotted: bool,
    found: &mut Vec<Assignment>,
) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        match value.get_ref() {
            // `ssl.ca.location = ".."` is three tables to TOML and one option to us.
            DeValue::Table(inner) if dotted && value_of(value.get_ref()).is_none() => {
                flatten(lines, section, &format!("{name}."), inner, dotted, found);
            }
            other => found.push(lines.assignment(section.clone(), &name, key, other)),
        }
    }
}

/// The value, if it is one that some key takes.
fn value_of(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::Text(text.to_string())),
        DeValue::Boolean(yes) => Some(Value::Bool(*yes)),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            i64::from_str_radix(&digits, number.radix()).ok().map(Value::Integer)
        }
        DeValue::Table(table) => secret(table).map(Value::Secret),
        _ => None,
    }
}

fn secret(table: &DeTable<'_>) -> Option<Secret> {
    let mut entries = table.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else { return None };
    let text = value.get_ref().as_str()?;
    match key.get_ref().as_ref() {
        "env" => Some(Secret::Env(text.to_owned())),
        "file" => Some(Secret::File(PathBuf::from(text))),
        _ => None,
    }
}

/// `{ env = ".." }` or `{ file = ".." }` as text, from the command line or the environment.
pub(crate) fn secret_in(text: &str) -> Option<Secret> {
    let DeValue::Table(table) = DeValue::parse(text).ok()?.into_inner() else { return None };
    secret(&table)
}

#[cfg(test)]
mod tests;
