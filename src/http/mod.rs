//! The job's doors for people and programs: status, views, subscriptions, commands, metrics. The only module that knows warp; it decides
//! nothing about ticks and touches no worker.
//!
//! ```text
//! connection (limits) -> admit (token, origin) -> route (path, method, query string) -> handle -> answer
//! ```

mod admit;
mod answer;
mod connection;
mod handle;
mod route;
mod token;

use crate::error::{Error, Kind, Result};
use crate::job::shared::Shared;
use crate::views::follow::{FollowLimits, Follows};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How the HTTP server listens, and its limits.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// The bearer token that every request but health, readiness and the status page's frame must carry.
    pub token: Option<String>,
    /// Greatest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// Connections at a time; more are told 503.
    pub connections_max: usize,
    /// Greatest `limit` of a query, in rows.
    pub rows_max: usize,
    /// Rows of a query that names no limit.
    pub rows_default: usize,
    /// How long a query waits for its tick and its answer.
    pub query_time_max: Duration,
    /// How long a savepoint or stop is waited for.
    pub command_time_max: Duration,
    /// How long a client may take for the head of a request, and be idle between two.
    pub head_time_max: Duration,
    /// How long a client may take for the body of a request.
    pub body_time_max: Duration,
    /// How long a client may read nothing while there is something for it.
    pub write_time_max: Duration,
    /// Bounds of subscriptions.
    pub follow: FollowLimits,
}

impl Default for HttpSettings {
    fn default() -> Self {
        HttpSettings {
            address: (Ipv4Addr::LOCALHOST, 8090).into(),
            token: None,
            body_bytes_max: 1 << 20,
            connections_max: 1024,
            rows_max: 10_000,
            rows_default: 100,
            query_time_max: Duration::from_secs(10),
            command_time_max: Duration::from_secs(60),
            head_time_max: Duration::from_secs(30),
            body_time_max: Duration::from_secs(10),
            write_time_max: Duration::from_secs(60),
            follow: FollowLimits::default(),
        }
    }
}

/// A running server. Stops when dropped: takes no more requests, gives those under way a second.
pub struct Serving {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Serving {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // If the thread panicked it has said so; there is nothing more to stop.
            let _ = thread.join();
        }
    }
}

/// What handlers know.
struct Front {
    shared: Arc<Shared>,
    follows: Arc<Follows>,
    settings: HttpSettings,
    stop: watch::Receiver<bool>,
}

/// Threads that answer requests.
const THREADS: usize = 2;

/// Listens and answers on threads of its own.
///
/// # Errors
/// `Config` if the address can't be listened on.
pub fn serve(shared: Arc<Shared>, settings: HttpSettings) -> Result<Serving> {
    let refused = |why: std::io::Error| {
        Error::config(format!(
            "http.addr = {}: can't listen there ({why}); choose another port, or 0 for a free one",
            settings.address
        ))
    };
    let listener = std::net::TcpListener::bind(settings.address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("http")
        .enable_all()
        .build()
        .map_err(|why| {
            Error::new(Kind::Retry, format!("can't start the threads of HTTP: {why}"))
        })?;
    let (stop, stopped) = watch::channel(false);
    let follows = Follows::new(shared.router().clone(), settings.follow);
    let front = Arc::new(Front { shared, follows, settings, stop: stopped });
    let thread = std::thread::Builder::new()
        .name("http-accept".to_owned())
        .spawn(move || {
            runtime.block_on(connection::run(listener, front));
            runtime.shutdown_timeout(Duration::from_millis(200));
        })
        .map_err(|why| Error::new(Kind::Retry, format!("can't start a thread for HTTP: {why}")))?;
    Ok(Serving { address, stop, thread: Some(thread) })
}

#[cfg(test)]
mod tests;
