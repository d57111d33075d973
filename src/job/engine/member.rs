//! A process that does not lead: it joins process 0, hears where the generation goes on from, and does its share.

use super::super::claim;
use super::super::patience::persist;
use super::super::peers::{Begin, Order, Report, Told, Up, lost};
use super::super::shared::Shared;
use super::launch::Launch;
use super::{Connectors, LAST_WORD_TIME_MAX, Options, Running, restored, transports};
use crate::cluster::Event;
use crate::error::{Error, Kind, Result};
use crate::flow::{Build, Plan};
use crate::state::restore::Snapshot;
use crate::state::store::Store;
use crate::time::clock::Wall;
use std::sync::Arc;

/// What a process has to do with that does not lead; no tick log, and of sinks only the declarations.
pub(crate) struct Outsides {
    pub(crate) store: Store,
    pub(crate) connectors: Arc<dyn Connectors>,
    pub(crate) wall: Arc<dyn Wall>,
}

/// Follows process 0 until it has said where the generation goes on from, then runs this process's workers. `None` if the job
/// has ended before.
///
/// # Errors
/// Any kind; process 0 knows of it, or is the reason.
pub(crate) fn follow(
    build: Build,
    plan: &Plan,
    options: Options,
    outsides: Outsides,
    up: Up,
    shared: Arc<Shared>,
) -> Result<Option<Running>> {
    let (line, _port) = (up.line.clone(), Arc::clone(&up.port));
    launch(build, plan, options, outsides, up, shared).inspect_err(|error| {
        line.tell(&Report::Failed(Told::of(error)));
        line.close(LAST_WORD_TIME_MAX);
    })
}

fn launch(
    build: Build,
    plan: &Plan,
    options: Options,
    outsides: Outsides,
    up: Up,
    shared: Arc<Shared>,
) -> Result<Option<Running>> {
    let Outsides { store, connectors, wall } = outsides;
    let transports = transports(plan, connectors.as_ref())?;
    let Some((begin, snapshot)) = await_begin(&up, &store, &options)? else {
        up.line.close(LAST_WORD_TIME_MAX);
        return Ok(None);
    };
    let patience = options.start_time_max;
    persist("looking for the claim of process 0", patience, || same_store(&store, &begin))?;
    shared.update(|status| status.generation = begin.generation);
    let launch = Launch { build, plan, options, shared, wall, store, transports };
    launch.follow(begin, snapshot, up).map(Some)
}

/// Refuses a store in which process 0 has not claimed the generation: a snapshot's parts would lie in several.
fn same_store(store: &Store, begin: &Begin) -> Result<()> {
    let newest = claim::newest(store)?;
    let same = |claim: &claim::Claim| {
        claim.generation > begin.generation
            || (claim.generation, claim.nonce) == (begin.generation, begin.nonce)
    };
    if newest.as_ref().is_some_and(same) {
        return Ok(());
    }
    Err(Error::config(format!(
        "generation {} is not claimed in {}, which is not the store of process 0 then: `state` must name one store for all processes, \
         a directory that they share or an object store",
        begin.generation,
        store.url()
    )))
}

/// Waits for process 0 to have led so far, and verifies this process' share of the snapshots that it considers; gives the one with
/// which the generation begins. How long that takes is its matter: it is heard to live.
fn await_begin(
    up: &Up,
    store: &Store,
    options: &Options,
) -> Result<Option<(Begin, Option<Snapshot>)>> {
    let mut held: Option<Snapshot> = None;
    loop {
        match up.events.recv() {
            Ok(Event::Message { message: Order::Verify(manifest), .. }) => {
                // What was held of a snapshot that another process has found damaged is let go of first.
                held = None;
                let verdict = match restored::verified(store, &manifest, options) {
                    Ok(snapshot) => {
                        held = Some(snapshot);
                        Ok(())
                    }
                    Err(error) if error.kind() == Kind::Corrupt => Err(Told::of(&error)),
                    Err(error) => return Err(error),
                };
                up.line.send(0, &Report::Verified(verdict))?;
            }
            Ok(Event::Message { message: Order::Begin(begin), .. }) => {
                // One that is held but not named was found damaged by another process.
                let named = begin.manifest.as_deref();
                let snapshot = held.filter(|snapshot| Some(snapshot.name()) == named);
                if snapshot.is_none() && named.is_some() {
                    return Err(Error::internal(format!(
                        "process 0 begins with {named:?}, which this process was not asked to verify"
                    )));
                }
                return Ok(Some((*begin, snapshot)));
            }
            Ok(Event::Message { message: Order::Farewell(None), .. }) => return Ok(None),
            Ok(Event::Message { message: Order::Farewell(Some(told)), .. }) => {
                return Err(told.error(0));
            }
            Ok(Event::Message { message: Order::Ask(..), .. }) => {}
            Ok(Event::Lost { process, why }) => return Err(lost(process, &why)),
            Err(_) => return Err(Error::internal("the link with process 0 is closed")),
        }
    }
}
