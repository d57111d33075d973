//! Connections and their limits: how many, how long a client may take to say something and to take something.

use super::Front;
use super::answer::{Refusal, refuse};
use super::handle::{Asked, answer};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep, timeout};
use warp::Filter;
use warp::http::{HeaderMap, Method};

/// Greatest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// How long requests under way are waited for at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Connections beyond the limit that are told so at a time; more are closed without a word.
const TURNED_AWAY_MAX: usize = 64;

/// How long one of them is given to read it.
const TURN_AWAY_TIME: Duration = Duration::from_secs(1);

/// Accepts and serves until the front is told to stop.
pub(super) async fn run(listener: std::net::TcpListener, front: Arc<Front>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(why) => return tracing::error!("HTTP can't listen: {why}"),
    };
    let filter = filter(front.clone());
    let room = Arc::new(Semaphore::new(front.settings.connections_max));
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let open = front.shared.registry().gauge("http_connections", "Open connections.", &[]);
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(front.settings.head_time_max)
        .max_buf_size(HEAD_BYTES_MAX);
    let graceful = GracefulShutdown::new();
    let mut stop = front.stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(why) => {
                // Out of files, most likely: others may close some. A connection that broke off needs no pause but bears one.
                tracing::warn!("HTTP can't accept a connection: {why}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = room.clone().try_acquire_owned() else {
            if let Ok(place) = turned_away.clone().try_acquire_owned() {
                tokio::spawn(async move {
                    turn_away(stream).await;
                    drop(place);
                });
            }
            continue;
        };
        let (open, most) = (open.clone(), front.settings.connections_max);
        open.set_u64((most - room.available_permits()) as u64);
        // Small answers should not wait for more; if the system declines, they wait.
        let _ = stream.set_nodelay(true);
        let stream = Timed { stream, stalled: None, limit: front.settings.write_time_max };
        let service = TowerToHyperService::new(warp::service(filter.clone()));
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        let room = room.clone();
        tokio::spawn(async move {
            if let Err(why) = connection.await {
                tracing::debug!("an HTTP connection ended: {why}");
            }
            drop(place);
            open.set_u64((most - room.available_permits()) as u64);
        });
    }
    drop(listener);
    // Who is still not done by then is cut off.
    let _ = timeout(LAST_ANSWERS, graceful.shutdown()).await;
}

/// Says that there are too many connections, and gives the client a moment to read it: closed with the request unread, the
/// connection would be reset and the answer lost.
async fn turn_away(mut stream: TcpStream) {
    let body = "{\"code\":\"too-many-connections\",\"message\":\"too many connections (limits.http_connections_max)\"}";
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         retry-after: 1\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let farewell = async {
        stream.writable().await?;
        // A fresh connection has room for this much.
        stream.try_write(answer.as_bytes())?;
        std::future::poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await?;
        let mut rest = [0; 4096];
        loop {
            stream.readable().await?;
            match stream.try_read(&mut rest) {
                Ok(0) => return Ok(()),
                Err(why) if why.kind() != io::ErrorKind::WouldBlock => return Err(why),
                _ => {}
            }
        }
    };
    // A client that is gone needs no answer.
    let _ = timeout(TURN_AWAY_TIME, farewell).await;
}

/// Everything in one filter: routing is a function of ours, so that each refusal has its JSON.
fn filter(
    front: Arc<Front>,
) -> impl Filter<Extract = (warp::reply::Response,), Error = std::convert::Infallible> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |method: Method, path: warp::path::FullPath, query, headers: HeaderMap, body| {
            let front = front.clone();
            async move {
                let body = match method {
                    Method::POST => read_body(&front, body).await,
                    _ => Ok(Bytes::new()),
                };
                let path = path.as_str().to_owned();
                answer(front, Asked { method, path, query, headers, body }).await
            }
        })
        .recover(|rejection| async move {
            tracing::error!("a filter of HTTP refused a request: {rejection:?}");
            let refusal = Refusal::new(500, "internal", "the request was refused without a reason");
            Ok::<_, std::convert::Infallible>(refuse(refusal))
        })
        .unify()
}

/// The whole body, within its limits.
async fn read_body(
    front: &Front,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Result<Bytes, Refusal> {
    let (most, time) = (front.settings.body_bytes_max, front.settings.body_time_max);
    let mut body = pin!(body);
    let read = async {
        let mut bytes = BytesMut::new();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|why| Refusal::bad(format!("the body broke off: {why}")))?;
            if bytes.len() + piece.remaining() > most {
                let message =
                    format!("the body is larger than {most} bytes (limits.http_body_bytes_max)");
                return Err(Refusal::new(413, "body-too-large", message));
            }
            let mut piece = piece;
            bytes.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
        }
        Ok(bytes.freeze())
    };
    timeout(time, read).await.unwrap_or_else(|_| {
        let message = format!("the body did not come within {} ms", time.as_millis());
        Err(Refusal::new(408, "body-too-slow", message))
    })
}

/// A stream on which a write that makes no progress for `limit` is an error.
struct Timed {
    stream: TcpStream,
    stalled: Option<Pin<Box<Sleep>>>,
    limit: Duration,
}

impl Timed {
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.stalled = None;
            return write;
        }
        let limit = self.limit;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing")))
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Timed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(cx, from);
        self.watch(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, from);
        self.watch(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
