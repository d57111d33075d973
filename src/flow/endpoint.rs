//! Endpoints: what the code says about the transport of a source or sink. It is the default; configuration replaces it by name.

use std::collections::BTreeMap;
use std::marker::PhantomData;

/// Marks an endpoint that takes rows which only come.
#[derive(Clone, Copy, Debug)]
pub struct Append;
/// Marks an endpoint that holds the last row of each key.
#[derive(Clone, Copy, Debug)]
pub struct Upsert;
/// Marks an endpoint that takes every change with its diff.
#[derive(Clone, Copy, Debug)]
pub struct Changelog;

/// A transport and a format for rows of `D`; `M` is what a sink does with changes.
#[derive(Clone, Debug)]
pub struct Endpoint<D, M = Append> {
    pub(crate) keys: BTreeMap<String, String>,
    rows: PhantomData<fn() -> (D, M)>,
}

/// A transport that waits for its format.
#[derive(Clone, Debug)]
pub struct Transport {
    keys: BTreeMap<String, String>,
}

impl Transport {
    fn new(connector: &str) -> Transport {
        Transport { keys: BTreeMap::new() }.with("connector", connector)
    }

    /// Sets one key of the transport's configuration, as it stands in `[source.NAME]` or `[sink.NAME]`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Transport {
        self.keys.insert(key.to_owned(), value.to_string());
        self
    }

    fn format<D>(self, format: &str) -> Endpoint<D> {
        Endpoint { keys: self.with("format", format).keys, rows: PhantomData }
    }

    /// Rows as JSON objects.
    pub fn json<D>(self) -> Endpoint<D> {
        self.format("json")
    }

    /// Rows as lines of comma-separated values with a header.
    pub fn csv<D>(self) -> Endpoint<D> {
        self.format("csv")
    }
}

impl<D, M> Endpoint<D, M> {
    /// Sets one key of the configuration, as it stands in `[source.NAME]` or `[sink.NAME]`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.keys.insert(key.to_owned(), value.to_string());
        self
    }
}

impl<D> Endpoint<D, Append> {
    fn mode<M>(mut self, mode: &str) -> Endpoint<D, M> {
        self.keys.insert("mode".to_owned(), mode.to_owned());
        Endpoint { keys: self.keys, rows: PhantomData }
    }

    /// A sink that holds the last row of each key; a key that goes is written as a tombstone.
    #[must_use]
    pub fn upsert(self) -> Endpoint<D, Upsert> {
        self.mode("upsert")
    }

    /// A sink that takes every change: `{"key": .., "value": .., "diff": 1 or -1}`.
    #[must_use]
    pub fn changelog(self) -> Endpoint<D, Changelog> {
        self.mode("changelog")
    }
}

/// Apache Kafka.
pub mod kafka {
    use super::Transport;

    /// A topic, by name.
    pub fn topic(name: &str) -> Transport {
        Transport::new("kafka").with("topic", name)
    }
}

/// Files.
pub mod file {
    use super::Transport;

    /// A file or a directory.
    pub fn path(path: &str) -> Transport {
        Transport::new("file").with("path", path)
    }
}

/// Generated input.
pub mod nexmark {
    use super::{Endpoint, Transport};

    /// Nexmark events, endless and as fast as they are read, unless `rate` and `events` are set.
    pub fn events<D>() -> Endpoint<D> {
        Endpoint { keys: Transport::new("nexmark").keys, rows: std::marker::PhantomData }
    }
}

/// Standard output.
pub mod stdout {
    use super::{Endpoint, Transport};

    /// One JSON object a line.
    pub fn json<D>() -> Endpoint<D> {
        Transport::new("stdout").json()
    }
}
