//! The layers of the configuration: defaults < code < file < environment < `-D` < flags.
//!
//! Here values are only gathered, each with its origin. [`Layered::resolve`] merges and checks them.

use super::file;
use super::resolve::{self, Resolved};
use super::schema;
use super::settings::Settings;
use super::value::{Origin, Value};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

/// What every environment variable of ours begins with.
const PREFIX: &str = "TIDEMARK_";

/// A section: its word, and its name where it has one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Section {
    pub(crate) kind: String,
    pub(crate) name: Option<String>,
}

impl Section {
    pub(crate) fn new(kind: &str, name: Option<&str>) -> Section {
        Section { kind: kind.to_owned(), name: name.map(str::to_owned) }
    }

    pub(crate) fn top() -> Section {
        Section::new("", None)
    }

    /// The key's full name: `source.clicks.topic`.
    pub(crate) fn key(&self, key: &str) -> String {
        match key {
            "" => self.to_string(),
            _ if self.kind.is_empty() => key.to_owned(),
            _ => format!("{self}.{key}"),
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, ".{name}"))
    }
}

/// One layer's word on one key. An empty key says only that the section is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Assignment {
    pub(crate) section: Section,
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

impl Assignment {
    pub(crate) fn empty(section: Section, origin: Origin) -> Assignment {
        Assignment { section, key: String::new(), value: Value::Bool(true), origin }
    }
}

/// The layers of a configuration, in any order of adding; the stronger layer wins, within a layer the later word.
#[derive(Clone, Debug, Default)]
pub struct Layered {
    pub(crate) assignments: Vec<Assignment>,
    /// Variables as given; their names are understood when all other layers are known.
    pub(crate) environment: BTreeMap<String, String>,
    /// Names that the dataflow has, by section word; a section with another name is refused.
    pub(crate) declared: BTreeMap<&'static str, BTreeSet<String>>,
    /// Whether connections that are named need not be configured.
    pub(crate) unconnected: bool,
}

impl Layered {
    /// Only the built-in defaults.
    pub fn new() -> Layered {
        Layered::default()
    }

    /// Adds the TOML file at `path`.
    ///
    /// # Errors
    /// `Config` if it can't be read or is not TOML, with the line.
    pub fn with_file(self, path: &Path) -> Result<Layered> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::config(format!("the configuration file {} can't be read: {e}", path.display()))
        })?;
        self.with_text(path, &text)
    }

    /// Adds `text` as the content of a TOML file called `path`.
    ///
    /// # Errors
    /// As [`Layered::with_file`].
    pub fn with_text(mut self, path: &Path, text: &str) -> Result<Layered> {
        self.assignments.extend(file::read(path, text)?);
        Ok(self)
    }

    /// Adds the variables that begin with `TIDEMARK_`; others are left alone. `TIDEMARK_SOURCE__CLICKS__ON_ERROR` is
    /// `source.clicks.on_error`.
    #[must_use]
    pub fn with_environment(
        mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Layered {
        self.environment.extend(variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)));
        self
    }

    /// Adds one `-D section.key=value`.
    ///
    /// # Errors
    /// `Config` if it has no `=` or names no key.
    pub fn with_define(mut self, text: &str) -> Result<Layered> {
        let Some((path, value)) = text.split_once('=') else {
            return Err(Error::config(format!(
                "-D {text:?} has no \"=\"; write -D section.key=value"
            )));
        };
        let (path, value) = (path.trim(), value_of_text(value.trim()));
        let (section, key) = split(path).ok_or_else(|| {
            Error::config(format!("-D {path:?} names no key; write -D section.key=value"))
        })?;
        self.assignments.push(Assignment { section, key, value, origin: Origin::Define });
        Ok(self)
    }

    /// Adds what a flag of its own says: `("workers", "--workers", "3")`.
    #[must_use]
    pub fn with_flag(mut self, path: &str, flag: &'static str, value: impl Into<Value>) -> Layered {
        let (section, key) = split(path).unwrap_or((Section::top(), path.to_owned()));
        let origin = Origin::Flag(flag);
        self.assignments.push(Assignment { section, key, value: value.into(), origin });
        self
    }

    /// The same for looking only: connections that are named need not be configured.
    #[must_use]
    pub fn without_connections(mut self) -> Layered {
        self.unconnected = true;
        self
    }

    /// Adds what the dataflow's code says: `("source.clicks", "topic", "clicks")`. It is weaker than the file, and is
    /// forgotten where a stronger layer chooses another connector.
    #[must_use]
    pub fn with_code_default(
        mut self,
        section: &str,
        key: &str,
        value: impl Into<Value>,
    ) -> Layered {
        let (kind, name) = match section.split_once('.') {
            Some((kind, name)) => (kind, Some(name)),
            None => (section, None),
        };
        let section = Section::new(kind, name);
        let (key, value) = (key.to_owned(), value.into());
        self.assignments.push(Assignment { section, key, value, origin: Origin::Code });
        self
    }

    /// Says which names the dataflow has in a section (`source`, `sink` or `view`): each gets its settings, and a
    /// configured name that is none of them is refused.
    #[must_use]
    pub fn with_declared<'a>(
        mut self,
        section: &'static str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Layered {
        self.declared.entry(section).or_default().extend(names.into_iter().map(str::to_owned));
        self
    }

    /// The merged and checked configuration of the dataflow called `dataflow`.
    ///
    /// # Errors
    /// `Config` with every problem, one a line: key, value, origin, what is allowed.
    pub fn resolve(&self, dataflow: &str) -> Result<Resolved> {
        resolve::resolve(self, dataflow)
    }

    /// [`Layered::resolve`], as typed settings.
    ///
    /// # Errors
    /// As [`Layered::resolve`].
    pub fn settings(&self, dataflow: &str) -> Result<Settings> {
        self.resolve(dataflow).map(|resolved| resolved.settings())
    }

    /// All assignments with those of the environment, whose names are matched with the names of the other layers.
    pub(crate) fn gathered(&self) -> Vec<Assignment> {
        let mut gathered = self.assignments.clone();
        for (variable, value) in &self.environment {
            let Some((section, key)) = self.understood(variable) else { continue };
            let value = match value_of_text(value) {
                // A secret is named by its variable, never copied into the settings.
                Value::Text(_) if resolve::is_secret(&section, &key) => {
                    Value::Secret(super::value::Secret::Env(variable.clone()))
                }
                other => other,
            };
            let origin = Origin::Environment(variable.clone());
            gathered.push(Assignment { section, key, value, origin });
        }
        gathered
    }

    /// What a variable's name means; `None` for one without `__` that is no key above all sections: it may be another
    /// program's (`TIDEMARK_PORT` is set by Kubernetes for a service of that name).
    fn understood(&self, variable: &str) -> Option<(Section, String)> {
        let rest = variable.strip_prefix(PREFIX)?.to_ascii_lowercase();
        let parts: Vec<&str> = rest.split("__").collect();
        match parts.as_slice() {
            [key] => schema::keys_of("", None)
                .any(|k| k.name == *key)
                .then(|| (Section::top(), (*key).to_owned())),
            [kind, name, key @ ..] if schema::section_named(kind).is_some_and(|s| s.named) => {
                let key = key.join("__");
                let open = schema::section_named(kind).is_some_and(|s| s.open);
                let key = if open { key.replace('_', ".") } else { key };
                Some((Section::new(kind, Some(&self.spelled(kind, name))), key))
            }
            [kind, key @ ..] => Some((Section::new(kind, None), key.join("__"))),
            [] => None,
        }
    }

    /// The name that other layers or the dataflow spell in lower or upper case or with `-`.
    fn spelled(&self, kind: &str, name: &str) -> String {
        let same = |candidate: &&str| candidate.to_ascii_lowercase().replace('-', "_") == name;
        let in_layers = self.assignments.iter().filter(|a| a.section.kind == kind);
        let declared = self.declared.get(kind).into_iter().flatten().map(String::as_str);
        in_layers
            .filter_map(|a| a.section.name.as_deref())
            .chain(declared)
            .find(same)
            .unwrap_or(name)
            .to_owned()
    }
}

/// The section and key in `source.clicks.topic`, `tick.heartbeat` or `workers`.
fn split(path: &str) -> Option<(Section, String)> {
    let Some((kind, rest)) = path.split_once('.') else {
        return (!path.is_empty()).then(|| (Section::top(), path.to_owned()));
    };
    let (name, key) = if schema::section_named(kind).is_some_and(|s| s.named) {
        let (name, key) = rest.split_once('.')?;
        (Some(name), key)
    } else {
        (None, rest)
    };
    (!key.is_empty()).then(|| (Section::new(kind, name), key.to_owned()))
}

/// The value that a text of the environment or the command line is: itself, or the place of a secret.
pub(crate) fn value_of_text(text: &str) -> Value {
    match text.starts_with('{').then(|| file::secret_in(text)).flatten() {
        Some(secret) => Value::Secret(secret),
        None => Value::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
