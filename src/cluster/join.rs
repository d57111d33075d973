//! Every process above 0 joins process 0: two connections, one for messages and one for heartbeats.

use super::dial::{NotYet, dial, keep_trying};
use super::link::{Control, Event, OnEvent};
use super::lock;
use super::peer::Peer;
use super::port::{Inner, Port};
use super::wire::Purpose;
use crate::error::{Error, Kind, Result};
use crate::ids::Generation;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, PoisonError};

impl Port {
    /// Joins the other processes: returns on process 0 when all are there, on the others when process 0 has let them in. Call
    /// it once.
    ///
    /// `on_event` is called by threads of the cluster, even before this returns, and must not block for long. Messages of one
    /// process come in the order in which they were sent, and its loss comes last.
    ///
    /// # Errors
    /// After [`super::Limits::join_time_max`]: `Retry` if a process can't be reached or did not come, `Config` if it refuses or
    /// was refused. `Internal` if threads can't be started.
    pub(crate) fn join<Out, In>(
        &self,
        on_event: impl Fn(Event<In>) + Send + Sync + 'static,
    ) -> Result<Control<Out>>
    where
        Out: Serialize,
        In: DeserializeOwned + 'static,
    {
        let inner = &self.inner;
        let members = &inner.members;
        let peers =
            if members.process == 0 { inner.await_all()? } else { vec![inner.join_first()?] };
        let on_event: OnEvent<In> = Arc::new(on_event);
        Control::start(&peers, members.hosts.len(), &members.limits, &on_event).map_err(|e| {
            Error::internal(format!(
                "the threads for messages between processes can't be started: {e}"
            ))
        })
    }
}

impl Inner {
    /// Process 0 waits until every other one sits.
    fn await_all(&self) -> Result<Vec<Arc<Peer>>> {
        let others = 1..self.members.hosts.len();
        let time_max = self.members.limits.join_time_max;
        let missing = |seats: &mut super::seats::Seats| {
            others.clone().any(|process| seats.peer(process).is_none())
        };
        let waited = self.changed.wait_timeout_while(lock(&self.seats), time_max, missing);
        let mut seats = waited.unwrap_or_else(PoisonError::into_inner).0;
        if missing(&mut seats) {
            let absent = others.filter(|process| seats.peer(*process).is_none());
            let absent: Vec<_> = absent
                .map(|process| (self.members.called(process), seats.refusal(process)))
                .collect();
            return Err(not_all(&absent).at(format!("after {time_max:?}")));
        }
        let peers: Vec<_> = others.filter_map(|process| seats.peer(process).cloned()).collect();
        // Under the lock, so that none of them makes room for another any more.
        peers.iter().for_each(|peer| peer.begin_reading());
        Ok(peers)
    }

    /// A process above 0 joins process 0. If the second connection does not come about the first is given up with it, since
    /// process 0 may be another one by then.
    fn join_first(&self) -> Result<Arc<Peer>> {
        let mine = (Generation(0), self.instance);
        let peer = keep_trying(
            &format!("joining {}", self.members.called(0)),
            self.members.limits.join_time_max,
            || Ok(()),
            || {
                let control = dial(self, 0, Purpose::Control, mine)?;
                let heartbeat = dial(self, 0, Purpose::Heartbeat, mine)?;
                let limit = self.members.limits.heartbeat_limit;
                Peer::start(0, Arc::new(control), Arc::new(heartbeat), limit).map_err(|e| NotYet {
                    kind: Kind::Retry,
                    why: format!("no thread can be started: {e}"),
                })
            },
        )?;
        lock(&self.seats).sit(0, Arc::clone(&peer));
        Ok(peer)
    }
}

/// What to say when these did not come, each with why it was refused last.
fn not_all(absent: &[(String, Option<&str>)]) -> Error {
    let refused = absent.iter().any(|(_, refusal)| refusal.is_some());
    let kind = if refused { Kind::Config } else { Kind::Retry };
    let each = absent.iter().map(|(called, refusal)| match refusal {
        Some(refusal) => format!("{called} was refused ({refusal})"),
        None => format!("{called} did not come"),
    });
    Error::new(kind, each.collect::<Vec<_>>().join("; "))
}
