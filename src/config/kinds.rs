//! What a key takes: type, unit and range, and the check of a value against it.

use super::units;
use super::value::{Origin, Secret, Value};
use std::time::Duration;

/// What a key takes. Durations and sizes give their range as it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Any text but the empty one.
    Text,
    /// Letters, digits, `-` and `_`.
    Name,
    /// A name of a Kafka topic.
    Topic,
    /// `true` or `false`.
    Bool,
    /// A whole number from, to.
    Integer(u64, u64),
    /// From, to.
    Duration(&'static str, &'static str),
    /// From, to.
    Size(&'static str, &'static str),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `host:port`.
    Address,
    /// Where reading begins.
    Start,
    /// One ASCII character.
    Character,
    /// The place of a secret.
    Secret,
}

/// A checked value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Typed {
    Text(String),
    Bool(bool),
    Integer(u64),
    Duration(Duration),
    Secret(Secret),
}

impl Kind {
    /// What is allowed, in words.
    pub(crate) fn allowed(self) -> String {
        match self {
            Kind::Text => "text".into(),
            Kind::Name => "up to 64 letters, digits, `-` and `_`".into(),
            Kind::Topic => "up to 249 letters, digits, `.`, `-` and `_`".into(),
            Kind::Bool => "true or false".into(),
            Kind::Integer(from, to) => format!("a whole number from {from} to {to}"),
            Kind::Duration(from, to) => format!("a duration from {from} to {to}"),
            Kind::Size(from, to) => format!("a size from {from} to {to}"),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::Address => "an address and a port, such as 127.0.0.1:8090".into(),
            Kind::Start => {
                "earliest, latest, offset:N, offset:PARTITION=N,PARTITION=N or timestamp-ms:N"
                    .into()
            }
            Kind::Character => "one ASCII character".into(),
            Kind::Secret => "{ env = \"..\" } or { file = \"..\" }, never the secret itself".into(),
        }
    }

    /// The value, checked. From the file numbers must be numbers; from elsewhere everything is text.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence.
    pub(crate) fn check(self, value: &Value, origin: &Origin) -> Result<Typed, String> {
        let from_file = matches!(origin, Origin::File { .. });
        match (self, value) {
            (Kind::Secret, Value::Secret(secret)) => Ok(Typed::Secret(secret.clone())),
            (Kind::Bool, Value::Bool(yes)) => Ok(Typed::Bool(*yes)),
            (Kind::Bool, Value::Text(text)) if !from_file => match text.as_str() {
                "true" => Ok(Typed::Bool(true)),
                "false" => Ok(Typed::Bool(false)),
                _ => Err("is neither true nor false".into()),
            },
            (Kind::Integer(from, to), Value::Integer(number)) => {
                within(u64::try_from(*number).ok(), from, to).map(Typed::Integer)
            }
            (Kind::Integer(from, to), Value::Text(text)) if !from_file => {
                let digits = text.trim().replace('_', "");
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err("is not a whole number".into());
                }
                within(digits.parse().ok(), from, to).map(Typed::Integer)
            }
            (Kind::Duration(from, to), Value::Text(text)) => {
                let found = units::duration(text)?;
                if found < bound(units::duration(from)) || found > bound(units::duration(to)) {
                    return Err("is out of range".into());
                }
                Ok(Typed::Duration(found))
            }
            (Kind::Size(from, to), Value::Text(text)) => {
                let (from, to) = (bound(units::size(from)), bound(units::size(to)));
                within(Some(units::size(text)?), from, to).map(Typed::Integer)
            }
            (Kind::Duration(..) | Kind::Size(..), Value::Integer(_)) => Err("has no unit".into()),
            (Kind::Secret, _) => Err("is not the place of a secret".into()),
            (_, Value::Text(text)) => self.check_text(text).map(|()| Typed::Text(text.clone())),
            (_, other) => Err(format!("is {}", type_of(other))),
        }
    }

    fn check_text(self, text: &str) -> Result<(), String> {
        let fine = match self {
            Kind::Name => is_name(text),
            Kind::Topic => {
                (1..=249).contains(&text.len())
                    && text != "."
                    && text != ".."
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            }
            Kind::Choice(words) => words.contains(&text),
            Kind::Address => text
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()),
            Kind::Start => super::connectors::Start::parse(text).is_some(),
            Kind::Text => !text.is_empty(),
            Kind::Character => text.len() == 1,
            Kind::Bool | Kind::Integer(..) | Kind::Duration(..) | Kind::Size(..) | Kind::Secret => {
                return Err("is text".into());
            }
        };
        if fine { Ok(()) } else { Err("is not allowed".into()) }
    }
}

/// Whether `text` can be a name of a source, sink, view, connection or job.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

fn bound<T>(parsed: Result<T, String>) -> T {
    parsed.expect("the bounds in the table are read by a test")
}

fn within(found: Option<u64>, from: u64, to: u64) -> Result<u64, String> {
    found.filter(|n| (from..=to).contains(n)).ok_or_else(|| "is out of range".to_owned())
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "text",
        Value::Integer(_) => "a number",
        Value::Bool(_) => "true or false",
        Value::Secret(_) => "the place of a secret",
        Value::Other(kind) => kind,
    }
}
