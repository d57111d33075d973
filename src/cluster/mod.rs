//! How the processes of one job find, prove and hear each other. What they say, ticks and dataflows, is not known here.
//!
//! Every process has one [`Port`], open for its whole life. The steps, in order:
//!
//! 1. [`Port::open`] listens. Whoever connects proves the [`Secret`] and says what it wants (`doc/formats/cluster.md`);
//!    what is wrong is refused and disturbs nobody.
//! 2. [`Port::join`]: each process above 0 has with process 0 a connection for messages and one for heartbeats. On process
//!    0 it returns when all are there, on the others when process 0 is.
//! 3. Process 0 tells the others its generation and nonce in a message of the caller's.
//! 4. [`Port::mesh`]: every pair of processes has a connection of that generation, for timely.
//!
//! With [`Tls`] each of them is encrypted below all this; who uses them sees no difference.
//!
//! From step 2 on, a process that closes, breaks, or is silent for [`Limits::heartbeat_limit`] is an [`Event::Lost`], once.
//!
//! ```text
//! process 0    open -> join .............. -> send_all(generation, nonce) -> mesh -> timely
//! process p    open -> join -> (a message) ...................................-> mesh -> timely
//! ```

mod complaints;
mod dial;
mod entrance;
mod frame;
mod hall;
mod handshake;
mod heartbeat;
mod join;
mod link;
mod members;
mod mesh;
mod peer;
mod port;
mod pump;
mod refusal;
mod room;
mod seats;
mod secret;
mod socket;
mod tls;
mod wire;

#[cfg(test)]
mod tests;

pub(crate) use link::{Control, Event};
pub(crate) use members::{Limits, Members};
pub(crate) use port::Port;
pub(crate) use secret::Secret;
pub(crate) use socket::Socket;
pub(crate) use tls::{Pem, Tls};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The lock of `mutex`; what a thread that panicked left behind is whole, since nothing here is changed in two steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
