//! A view's types, erased: reading keys that came as text, merging what the workers gave, writing rows as JSON. Runs on front tasks;
//! only the rows themselves are made on workers.

use super::QueryError;
use super::index::{Span, ViewRow};
use crate::ids::{Diff, Tick};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::marker::PhantomData;
use std::ops::Bound;

/// What a view is, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ViewDecl {
    /// The name, unique in the job.
    pub name: String,
    /// Whether rows are a key and a value; else a row is one thing.
    pub keyed: bool,
    /// The key's schema (the row's, if it has no key).
    pub key: String,
    /// The value's schema; empty if there is no key.
    pub value: String,
    /// How many released ticks can be read.
    pub history_ticks: u64,
}

/// Which rows are asked for. Keys are JSON, or plain text for keys that are strings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// This key only.
    pub key: Option<String>,
    /// Keys from this one on.
    pub from: Option<String>,
    /// Keys below this one.
    pub to: Option<String>,
    /// Rows after this one: [`Page::after`] of the page before.
    pub after: Option<String>,
    /// At most this many rows.
    pub limit: usize,
}

/// Rows as JSON objects, in the order of (key, value).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// `{"key":..,"value":..}`, or `{"row":..}` without a key; `"count"` too where it is not 1.
    pub rows: Vec<String>,
    /// Where the next page begins (JSON); absent if there is none.
    pub after: Option<String>,
}

/// What a worker is to read: a [`Span`] of the view's types.
pub type Plan = Box<dyn Any + Send>;

/// What a worker read, of the view's types: [`RowsPart`] or a vector of changes.
pub type Part = Box<dyn Any + Send>;

/// The rows that one worker has, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: DeserializeOwned, V: DeserializeOwned"))]
pub struct RowsPart<K, V> {
    /// At most as many as asked for.
    pub rows: Vec<(K, V, Diff)>,
    /// Whether there are more beyond them.
    pub more: bool,
}

/// The greatest size of a page's rows in bytes; a page ends early with a continuation.
pub const PAGE_BYTES_MAX: usize = 8 << 20;

/// A view without its types.
pub trait ViewKind: Send + Sync {
    /// What it is.
    fn decl(&self) -> &ViewDecl;

    /// What each worker is to read for `ask`. Called once a worker.
    ///
    /// # Errors
    /// `Bad` if a key is not of the view's key type; names the parameter, the text and the schema.
    fn plan(&self, ask: &Ask) -> Result<Plan, QueryError>;

    /// One page of what all workers gave.
    ///
    /// # Errors
    /// `Internal` if a row can't be written as JSON.
    fn page(&self, parts: Vec<Part>, limit: usize) -> Result<Page, QueryError>;

    /// The changes of one tick that all workers gave, as JSON objects `{"tick":..,"diff":..,"key":..,"value":..}`, in row order,
    /// retractions first within a key.
    ///
    /// # Errors
    /// As [`ViewKind::page`].
    fn changes(&self, tick: Tick, parts: Vec<Part>) -> Result<Vec<String>, QueryError>;

    /// A plan, rows or changes as JSON, to be sent to another process.
    ///
    /// # Errors
    /// `Internal` if a row can't be written as JSON.
    fn send(&self, what: &Sent) -> Result<String, QueryError>;

    /// What [`ViewKind::send`] made a text of: a plan, rows or changes as `form` says.
    ///
    /// # Errors
    /// `Internal` if the text is another's.
    fn receive(&self, form: Form, text: &str) -> Result<Part, QueryError>;
}

/// What goes from process to process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A [`Plan`].
    Plan,
    /// A [`RowsPart`].
    Rows,
    /// The changes of one tick.
    Changes,
}

/// One of the view's things, and which.
pub type Sent = (Form, Part);

/// A view with its types. Rows without a key are `Kind<D, ()>`.
#[derive(Debug)]
pub struct Kind<K, V> {
    decl: ViewDecl,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: ViewRow, V: ViewRow> Kind<K, V> {
    /// The view that `decl` describes.
    pub fn new(decl: ViewDecl) -> Kind<K, V> {
        Kind { decl, types: PhantomData }
    }

    fn key(&self, parameter: &str, text: &str) -> Result<K, QueryError> {
        parse(text).map_err(|why| {
            QueryError::Bad(format!(
                "{parameter}={text} is no key of view {}: expected {} as JSON ({why})",
                self.decl.name, self.decl.key
            ))
        })
    }

    /// The inside of a row's JSON object.
    fn write(&self, key: &K, value: &V) -> Result<String, QueryError> {
        let json = |result: serde_json::Result<String>| {
            result.map_err(|why| {
                QueryError::Internal(format!(
                    "a row of view {} can't be written as JSON: {why}",
                    self.decl.name
                ))
            })
        };
        let key = json(serde_json::to_string(key))?;
        if !self.decl.keyed {
            return Ok(format!("\"row\":{key}"));
        }
        Ok(format!("\"key\":{key},\"value\":{}", json(serde_json::to_string(value))?))
    }
}

/// A key from JSON, or from the text itself.
fn parse<K: DeserializeOwned>(text: &str) -> serde_json::Result<K> {
    serde_json::from_str(text).or_else(|why| {
        // A key that is a string need not be quoted.
        serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|_| why)
    })
}

impl<K: ViewRow, V: ViewRow> ViewKind for Kind<K, V> {
    fn decl(&self) -> &ViewDecl {
        &self.decl
    }

    fn plan(&self, ask: &Ask) -> Result<Plan, QueryError> {
        let mut span = Span::<K, V>::all(ask.limit);
        if let Some(text) = &ask.key {
            span = Span::point(self.key("key", text)?, ask.limit);
        }
        if let Some(text) = &ask.from {
            span.from = Bound::Included(self.key("from", text)?);
        }
        if let Some(text) = &ask.to {
            span.to = Bound::Excluded(self.key("to", text)?);
        }
        if let Some(text) = &ask.after {
            let row: (K, V) = serde_json::from_str(text).map_err(|why| {
                QueryError::Bad(format!(
                    "next= is no continuation of view {}: {why}",
                    self.decl.name
                ))
            })?;
            span.after = Some(row);
        }
        Ok(Box::new(span))
    }

    fn page(&self, parts: Vec<Part>, limit: usize) -> Result<Page, QueryError> {
        let mut rows = Vec::new();
        // Beyond the last row of a worker that has more, nothing is known.
        let mut known_to: Option<(K, V)> = None;
        for part in parts {
            let part = *part.downcast::<RowsPart<K, V>>().map_err(|_| foreign(&self.decl.name))?;
            if let Some((key, value, _)) = part.rows.last().filter(|_| part.more) {
                let last = (key.clone(), value.clone());
                known_to = Some(known_to.map_or(last.clone(), |known| known.min(last)));
            }
            rows.extend(part.rows.into_iter().map(|(key, value, diff)| ((key, value), diff)));
        }
        super::index::consolidate(&mut rows);
        let mut page = Page::default();
        let mut bytes = 0;
        let mut last = None;
        for (row, diff) in rows {
            if known_to.as_ref().is_some_and(|known| row > *known) {
                break;
            }
            if page.rows.len() == limit || bytes > PAGE_BYTES_MAX {
                page.after = self.after(last)?;
                return Ok(page);
            }
            let inside = self.write(&row.0, &row.1)?;
            let count = if diff == 1 { String::new() } else { format!(",\"count\":{diff}") };
            bytes += inside.len();
            page.rows.push(format!("{{{inside}{count}}}"));
            last = Some(row);
        }
        page.after = self.after(known_to)?;
        Ok(page)
    }

    fn changes(&self, tick: Tick, parts: Vec<Part>) -> Result<Vec<String>, QueryError> {
        let mut rows: Vec<((K, V), Diff)> = Vec::new();
        for part in parts {
            let part = part.downcast::<Vec<((K, V), Diff)>>();
            rows.extend(*part.map_err(|_| foreign(&self.decl.name))?);
        }
        super::index::consolidate(&mut rows);
        rows.sort_by(|((k, v), d), ((l, w), e)| {
            k.cmp(l).then(d.signum().cmp(&e.signum())).then(v.cmp(w))
        });
        let write = |((key, value), diff): &((K, V), Diff)| {
            let inside = self.write(key, value)?;
            Ok(format!("{{\"tick\":{tick},\"diff\":{diff},{inside}}}"))
        };
        rows.iter().map(write).collect()
    }

    fn send(&self, (form, what): &Sent) -> Result<String, QueryError> {
        let text = match form {
            Form::Plan => what.downcast_ref::<Span<K, V>>().map(serde_json::to_string),
            Form::Rows => what.downcast_ref::<RowsPart<K, V>>().map(serde_json::to_string),
            Form::Changes => what.downcast_ref::<Vec<((K, V), Diff)>>().map(serde_json::to_string),
        };
        text.ok_or_else(|| foreign(&self.decl.name))?.map_err(|why| self.unsendable(&why))
    }

    fn receive(&self, form: Form, text: &str) -> Result<Part, QueryError> {
        fn read<T: DeserializeOwned + Send + 'static>(text: &str) -> serde_json::Result<Part> {
            Ok(Box::new(serde_json::from_str::<T>(text)?))
        }
        let part = match form {
            Form::Plan => read::<Span<K, V>>(text),
            Form::Rows => read::<RowsPart<K, V>>(text),
            Form::Changes => read::<Vec<((K, V), Diff)>>(text),
        };
        part.map_err(|why| self.unsendable(&why))
    }
}

impl<K: ViewRow, V: ViewRow> Kind<K, V> {
    fn unsendable(&self, why: &serde_json::Error) -> QueryError {
        QueryError::Internal(format!(
            "rows of view {} can't go from process to process as JSON: {why}",
            self.decl.name
        ))
    }

    fn after(&self, row: Option<(K, V)>) -> Result<Option<String>, QueryError> {
        let write = |row: (K, V)| {
            serde_json::to_string(&row).map_err(|why| QueryError::Internal(why.to_string()))
        };
        row.map(write).transpose()
    }
}

fn foreign(view: &str) -> QueryError {
    QueryError::Internal(format!(
        "a worker answered with rows of another type than view {view} has"
    ))
}

#[cfg(test)]
mod tests;
