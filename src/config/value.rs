//! Values as they were written, where they come from, and secrets, which are only ever named.

use super::units;
use crate::error::{Error, Result};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// A value before it is checked against what its key expects.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text; from the environment and the command line everything is text.
    Text(String),
    /// A whole number in the file.
    Integer(i64),
    /// `true` or `false` in the file.
    Bool(bool),
    /// The place of a secret.
    Secret(Secret),
    /// Something else in the file (a list, a float, a date), by the name of its type; no key takes it.
    Other(&'static str),
}

impl fmt::Display for Value {
    /// As it is written in TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => write!(f, "{}", quoted(text)),
            Value::Integer(number) => write!(f, "{number}"),
            Value::Bool(yes) => write!(f, "{yes}"),
            Value::Secret(secret) => write!(f, "{secret}"),
            Value::Other(kind) => write!(f, "({kind})"),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Value {
        Value::Bool(yes)
    }
}

impl From<std::time::Duration> for Value {
    fn from(duration: std::time::Duration) -> Value {
        Value::Text(units::show_duration(duration))
    }
}

/// `text` as a TOML basic string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// The layer that a value comes from, from the weakest to the strongest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Built in.
    Default,
    /// Said by the dataflow's code.
    Code,
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable, by name.
    Environment(String),
    /// `-D section.key=value`.
    Define,
    /// A flag of its own, by name: `--workers`.
    Flag(&'static str),
}

impl Origin {
    /// The layer's rank; the greater wins.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Origin::Default => 0,
            Origin::Code => 1,
            Origin::File { .. } => 2,
            Origin::Environment(_) => 3,
            Origin::Define => 4,
            Origin::Flag(_) => 5,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Code => f.write_str("code"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Define => f.write_str("-D"),
            Origin::Flag(name) => f.write_str(name),
        }
    }
}

/// Where a secret is. The secret itself is in no setting, log, snapshot or error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    /// In this environment variable.
    Env(String),
    /// In this file; one line end after it is cut.
    File(PathBuf),
}

impl Secret {
    /// The secret, read now.
    ///
    /// # Errors
    /// `Config` if the variable is not set or the file can't be read.
    pub fn reveal(&self) -> Result<Revealed> {
        let text = match self {
            Secret::Env(name) => std::env::var(name)
                .map_err(|_| Error::config(format!("the environment variable {name} is not set or not UTF-8, and a secret is expected there")))?,
            Secret::File(path) => std::fs::read_to_string(path)
                .map_err(|e| Error::config(format!("the secret in {} can't be read: {e}", path.display())))?,
        };
        let text =
            text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
        if text.is_empty() {
            return Err(Error::config(format!("the secret at {self} is empty")));
        }
        Ok(Revealed(text.to_owned()))
    }
}

impl fmt::Display for Secret {
    /// As it is written in TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Env(name) => write!(f, "{{ env = {} }}", quoted(name)),
            Secret::File(path) => write!(f, "{{ file = {} }}", quoted(&path.to_string_lossy())),
        }
    }
}

/// A secret in plain text; it does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Revealed(String);

impl Revealed {
    /// The plain text, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
