//! The one door to object storage. Nothing else here knows where objects lie.
//!
//! Methods block the calling thread, which must not be a timely worker; they may be called from any other. A change has
//! three outcomes that are never mixed: it happened (`Ok`), it did not ([`Kind::Retry`]), it may have ([`Kind::Undecided`]).

mod local;
mod probe;
mod runtime;
pub mod s3;

pub use local::Unfinished;

use crate::error::{Error, Kind, Result};
use crate::state::faults::{Fault, Faults, Op};
use bytes::Bytes;
use futures_util::StreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use runtime::Runtime;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// What became of [`Store::put_if_absent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object was made by this call.
    Created,
    /// There is an object of this name already; nothing was changed.
    Exists,
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// Its name: `kind/rest`, relative to the store.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A place that holds immutable objects by name. A clone is the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    url: String,
    objects: Arc<dyn ObjectStore>,
    /// The same objects by a client that asks once: tried again by itself, a create would meet its own first try and take it
    /// for another's.
    creates: Arc<dyn ObjectStore>,
    place: Place,
    runtime: Runtime,
    faults: Option<Arc<Faults>>,
}

/// What kind of store it is, where that makes a difference.
#[derive(Clone)]
enum Place {
    Memory,
    Directory(PathBuf),
    S3(Arc<s3::Target>),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.0.url)
    }
}

impl Store {
    /// An empty store in memory, for tests.
    ///
    /// # Errors
    /// `Internal` if the system gives no thread.
    pub fn in_memory() -> Result<Store> {
        let objects = Arc::new(InMemory::new());
        Store::new("memory".to_string(), objects.clone(), objects, Place::Memory)
    }

    /// The same objects seen through `faults`; the store itself stays whole.
    #[must_use]
    pub fn with_faults(&self, faults: Arc<Faults>) -> Store {
        Store(Arc::new(Inner {
            url: self.0.url.clone(),
            objects: Arc::clone(&self.0.objects),
            creates: Arc::clone(&self.0.creates),
            place: self.0.place.clone(),
            runtime: self.0.runtime.clone(),
            faults: Some(faults),
        }))
    }

    fn new(
        url: String,
        objects: Arc<dyn ObjectStore>,
        creates: Arc<dyn ObjectStore>,
        place: Place,
    ) -> Result<Store> {
        let runtime = Runtime::start()?;
        Ok(Store(Arc::new(Inner { url, objects, creates, place, runtime, faults: None })))
    }

    /// Where the store is, as it was given to [`Store::open`].
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Whether the store is a directory of this machine: a call that failed there is a fault of a disk, not of a network.
    pub fn is_local(&self) -> bool {
        matches!(self.0.place, Place::Directory(_))
    }

    /// The whole object, or `None` if there is none of this name.
    ///
    /// # Errors
    /// `Retry` if the store did not answer, `Config` if it refuses.
    pub fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let (objects, path) = self.target(name)?;
        self.call(Op::Get, name, async move {
            match objects.get(&path).await {
                Ok(found) => found.bytes().await.map(Some),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(e) => Err(e),
            }
        })
    }

    /// The bytes of an object in `range`, fewer if it ends before; `None` if there is no such object.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get_range(&self, name: &str, range: Range<u64>) -> Result<Option<Bytes>> {
        let (objects, path) = self.target(name)?;
        self.call(Op::Get, name, async move {
            if range.is_empty() {
                return Ok(Some(Bytes::new()));
            }
            let start = range.start;
            let failed = match objects.get_range(&path, range).await {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(e) => e,
            };
            // A range that begins beyond the end is an error of its own in every store.
            match objects.head(&path).await {
                Ok(meta) if meta.size <= start => Ok(Some(Bytes::new())),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                _ => Err(failed),
            }
        })
    }

    /// The size of an object in bytes, or `None` if there is none of this name.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn size(&self, name: &str) -> Result<Option<u64>> {
        let (objects, path) = self.target(name)?;
        self.call(Op::Get, name, async move {
            match objects.head(&path).await {
                Ok(meta) => Ok(Some(meta.size)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(e) => Err(e),
            }
        })
    }

    /// Makes the object or replaces it.
    ///
    /// # Errors
    /// `Retry`, `Undecided`, or `Config` if the store refuses.
    pub fn put(&self, name: &str, bytes: impl Into<Bytes>) -> Result<()> {
        let (objects, path) = self.target(name)?;
        let bytes = bytes.into();
        self.call(Op::Put, name, async move { objects.put(&path, bytes.into()).await.map(|_| ()) })
    }

    /// Makes the object if there is none of this name. Of several calls, from whatever process, at most one is answered
    /// with [`Put::Created`]. The store is asked once.
    ///
    /// # Errors
    /// As [`Store::put`]. After `Undecided` read the object to see whose it is.
    pub fn put_if_absent(&self, name: &str, bytes: impl Into<Bytes>) -> Result<Put> {
        let (_, path) = self.target(name)?;
        let objects = Arc::clone(&self.0.creates);
        let bytes = bytes.into();
        self.call(Op::Put, name, async move {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            match objects.put_opts(&path, bytes.into(), options).await {
                Ok(_) => Ok(Put::Created),
                Err(object_store::Error::AlreadyExists { .. }) => Ok(Put::Exists),
                Err(e) => Err(e),
            }
        })
    }

    /// Makes an object under a name that one writer alone uses. If it is there with these bytes it is one's own: an answer was lost,
    /// or something on the way has asked twice.
    ///
    /// # Errors
    /// As [`Store::put_if_absent`]; `Internal` if it is there with other bytes.
    pub fn put_own(&self, name: &str, bytes: impl Into<Bytes>) -> Result<()> {
        let bytes = bytes.into();
        if self.put_if_absent(name, bytes.clone())? == Put::Created
            || self.get(name)?.is_some_and(|found| found == bytes)
        {
            return Ok(());
        }
        Err(Error::internal(format!(
            "{name} in {} is there already with other bytes: two writers use one generation",
            self.url()
        )))
    }

    /// The objects whose names begin with `prefix` (whole path segments, like `segment`; empty for all), in the order of names.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.list_after(prefix, "")
    }

    /// The same, but only those whose names come after `after` in the order of names; a store over the network sends no others.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn list_after(&self, prefix: &str, after: &str) -> Result<Vec<Object>> {
        let (objects, path) = self.target(prefix)?;
        let (_, after) = self.target(after)?;
        let mut found = self.call(Op::List, prefix, async move {
            let below = (path != Path::default()).then_some(&path);
            let mut listed = match after == Path::default() {
                true => objects.list(below),
                false => objects.list_with_offset(below, &after),
            };
            let mut found = Vec::new();
            while let Some(meta) = listed.next().await {
                match meta {
                    // A store that does not know of an offset sends all.
                    Ok(meta) if meta.location <= after => {}
                    Ok(meta) => found.push(Object { name: meta.location.into(), bytes: meta.size }),
                    // Deleted while the listing went on.
                    Err(object_store::Error::NotFound { .. }) => {}
                    Err(e) => return Err(e),
                }
            }
            Ok(found)
        })?;
        found.sort();
        Ok(found)
    }

    /// Deletes the object; that there is none is success.
    ///
    /// # Errors
    /// As [`Store::put`]; deleting again is always safe.
    pub fn delete(&self, name: &str) -> Result<()> {
        let (objects, path) = self.target(name)?;
        self.call(Op::Delete, name, async move {
            match objects.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(e) => Err(e),
            }
        })
    }

    /// Deletes these objects, in any order; those that are gone are no error.
    ///
    /// # Errors
    /// As [`Store::delete`]; some may have been deleted.
    pub fn delete_all(&self, names: &[String]) -> Result<()> {
        let Some(first) = names.first() else { return Ok(()) };
        let objects = Arc::clone(&self.0.objects);
        let paths =
            names.iter().map(|name| Ok(self.target(name)?.1)).collect::<Result<Vec<_>>>()?;
        self.call(Op::Delete, first, async move {
            let paths = futures_util::stream::iter(paths.into_iter().map(Ok)).boxed();
            let mut deleted = objects.delete_stream(paths);
            while let Some(outcome) = deleted.next().await {
                match outcome {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(e) => return Err(e),
                }
            }
            Ok(())
        })
    }

    /// The object, for messages.
    fn place_of(&self, name: &str) -> String {
        match &self.0.place {
            Place::S3(target) => target.place_of(name),
            Place::Memory | Place::Directory(_) => format!("{}/{name}", self.0.url),
        }
    }

    fn target(&self, name: &str) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let path = Path::parse(name)
            .map_err(|e| Error::internal(format!("{name:?} is no object name: {e}")))?;
        Ok((Arc::clone(&self.0.objects), path))
    }

    fn call<T: Send + 'static>(
        &self,
        op: Op,
        name: &str,
        work: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T> {
        let fault = self.0.faults.as_ref().map_or(Fault::None, |faults| faults.next(op, name));
        let kind_lost = if op.changes() { Kind::Undecided } else { Kind::Retry };
        if fault == Fault::Before {
            return Err(Error::new(
                Kind::Retry,
                format!("{}/{name}: an injected fault before {op:?}", self.0.url),
            ));
        }
        let outcome = self.0.runtime.wait(work).map_err(|e| e.at(&self.0.url))?;
        if fault == Fault::After {
            return Err(Error::new(
                kind_lost,
                format!("{}/{name}: an injected loss of the answer to {op:?}", self.0.url),
            ));
        }
        outcome.map_err(|e| {
            if let Place::S3(target) = &self.0.place {
                return target.error(name, kind_lost, &e);
            }
            let kind = match e {
                object_store::Error::PermissionDenied { .. }
                | object_store::Error::Unauthenticated { .. }
                | object_store::Error::NotSupported { .. }
                | object_store::Error::NotImplemented { .. }
                | object_store::Error::InvalidPath { .. } => Kind::Config,
                _ => kind_lost,
            };
            Error::new(kind, format!("{}/{name}: {e}", self.0.url))
        })
    }
}

#[cfg(test)]
mod tests;
