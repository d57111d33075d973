//! From a route to its answer.

use super::Front;
use super::admit::{Sender, admit};
use super::answer::{Body, Refusal, json_text, refuse, stamp, text};
use super::route::{Read, Route, route};
use super::token::{Next, program_mark};
use crate::ids::Tick;
use crate::job::shared::{Done, Kept, NotTaken};
use crate::job::skip::Place;
use crate::telemetry::process;
use crate::telemetry::registry::SECONDS;
use crate::telemetry::status::{Readiness, State, Status};
use crate::ticks::record::Command;
use crate::time::clock;
use crate::views::QueryError;
use crate::views::follow::Subscription;
use crate::views::kind::{Ask, Page};
use crate::views::router::At;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use warp::Reply;
use warp::http::header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN};
use warp::http::{HeaderMap, Method};

/// A request whose body, if it has a use, was read.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Result<Bytes, Refusal>,
}

/// How long the sizes of a view are waited for.
const SIZE_TIME_MAX: Duration = Duration::from_secs(1);

/// The answer to a request.
pub(super) async fn answer(front: Arc<Front>, asked: Asked) -> Body {
    let began = clock::instant();
    let wanted = route(asked.method.as_str(), &asked.path, &asked.query);
    let name = wanted.as_ref().map_or("none", Route::name);
    let mut response = match wanted {
        Ok(route) => match admitted(&front, &asked.headers, route.is_open()) {
            Ok(()) => handle(&front, route, asked).await.unwrap_or_else(refuse),
            Err(refusal) => refuse(refusal),
        },
        // Who is not let in learns nothing of the paths either.
        Err(refusal) => refuse(admitted(&front, &asked.headers, false).err().unwrap_or(refusal)),
    };
    let shared = &front.shared;
    stamp(&mut response, shared.generation().0, shared.released().now());
    let status = response.status().as_u16().to_string();
    let registry = shared.registry();
    let labels = [("route", name), ("status", status.as_str())];
    registry.counter("http_requests_total", "Requests answered.", &labels).inc();
    registry
        .histogram("http_request_seconds", "Time to the head of the answer.", &labels[..1], SECONDS)
        .observe_time(began.elapsed());
    response
}

fn admitted(front: &Front, headers: &HeaderMap, open: bool) -> Result<(), Refusal> {
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let sender =
        Sender { authorization: header(AUTHORIZATION), host: header(HOST), origin: header(ORIGIN) };
    let on_loopback = front.settings.address.ip().is_loopback();
    admit(sender, front.settings.token.as_deref(), open, on_loopback)
}

async fn handle(front: &Arc<Front>, route: Route, asked: Asked) -> Result<Body, Refusal> {
    match route {
        Route::Page => Ok(page()),
        Route::Health => Ok(text(200, "text/plain; charset=utf-8", "ok\n".into())),
        Route::Ready => {
            ready(&front.shared.status())?;
            Ok(text(200, "text/plain; charset=utf-8", "ready\n".into()))
        }
        Route::Metrics => {
            let registry = front.shared.registry();
            process::report(registry);
            Ok(text(200, "text/plain; version=0.0.4; charset=utf-8", registry.render()))
        }
        Route::Job => Ok(json_text(200, to_json(&front.shared.status())?)),
        Route::Record(tick) => record(front, tick),
        Route::Views => views(front).await,
        Route::View { view, read } => {
            ready(&front.shared.status())?;
            let limit = front.settings.query_time_max;
            timeout(limit, rows(front, &view, read)).await.unwrap_or_else(|_| {
                let message = format!(
                    "no answer within {} ms: the tick was not released or the workers are busy; newest released tick {}",
                    limit.as_millis(),
                    front.shared.released().now()
                );
                Err(QueryError::TimedOut(message).into())
            })
        }
        Route::Changes { view, from_tick } => {
            changes(front, &view, from_tick, &asked.headers).await
        }
        Route::Savepoint => command(front, savepoint(asked.body?.as_ref())?).await,
        Route::Stop => {
            let body = asked.body?;
            if !body.iter().all(u8::is_ascii_whitespace) && body.as_ref() != b"{}" {
                return Err(Refusal::bad(
                    "stop takes no body (for a named state, POST savepoint first)",
                ));
            }
            command(front, Command::Stop).await
        }
        Route::Retry if front.shared.retry() => Ok(json_text(200, "{\"retried\":true}".to_owned())),
        Route::Skip => skip(front, asked.body?.as_ref()).await,
        Route::Retry => Err(Refusal::bad(
            "the job has not failed: there is nothing to try again (GET /api/v1/job has its state)",
        )),
    }
}

/// Whether queries are answered.
fn ready(status: &Status) -> Result<(), Refusal> {
    let state = status.state.name();
    match status.readiness() {
        Readiness::Ready => Ok(()),
        Readiness::Rising => {
            let replay = status.replay.unwrap_or_default();
            let message = match status.state {
                State::Replaying => {
                    format!("the job replays: {} of {} ticks", replay.replayed, replay.of)
                }
                _ => "the job starts".to_owned(),
            };
            let refusal = Refusal::later(state, message).with("state", state);
            Err(refusal.with("replayed", replay.replayed).with("of", replay.of))
        }
        Readiness::Down => {
            let why = status.error.as_deref().unwrap_or("the reason is in the log");
            let message = format!("the job has failed and runs no dataflow: {why}");
            Err(Refusal::new(503, state, message).with("state", state))
        }
    }
}

fn page() -> Body {
    let mut page = text(200, "text/html; charset=utf-8", include_str!("page.html").to_owned());
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                  img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    page.headers_mut().insert("content-security-policy", HeaderValue::from_static(policy));
    page
}

fn record(front: &Front, tick: Tick) -> Result<Body, Refusal> {
    match front.shared.record(tick) {
        Kept::Record(view) => Ok(json_text(200, to_json(&view)?)),
        Kept::Gone(oldest) => Err(QueryError::Gone { oldest }.into()),
        Kept::NotReleased(released) => Err(QueryError::NotReleased { released }.into()),
    }
}

async fn views(front: &Front) -> Result<Body, Refusal> {
    let router = front.shared.router();
    let mut views = Vec::new();
    for decl in router.views() {
        let size = timeout(SIZE_TIME_MAX, router.status(&decl.name)).await;
        // A job that starts or ends has views but no sizes.
        views.push(match size {
            Ok(Ok(status)) => json!(status),
            _ => json!(decl),
        });
    }
    let status = front.shared.status();
    let body = json!({"generation": status.generation, "tick": status.tick, "views": views});
    Ok(json_text(200, body.to_string()))
}

async fn rows(front: &Front, view: &str, read: Read) -> Result<Body, Refusal> {
    let status = front.shared.status();
    let limit = read.limit.unwrap_or(front.settings.rows_default);
    let most = front.settings.rows_max;
    if limit > most {
        return Err(Refusal::bad(format!("limit={limit} is too much: at most {most} rows")));
    }
    let router = front.shared.router();
    router.view(view)?;
    let (ask, at) = match read.next {
        Some(token) => {
            let next = Next::read(&token, view, &status.program)?;
            let tick = next.tick;
            (next.ask(limit), At::Tick(tick))
        }
        None => {
            if let Some(tick) = read.after {
                front.shared.released().reach(tick).await;
            }
            let ask = Ask { key: read.key, from: read.from, to: read.to, after: None, limit };
            (ask, read.as_of.map_or(At::Newest, At::Tick))
        }
    };
    let (tick, Page { rows, after }) = router.query(view, &ask, at).await?;
    let next = after.map(|after| {
        let Ask { key, from, to, .. } = ask;
        let program = program_mark(&status.program);
        let (view, generation) = (view.to_owned(), status.generation);
        Next { generation, tick, program, view, key, from, to, after }.write()
    });
    let body = format!(
        "{{\"view\":{},\"generation\":{},\"tick\":{tick},\"rows\":[{}],\"next\":{}}}",
        json!(view),
        status.generation,
        rows.join(","),
        json!(next)
    );
    Ok(json_text(200, body))
}

async fn changes(
    front: &Arc<Front>,
    view: &str,
    from_tick: Option<Tick>,
    headers: &HeaderMap,
) -> Result<Body, Refusal> {
    let status = front.shared.status();
    ready(&status)?;
    // A browser that reconnects says so in this header; it knows better than the address it began with.
    let from = match headers.get("last-event-id") {
        Some(id) => Some(resume(id.to_str().unwrap_or(""))?),
        None => from_tick,
    };
    let opened = front.follows.open(view, from, status.generation);
    let opened = timeout(front.settings.query_time_max, opened).await.map_err(|_| {
        Refusal::from(QueryError::TimedOut("the workers gave no changes in time".into()))
    })?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(pump(opened?, sender, front.stop.clone()));
    let events = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let text = receiver.recv().await?;
        Some((Ok::<Bytes, Infallible>(text), receiver))
    });
    let mut response = warp::reply::stream(events).into_response();
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

/// Hands a subscriber its text one piece at a time; ends with it, or with the server.
async fn pump(
    mut subscription: Subscription,
    sender: mpsc::Sender<Bytes>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let step = async {
            // Room first: text is taken when it can go, so that a slow subscriber holds one piece only.
            let room = sender.reserve().await.ok()?;
            let text = tokio::select! {
                text = subscription.next() => text?,
                () = sender.closed() => return None,
            };
            room.send(text);
            Some(())
        };
        let ended = tokio::select! {
            step = step => step.is_none(),
            _ = stop.wait_for(|stop| *stop) => true,
        };
        if ended {
            return;
        }
    }
}

/// The tick after the one in an event's id (`generation-tick`).
fn resume(id: &str) -> Result<Tick, Refusal> {
    let tick = id.split_once('-').and_then(|(_, tick)| tick.parse::<Tick>().ok());
    tick.map(|tick| tick.saturating_add(1)).ok_or_else(|| {
        Refusal::bad(format!(
            "Last-Event-ID: {id:?} is no id of an event of this API (GENERATION-TICK)"
        ))
    })
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavepointBody {
    name: Option<String>,
    id: Option<String>,
}

/// The longest name of a savepoint and id of a command, in bytes.
const NAME_BYTES_MAX: usize = 100;

fn savepoint(body: &[u8]) -> Result<Command, Refusal> {
    let given = if body.iter().all(u8::is_ascii_whitespace) {
        SavepointBody::default()
    } else {
        serde_json::from_slice(body).map_err(|why| {
            Refusal::bad(format!(
                "the body is not {{\"name\":\"..\",\"id\":\"..\"}}, both optional: {why}"
            ))
        })?
    };
    let id = given.id.unwrap_or_else(|| crate::random::nonce().to_string());
    let name = given.name.unwrap_or_else(|| format!("savepoint-{id}"));
    let fits = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(plain)
    };
    if !fits(&name) || !fits(&id) {
        return Err(Refusal::bad(format!(
            "a savepoint's name and id have 1 to {NAME_BYTES_MAX} of the characters A-Z a-z 0-9 - _ ."
        )));
    }
    Ok(Command::Savepoint { name, id })
}

async fn command(front: &Front, command: Command) -> Result<Body, Refusal> {
    let status = front.shared.status();
    ready(&status)?;
    let mut body = serde_json::to_value(&command).map_err(|why| internal(&why))?;
    let outcome = front.shared.order(command).map_err(|why| match why {
        NotTaken::Busy => {
            Refusal::later("busy", "too many commands wait; it did not happen: try again")
        }
        NotTaken::Away => {
            Refusal::later("unavailable", "the job takes no commands now; it did not happen")
        }
    })?;
    let done = outcome_of(front, outcome).await.map_err(|refusal| match body.get("id") {
        Some(id) if refusal.is_undecided() => refusal.with("id", id.clone()),
        _ => refusal,
    })?;
    if let Some(body) = body.as_object_mut() {
        body.insert("generation".into(), json!(status.generation));
        body.insert("tick".into(), json!(done.tick));
        if let Some(manifest) = done.manifest {
            body.insert("manifest".into(), json!(manifest));
        }
    }
    Ok(json_text(200, body.to_string()))
}

/// Waits for the outcome of what was taken.
async fn outcome_of(
    front: &Front,
    outcome: oneshot::Receiver<crate::Result<Done>>,
) -> Result<Done, Refusal> {
    let limit = front.settings.command_time_max;
    let undecided = |why: String| {
        let message = format!(
            "{why}: it may have happened; look at /api/v1/job, or repeat it with the same id"
        );
        Refusal::new(504, "undecided", message)
    };
    match timeout(limit, outcome).await {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(error))) => {
            let status = if error.kind() == crate::Kind::Config { 409 } else { 500 };
            Err(Refusal::new(status, error.kind().code(), error.message()))
        }
        Ok(Err(_)) => Err(undecided("the job ended before it answered".into())),
        Err(_) => Err(undecided(format!("no outcome within {} ms", limit.as_millis()))),
    }
}

/// Lets a job that has failed go on without a record.
async fn skip(front: &Front, body: &[u8]) -> Result<Body, Refusal> {
    // A record of the input is named by numbers and text only: nothing is lost on the way by way of `Value`.
    let place: Place = serde_json::from_slice(body).map_err(|why| {
        Refusal::bad(format!(
            "the body is not {{\"source\":\"..\",\"partition\":\"..\",\"offset\":N}}: {why}"
        ))
    })?;
    let outcome = front.shared.skip(place.clone()).ok_or_else(|| {
        Refusal::bad(
            "the job has not failed, and leaves nothing out: what can't be read is the matter of `on_error` (GET /api/v1/job has its state)",
        )
    })?;
    let done = outcome_of(front, outcome).await?;
    let Place { source, partition, offset } = place;
    let body = json!({
        "skipped": {"source": source, "partition": partition, "offset": offset},
        "tick": done.tick,
        "generation": front.shared.generation(),
    });
    Ok(json_text(200, body.to_string()))
}

fn to_json(value: &impl serde::Serialize) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|why| internal(&why))
}

fn internal(why: &serde_json::Error) -> Refusal {
    Refusal::new(500, "internal", format!("the answer can't be written as JSON: {why}"))
}
