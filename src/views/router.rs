//! The front's end of the queries: asks every worker at one tick, merges their ordered answers, limits and continues.
//!
//! A view's keys may live on any worker, so all are asked. One query is at one tick on all of them.

use super::QueryError;
use super::inbox::{Inbox, Refusal, Reply, Request, inbox};
use super::index::{Miss, Size};
use super::kind::{Ask, Page, ViewDecl, ViewKind};
use super::released::Released;
use crate::ids::Tick;
use crate::sources::Waker;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::mpsc::TrySendError;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::oneshot;

/// How often a query for the newest tick is asked again because the tick left the history on the way.
const NEWEST_TRIES: usize = 5;

/// Takes a request to one worker, without waiting.
pub(crate) type Port = Arc<dyn Fn(Request) -> Result<(), QueryError> + Send + Sync>;

/// The way to all workers of the job, as far as this process is to ask them.
pub struct Router {
    released: Arc<Released>,
    ports: RwLock<BTreeMap<usize, Port>>,
    workers: usize,
    views: RwLock<BTreeMap<String, Arc<dyn ViewKind>>>,
}

/// At which tick a query is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest released.
    Newest,
    /// This one.
    Tick(Tick),
}

/// A view and how large it is, all workers together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ViewStatus {
    /// What it is.
    #[serde(flatten)]
    pub decl: ViewDecl,
    /// Rows, kept changes, bytes.
    #[serde(flatten)]
    pub size: Size,
    /// The oldest tick that can be read on every worker.
    pub oldest_tick: Tick,
}

impl Router {
    /// A router to `workers` workers, none of which is there yet.
    pub fn new(workers: usize, released: Arc<Released>) -> Router {
        Router { released, ports: RwLock::default(), workers, views: RwLock::default() }
    }

    /// The inbox of worker `index`, which is in this process; `waker` is called after each request.
    pub fn attach(&self, index: usize, waker: Waker) -> Inbox {
        let (requests, inbox) = inbox(waker.clone());
        let port = move |request| {
            requests.try_send(request).map_err(|error| match error {
                TrySendError::Full(_) => QueryError::Busy,
                TrySendError::Disconnected(_) => QueryError::Away,
            })?;
            waker();
            Ok(())
        };
        self.attach_port(index, Arc::new(port));
        inbox
    }

    /// Lets `port` take the requests to worker `index`.
    pub(crate) fn attach_port(&self, index: usize, port: Port) {
        self.ports.write().unwrap_or_else(PoisonError::into_inner).insert(index, port);
    }

    /// Sends a request to worker `index`, without waiting.
    pub(super) fn send(&self, index: usize, request: Request) -> Result<(), QueryError> {
        let ports = self.ports.read().unwrap_or_else(PoisonError::into_inner);
        let port = ports.get(&index).cloned().ok_or(QueryError::Away)?;
        drop(ports);
        port(request)
    }

    /// Makes a view known. Every worker may say it; the first counts.
    pub fn declare(&self, kind: Arc<dyn ViewKind>) {
        let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
        views.entry(kind.decl().name.clone()).or_insert(kind);
    }

    /// The view of this name.
    ///
    /// # Errors
    /// `NoSuchView`, naming those there are.
    pub fn view(&self, name: &str) -> Result<Arc<dyn ViewKind>, QueryError> {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        views.get(name).cloned().ok_or_else(|| QueryError::NoSuchView {
            view: name.to_owned(),
            known: views.keys().cloned().collect(),
        })
    }

    /// Every view, in the order of names.
    pub fn views(&self) -> Vec<ViewDecl> {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        views.values().map(|kind| kind.decl().clone()).collect()
    }

    /// The newest released tick.
    pub fn released(&self) -> &Arc<Released> {
        &self.released
    }

    /// The tick that was answered at, and the rows.
    ///
    /// # Errors
    /// Any [`QueryError`]. Times are the caller's to limit.
    pub async fn query(&self, view: &str, ask: &Ask, at: At) -> Result<(Tick, Page), QueryError> {
        let kind = self.view(view)?;
        let mut tries = 0;
        loop {
            let released = self.released.now();
            let tick = match at {
                At::Newest => released,
                At::Tick(tick) if tick > released => {
                    return Err(QueryError::NotReleased { released });
                }
                At::Tick(tick) => tick,
            };
            match self.query_at(kind.as_ref(), ask, tick).await {
                Err(QueryError::Gone { .. }) if at == At::Newest && tries < NEWEST_TRIES => {
                    tries += 1
                }
                other => return other.map(|page| (tick, page)),
            }
        }
    }

    async fn query_at(
        &self,
        kind: &dyn ViewKind,
        ask: &Ask,
        tick: Tick,
    ) -> Result<Page, QueryError> {
        let name = &kind.decl().name;
        let mut plans = Vec::new();
        for _ in 0..self.workers {
            plans.push(kind.plan(ask)?);
        }
        let pin = ask.key.is_none();
        let parts = self.ask_all(|reply| {
            let plan = plans.pop().expect("there is one for each worker");
            Request::Rows { view: name.clone(), tick, plan, pin, reply }
        });
        kind.page(parts.await?, ask.limit)
    }

    /// Changes of ticks from `from` on, tick by tick as JSON objects, and the tick through which they are complete: `to`, or an
    /// earlier one if there are more than `rows_max` changes.
    ///
    /// # Errors
    /// `Gone` with the oldest tick that can be followed, or another [`QueryError`].
    pub async fn changes(
        &self,
        view: &str,
        from: Tick,
        to: Tick,
        rows_max: usize,
    ) -> Result<(Vec<(Tick, Vec<String>)>, Tick), QueryError> {
        let kind = self.view(view)?;
        let view = view.to_owned();
        let asked = self.ask_all(|reply| Request::Changes {
            view: view.clone(),
            from,
            to,
            rows_max,
            reply,
        });
        let parts = asked.await?;
        let through = parts.iter().map(|part| part.through).min().unwrap_or(to);
        let mut ticks: BTreeMap<Tick, Vec<_>> = BTreeMap::new();
        for (tick, part) in parts.into_iter().flat_map(|part| part.ticks) {
            if tick <= through {
                ticks.entry(tick).or_default().push(part);
            }
        }
        let rows = ticks.into_iter().map(|(tick, parts)| Ok((tick, kind.changes(tick, parts)?)));
        Ok((rows.collect::<Result<_, QueryError>>()?, through))
    }

    /// How large a view is.
    ///
    /// # Errors
    /// Any [`QueryError`] but those about ticks.
    pub async fn status(&self, view: &str) -> Result<ViewStatus, QueryError> {
        let decl = self.view(view)?.decl().clone();
        let parts = self.ask_all(|reply| Request::Size { view: view.to_owned(), reply }).await?;
        let mut size = Size::default();
        for (part, _) in &parts {
            size.rows += part.rows;
            size.changes += part.changes;
            size.bytes += part.bytes;
        }
        let oldest_tick = parts.iter().map(|(_, (oldest, _))| *oldest).max().unwrap_or(0);
        Ok(ViewStatus { decl, size, oldest_tick })
    }

    /// Sends a request to each worker, without waiting.
    pub(super) fn send_all(&self, mut make: impl FnMut() -> Request) -> Result<(), QueryError> {
        let ports: Vec<Port> = {
            let ports = self.ports.read().unwrap_or_else(PoisonError::into_inner);
            ports.values().cloned().collect()
        };
        if ports.len() < self.workers {
            return Err(QueryError::Away);
        }
        for port in ports {
            port(make())?;
        }
        Ok(())
    }

    async fn ask_all<T>(
        &self,
        mut make: impl FnMut(Reply<T>) -> Request,
    ) -> Result<Vec<T>, QueryError> {
        let mut answers = Vec::new();
        self.send_all(|| {
            let (reply, answer) = oneshot::channel();
            answers.push(answer);
            make(reply)
        })?;
        let mut parts = Vec::new();
        let mut gone: Option<Tick> = None;
        for answer in answers {
            match answer.await {
                Ok(Ok(part)) => parts.push(part),
                // Every worker's word on this counts: what all of them have begins at the greatest.
                Ok(Err(Refusal::Miss(Miss::Gone { oldest }))) => gone = gone.max(Some(oldest)),
                Ok(Err(Refusal::Miss(miss))) => return Err(miss.into()),
                Ok(Err(Refusal::Busy)) => return Err(QueryError::Busy),
                Ok(Err(Refusal::Failed(why))) => return Err(QueryError::Internal(why)),
                Ok(Err(Refusal::NoSuchView)) | Err(_) => return Err(QueryError::Away),
            }
        }
        match gone {
            Some(oldest) => Err(QueryError::Gone { oldest }),
            None => Ok(parts),
        }
    }
}
