//! Merging the layers and checking what comes out. Pure: assignments in, checked values or a list of problems out.
//!
//! 1. For each key the strongest layer wins, within a layer the later word.
//! 2. A section with variants takes its selector first (`connector`, `kind`). A value of a *weaker* layer that the chosen
//!    variant does not have is forgotten: who replaces the connector need not unsay the old one's keys.
//! 3. Each value is checked against its key; unknown keys, sections and names are refused with the nearest spelling.
//! 4. What is missing gets its default.
//! 5. Values that depend on each other are checked.

use super::kinds::{Typed, is_name};
use super::layers::{Assignment, Layered, Section};
use super::nearest::nearest;
use super::schema::{self, Absent, Key, SectionSpec};
use super::settings::Settings;
use super::value::{Origin, Secret, Value};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// A value after the merge.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    /// The checked value; absent for options of a connection, which are passed through.
    pub(crate) typed: Option<Typed>,
    pub(crate) origin: Origin,
}

/// The merged and checked configuration: every key with its value and where it comes from.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub(crate) sections: Vec<(Section, BTreeMap<String, Entry>)>,
}

impl Resolved {
    /// The typed settings.
    pub fn settings(&self) -> Settings {
        Settings::from_resolved(self)
    }

    /// The value of `source.clicks.topic` as it is written in TOML, and its origin.
    pub fn value(&self, path: &str) -> Option<(String, Origin)> {
        self.sections.iter().find_map(|(section, entries)| {
            let (_, entry) = entries.iter().find(|(key, _)| section.key(key) == path)?;
            Some((entry.value.to_string(), entry.origin.clone()))
        })
    }

    pub(crate) fn typed(&self, section: &Section, key: &str) -> Option<&Typed> {
        self.entries(section)?.get(key)?.typed.as_ref()
    }

    pub(crate) fn entries(&self, section: &Section) -> Option<&BTreeMap<String, Entry>> {
        self.sections.iter().find(|(s, _)| s == section).map(|(_, entries)| entries)
    }

    pub(crate) fn names(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.sections
            .iter()
            .filter(move |(s, _)| s.kind == kind)
            .filter_map(|(s, _)| s.name.as_deref())
    }

    /// The key with its value and where that was said.
    pub(super) fn said(&self, section: &Section, key: &str) -> String {
        match self.entries(section).and_then(|entries| entries.get(key)) {
            Some(entry) => format!("{} = {} ({})", section.key(key), entry.value, entry.origin),
            None => section.key(key),
        }
    }

    fn text(&self, section: &Section, key: &str) -> Option<&str> {
        match self.typed(section, key) {
            Some(Typed::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// Whether what stands at the key is a secret, so that it may only be named.
pub(crate) fn is_secret(section: &Section, key: &str) -> bool {
    let open = schema::section_named(&section.kind).is_some_and(|s| s.open);
    let known = schema::keys_of(&section.kind, None)
        .any(|k| k.name == key && matches!(k.kind, super::kinds::Kind::Secret));
    known
        || open
            && (key.ends_with("password")
                || key.contains("secret")
                || matches!(key, "ssl.key.pem" | "sasl.oauthbearer.config"))
}

pub(crate) fn resolve(layered: &Layered, dataflow: &str) -> Result<Resolved> {
    let mut merge = Merge {
        dataflow,
        layered,
        words: BTreeMap::new(),
        problems: Vec::new(),
        done: Resolved { sections: Vec::new() },
    };
    if !is_name(dataflow) {
        merge.problems.push(format!("the name {dataflow:?} of the dataflow is not made of up to 64 letters, digits, `-` and `_`"));
    }
    merge.gather();
    for spec in schema::SECTIONS {
        merge.sections_of(spec);
    }
    if merge.problems.is_empty() {
        merge.check_together();
    }
    if merge.problems.is_empty() {
        return Ok(merge.done);
    }
    Err(Error::config(merge.problems.join("\n")))
}

struct Merge<'a> {
    dataflow: &'a str,
    layered: &'a Layered,
    words: BTreeMap<Section, BTreeMap<String, Assignment>>,
    problems: Vec<String>,
    done: Resolved,
}

impl Merge<'_> {
    /// Step 1, and unknown sections.
    fn gather(&mut self) {
        for mut word in self.layered.gathered() {
            let Some(spec) = schema::section_named(&word.section.kind) else {
                let known = schema::SECTIONS.iter().map(|s| s.kind).filter(|kind| !kind.is_empty());
                self.problems.push(format!(
                    "unknown section [{}] ({}){}; allowed: {}",
                    word.section,
                    word.origin,
                    suggestion(&word.section.kind, known.clone()),
                    known.collect::<Vec<_>>().join(", ")
                ));
                continue;
            };
            if let Some(name) = word.section.name.as_deref().filter(|name| !is_name(name)) {
                self.problems.push(format!(
                    "the name {name:?} in [{}] ({}) is not made of up to 64 letters, digits, `-` and `_`",
                    word.section, word.origin
                ));
                continue;
            }
            if !spec.open {
                word.key = word.key.replace('-', "_");
            }
            let keys = self.words.entry(word.section.clone()).or_default();
            if word.key.is_empty() {
                continue;
            }
            match keys.get(&word.key) {
                Some(held) if held.origin.rank() > word.origin.rank() => {}
                _ => {
                    keys.insert(word.key.clone(), word);
                }
            }
        }
    }

    fn sections_of(&mut self, spec: &'static SectionSpec) {
        if !spec.named {
            return self.section(spec, &Section::new(spec.kind, None));
        }
        let declared = self.layered.declared.get(spec.kind);
        let mut allowed: Option<BTreeSet<String>> = declared.cloned();
        if spec.kind == "sink" {
            let letters = self.dead_letters();
            if let Some(allowed) = &mut allowed {
                allowed.extend(letters);
            }
        }
        let configured: BTreeSet<String> = self
            .words
            .keys()
            .filter(|s| s.kind == spec.kind)
            .filter_map(|s| s.name.clone())
            .collect();
        for name in configured
            .iter()
            .chain(declared.into_iter().flatten().filter(|d| !configured.contains(*d)))
        {
            let section = Section::new(spec.kind, Some(name));
            if let Some(allowed) = allowed.as_ref().filter(|allowed| !allowed.contains(name)) {
                let words = self.words.get(&section);
                let origin =
                    words.and_then(|w| w.values().next()).map(|w| format!(" ({})", w.origin));
                self.problems.push(format!(
                    "the dataflow {} has no {} {name:?}{}{}; it has: {}",
                    self.dataflow,
                    spec.kind,
                    origin.unwrap_or_default(),
                    suggestion(name, allowed.iter().map(String::as_str)),
                    listed(allowed.iter().map(String::as_str))
                ));
                continue;
            }
            self.section(spec, &section);
        }
    }

    /// Names of sinks that rejected records go to.
    fn dead_letters(&self) -> Vec<String> {
        let sources = self.done.names("source").map(|name| Section::new("source", Some(name)));
        sources
            .filter(|s| self.done.text(s, "on_error") == Some("dead-letter"))
            .filter_map(|s| self.done.text(&s, "dead_letter").map(str::to_owned))
            .collect()
    }

    /// Steps 2 to 4 for one section.
    fn section(&mut self, spec: &'static SectionSpec, section: &Section) {
        let mut words = self.words.get(section).cloned().unwrap_or_default();
        let mut entries = BTreeMap::new();
        let mut variant = None;
        if let Some(selector) = spec.selector {
            let key = schema::keys_of(spec.kind, None)
                .find(|key| key.name == selector)
                .expect("a test sees that each selector is a key");
            match self.entry(section, key, words.remove(selector)) {
                Some(entry) => {
                    if let Value::Text(chosen) = &entry.value {
                        variant = Some((chosen.clone(), entry.origin.clone()));
                    }
                    entries.insert(selector.to_owned(), entry);
                }
                // Without it nothing can be said about the other keys.
                None => return,
            }
        }
        let chosen = variant.as_ref().map(|(chosen, _)| chosen.as_str());
        for key in schema::keys_of(spec.kind, chosen).filter(|key| Some(key.name) != spec.selector)
        {
            if let Some(entry) = self.entry(section, key, words.remove(key.name)) {
                entries.insert(key.name.to_owned(), entry);
            }
        }
        for (key, word) in words {
            if spec.open {
                if let Some(entry) = self.option(section, &word) {
                    entries.insert(key, entry);
                }
            } else {
                self.unknown(spec, section, &word, variant.as_ref());
            }
        }
        self.done.sections.push((section.clone(), entries));
    }

    /// Step 3 for a key of the table; step 4 if nobody said anything.
    fn entry(&mut self, section: &Section, key: &Key, word: Option<Assignment>) -> Option<Entry> {
        let (value, origin) = match (word, key.default) {
            (Some(word), _) => (word.value, word.origin),
            (None, Absent::Is(text)) => (Value::Text(self.filled(section, text)), Origin::Default),
            (None, Absent::Unset(_)) => return None,
            (None, Absent::Required) => {
                self.problems.push(format!(
                    "{} is not set and has no default; allowed: {}",
                    section.key(key.name),
                    key.kind.allowed()
                ));
                return None;
            }
        };
        let checked = match (&value, key.kind) {
            // librdkafka options that the table knows are options still.
            (Value::Secret(_), super::kinds::Kind::Text) if section.kind == "connection" => {
                return Some(Entry { value, typed: None, origin });
            }
            _ => key.kind.check(&value, &origin),
        };
        match checked {
            Ok(typed) => {
                Some(Entry { value: canonical(&typed, value), typed: Some(typed), origin })
            }
            Err(wrong) => {
                let hidden = is_secret(section, key.name);
                let shown = if hidden { String::new() } else { format!(" = {value}") };
                self.problems.push(format!(
                    "{}{shown} ({origin}) {wrong}; allowed: {}{}",
                    section.key(key.name),
                    key.kind.allowed(),
                    match (&value, key.kind) {
                        (Value::Text(text), super::kinds::Kind::Choice(words)) =>
                            suggestion(text, words.iter().copied()),
                        _ => String::new(),
                    }
                ));
                None
            }
        }
    }

    /// An option of a connection that is passed through.
    fn option(&mut self, section: &Section, word: &Assignment) -> Option<Entry> {
        let name = section.key(&word.key);
        match &word.value {
            Value::Other(kind) => {
                self.problems.push(format!(
                    "{name} ({}) is {kind}; options of a connection are text, numbers, true or false",
                    word.origin
                ));
                None
            }
            Value::Secret(_) => {
                Some(Entry { value: word.value.clone(), typed: None, origin: word.origin.clone() })
            }
            _ if is_secret(section, &word.key) => {
                self.problems.push(format!(
                    "{name} ({}) is a secret and must be {{ env = \"..\" }} or {{ file = \"..\" }}, never the secret itself",
                    word.origin
                ));
                None
            }
            value => Some(Entry { value: value.clone(), typed: None, origin: word.origin.clone() }),
        }
    }

    /// A key that the section, or its chosen variant, does not have.
    fn unknown(
        &mut self,
        spec: &SectionSpec,
        section: &Section,
        word: &Assignment,
        variant: Option<&(String, Origin)>,
    ) {
        let chosen = variant.map(|(chosen, _)| chosen.as_str());
        let elsewhere = schema::keys_of(spec.kind, None).any(|key| key.name == word.key);
        if let Some((_, origin)) = variant
            && elsewhere
            && word.origin.rank() < origin.rank()
        {
            return; // Step 2.
        }
        let allowed: Vec<&str> = schema::keys_of(spec.kind, chosen).map(|key| key.name).collect();
        let place = match spec.kind {
            "" => "above all sections".to_owned(),
            _ => format!("in [{section}]"),
        };
        let what = match (chosen, spec.selector) {
            (Some(chosen), Some(selector)) if elsewhere => {
                format!(
                    "key {} {place} ({}) does not apply to {selector} {chosen:?}",
                    word.key, word.origin
                )
            }
            _ => format!(
                "unknown key {} {place} ({}){}",
                word.key,
                word.origin,
                suggestion(&word.key, allowed.iter().copied())
            ),
        };
        self.problems.push(format!("{what}; allowed: {}", allowed.join(", ")));
    }

    fn filled(&self, section: &Section, text: &str) -> String {
        let job = self.done.text(&Section::new("job", None), "name").unwrap_or(self.dataflow);
        text.replace("<dataflow>", self.dataflow)
            .replace("<job>", job)
            .replace("<name>", section.name.as_deref().unwrap_or_default())
    }

    /// Step 5.
    fn check_together(&mut self) {
        let mut problems = Vec::new();
        let tick = Section::new("tick", None);
        let (least, most) =
            (self.done.typed(&tick, "interval_min"), self.done.typed(&tick, "interval_max"));
        if let (Some(Typed::Duration(least)), Some(Typed::Duration(most))) = (least, most)
            && least > most
        {
            problems.push(format!(
                "{} is greater than {}",
                self.done.said(&tick, "interval_min"),
                self.done.said(&tick, "interval_max")
            ));
        }
        let connections: Vec<&str> = self.done.names("connection").collect();
        let sinks: Vec<&str> = self.done.names("sink").collect();
        for (section, _) in &self.done.sections {
            if let Some(name) =
                self.done.text(section, "connection").filter(|name| !connections.contains(name))
                && !self.layered.unconnected
            {
                problems.push(format!(
                    "{} names no [connection.{name}]{}; configured: {}; say -D connection.{name}.bootstrap.servers=HOST:PORT{}",
                    self.done.said(section, "connection"),
                    suggestion(name, connections.iter().copied()),
                    listed(connections.iter().copied()),
                    match section.kind.as_str() {
                        "source" | "sink" => format!(", or choose another {section}.connector"),
                        _ => String::new(),
                    }
                ));
            }
        }
        for letters in self.dead_letters().iter().filter(|name| !sinks.contains(&name.as_str())) {
            problems.push(format!(
                "rejected records go to sink {letters:?}, which is not configured; add [sink.{letters}] with a connector"
            ));
        }
        problems.extend(self.cluster_problems());
        problems.extend(super::s3::problems(&self.done));
        self.problems.extend(problems);
    }

    /// Why the processes that are told can't be one job.
    fn cluster_problems(&self) -> Vec<String> {
        let (cluster, log) = (Section::new("cluster", None), Section::new("log", None));
        let hosts = self.done.text(&cluster, "hosts").unwrap_or_default();
        let count = hosts.split(',').filter(|host| !host.trim().is_empty()).count();
        let mut problems = Vec::new();
        if let Some(Typed::Integer(process)) = self.done.typed(&cluster, "process")
            && *process >= (count as u64).max(1)
        {
            problems.push(format!(
                "{} is none of {}: processes are counted from 0, and cluster.hosts has an entry for each",
                self.said(&cluster, "process"),
                if count > 0 { self.said(&cluster, "hosts") } else { "one process".to_owned() },
            ));
        }
        if count < 2 {
            return problems;
        }
        if self.done.typed(&cluster, "secret").is_none() {
            problems.push(format!(
                "{} needs cluster.secret, the same for all processes: TIDEMARK_CLUSTER__SECRET, or {{ file = \"..\" }}",
                self.said(&cluster, "hosts")
            ));
        }
        if self.done.text(&log, "kind") == Some("file") {
            problems.push(format!(
                "{} serves one process, and {} has {count}: set log.kind = \"store\" or \"kafka\"",
                self.said(&log, "kind"),
                self.said(&cluster, "hosts")
            ));
        }
        problems
    }

    fn said(&self, section: &Section, key: &str) -> String {
        match self.done.entries(section).and_then(|entries| entries.get(key)) {
            Some(entry) => format!("{} = {} ({})", section.key(key), entry.value, entry.origin),
            None => section.key(key),
        }
    }
}

/// The value as it is shown: numbers and truth values of the text layers lose their quotes.
fn canonical(typed: &Typed, value: Value) -> Value {
    match (typed, &value) {
        (Typed::Bool(yes), _) => Value::Bool(*yes),
        (Typed::Integer(number), Value::Text(text))
            if text.bytes().all(|b| b.is_ascii_digit() || b == b'_') =>
        {
            i64::try_from(*number).map_or(value, Value::Integer)
        }
        _ => value,
    }
}

fn suggestion<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!(", did you mean {near}?"))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The text of a connection's option, or the place of its secret.
pub(crate) fn option_of(value: &Value) -> Result<String, Secret> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Bool(yes) => Ok(yes.to_string()),
        Value::Secret(secret) => Err(secret.clone()),
        Value::Other(kind) => Ok((*kind).to_owned()),
    }
}

#[cfg(test)]
mod tests;
