//! Answers and refusals as they go out: JSON with a code and a message.

use crate::ids::Tick;
use crate::views::QueryError;
use serde_json::{Value, json};
use warp::http::header::{CONTENT_TYPE, HeaderValue};
use warp::http::{Response, StatusCode};

/// Why a request is not answered as it wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// Beside code and message.
    pub(super) fields: Vec<(&'static str, Value)>,
    pub(super) header: Option<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, code, message: message.into(), fields: Vec::new(), header: None }
    }

    /// Whether what was asked for may have happened.
    pub(super) fn is_undecided(&self) -> bool {
        self.code == "undecided"
    }

    pub(super) fn bad(message: impl Into<String>) -> Refusal {
        Refusal::new(400, "bad-request", message)
    }

    pub(super) fn not_found(path: &str) -> Refusal {
        Refusal::new(
            404,
            "not-found",
            format!(
                "there is nothing at {path}; see /, /healthz, /readyz, /metrics, /api/v1/job, /api/v1/job/ticks/T, \
                 /api/v1/job/savepoint, /api/v1/job/stop, /api/v1/job/retry, /api/v1/job/skip, /api/v1/views, /api/v1/views/NAME, /api/v1/views/NAME/changes"
            ),
        )
    }

    pub(super) fn method(path: &str, allowed: &'static [&'static str]) -> Refusal {
        let names = allowed.join(", ");
        let message = format!("{path} does not take this method; allowed: {names}");
        let refusal = Refusal::new(405, "method-not-allowed", message);
        Refusal { header: Some(("allow", names)), ..refusal }
    }

    pub(super) fn unauthorized() -> Refusal {
        let message = "this job asks for a token: send the header Authorization: Bearer TOKEN";
        let refusal = Refusal::new(401, "unauthorized", message);
        Refusal { header: Some(("www-authenticate", "Bearer".to_owned())), ..refusal }
    }

    /// Busy, or not ready yet: the client should come again.
    pub(super) fn later(code: &'static str, message: impl Into<String>) -> Refusal {
        let header = Some(("retry-after", "1".to_owned()));
        Refusal { header, ..Refusal::new(503, code, message) }
    }

    pub(super) fn with(mut self, field: &'static str, value: impl Into<Value>) -> Refusal {
        self.fields.push((field, value.into()));
        self
    }

    fn body(&self) -> String {
        let mut body = json!({"code": self.code, "message": self.message});
        if let Value::Object(fields) = &mut body {
            fields.extend(
                self.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())),
            );
        }
        body.to_string()
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Refusal {
        let message = error.to_string();
        match error {
            QueryError::NoSuchView { .. } => Refusal::new(404, "no-such-view", message),
            QueryError::Bad(_) => Refusal::bad(message),
            QueryError::Gone { oldest } => {
                Refusal::new(410, "gone", message).with("oldest_tick", oldest)
            }
            QueryError::NotReleased { released } => {
                Refusal::new(409, "not-released", message).with("released_tick", released)
            }
            QueryError::TimedOut(_) => Refusal::new(504, "timed-out", message),
            QueryError::Busy => Refusal::later("busy", message),
            QueryError::Away => Refusal::later("unavailable", message),
            QueryError::Internal(_) => Refusal::new(500, "internal", message),
        }
    }
}

pub(super) type Body = warp::reply::Response;

/// An answer with a body of this type.
pub(super) fn text(status: u16, kind: &'static str, body: String) -> Body {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).expect("statuses are written out here");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An answer of JSON text.
pub(super) fn json_text(status: u16, body: String) -> Body {
    text(status, "application/json", body)
}

/// A refusal as an answer.
pub(super) fn refuse(refusal: Refusal) -> Body {
    let mut response = json_text(refusal.status, refusal.body());
    if let Some((name, value)) = refusal.header {
        let value =
            HeaderValue::from_str(&value).expect("these are written out here, in plain text");
        response.headers_mut().insert(name, value);
    }
    response
}

/// Says in headers who answered and at which released tick, and that no cache may keep it.
pub(super) fn stamp(response: &mut Body, generation: u64, tick: Tick) {
    let headers = response.headers_mut();
    headers.insert("tidemark-generation", HeaderValue::from(generation));
    headers.insert("tidemark-tick", HeaderValue::from(tick));
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
}
