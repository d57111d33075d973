//! A small blocking client of a job's HTTP server. It speaks plain HTTP and follows no redirect.

use super::args::Address;
use super::exit::Exit;
use crate::config::{Secret, Value};
use crate::error::{Kind, Result};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where a job listens if nothing is said.
const DEFAULT: &str = "127.0.0.1:8090";
/// Longest wait for a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest wait for an answer: a savepoint or a stop waits for sinks and uploads.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(120);
/// Greatest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Why there is no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) exit: Exit,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Talks to one job.
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

impl Client {
    /// A client of the job at `at`; the address else, and the token, come from the environment.
    ///
    /// # Errors
    /// `Config` if the token's place can't be read.
    pub(crate) fn new(at: &Address, environment: &BTreeMap<String, String>) -> Result<Client> {
        let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let token = match variable("TIDEMARK_HTTP__TOKEN") {
            None => None,
            Some(text) => Some(match crate::config::value_of_text(text) {
                Value::Secret(Secret::Env(name)) if environment.contains_key(&name) => {
                    environment[&name].clone()
                }
                Value::Secret(secret) => secret.reveal()?.expose().to_owned(),
                _ => text.clone(),
            }),
        };
        let base = base(at, variable("TIDEMARK_HTTP__ADDR").map(String::as_str));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIME_MAX))
            .timeout_recv_response(Some(ANSWER_TIME_MAX))
            .timeout_recv_body(Some(ANSWER_TIME_MAX))
            .proxy(None)
            .build()
            .new_agent();
        Ok(Client { agent, base, token })
    }

    /// The answer to `GET path`.
    pub(crate) fn get(&self, path: &str, parameters: &[(&str, String)]) -> Result<Json, Refusal> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in parameters {
            request = request.query(*name, value);
        }
        if let Some(bearer) = self.bearer() {
            request = request.header("authorization", bearer);
        }
        self.answer(request.call())
    }

    /// The answer to `POST path` with `body`, without one if it is null.
    pub(crate) fn post(&self, path: &str, body: &Json) -> Result<Json, Refusal> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/json");
        if let Some(bearer) = self.bearer() {
            request = request.header("authorization", bearer);
        }
        self.answer(match body {
            Json::Null => request.send_empty(),
            body => request.send(body.to_string()),
        })
    }

    /// The savepoint of this name, made now.
    pub(crate) fn savepoint(&self, name: &str) -> Result<Json, Refusal> {
        self.post("/api/v1/job/savepoint", &json!({ "name": name }))
    }

    fn bearer(&self) -> Option<String> {
        self.token.as_ref().map(|token| format!("Bearer {token}"))
    }

    fn answer(
        &self,
        got: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Json, Refusal> {
        let mut response = got.map_err(|e| self.unanswered(&e))?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let body = body.map_err(|e| self.unanswered(&e))?;
        if (200..300).contains(&status) {
            return serde_json::from_str(&body).map_err(|e| Refusal {
                exit: Exit::Failed,
                code: "internal".into(),
                message: format!("the answer of {} is not JSON: {e}", self.base),
            });
        }
        Err(refusal(status, &body))
    }

    fn unanswered(&self, error: &ureq::Error) -> Refusal {
        let message = format!(
            "no answer from a job at {}: {error}; start one with `tidemark run`, or name its address with --http",
            self.base
        );
        Refusal { exit: Exit::NoAnswer, code: "no-answer".into(), message }
    }
}

/// The URL below which the job's routes are. A job that listens on all addresses is asked on loopback.
fn base(at: &Address, environment: Option<&str>) -> String {
    if let Some(url) = &at.url {
        return url.trim_end_matches('/').to_owned();
    }
    let addr = at.http.as_deref().or(environment).unwrap_or(DEFAULT);
    let addr = match addr.rsplit_once(':') {
        Some(("0.0.0.0", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => addr.to_owned(),
    };
    format!("http://{addr}")
}

/// What an answer with a bad status says: `{"code": .., "message": ..}`, or that in `error`.
fn refusal(status: u16, body: &str) -> Refusal {
    let json: Json = serde_json::from_str(body).unwrap_or_default();
    let error = json.get("error").filter(|error| error.is_object()).unwrap_or(&json);
    let text = |name: &str| error.get(name).and_then(Json::as_str).map(str::to_owned);
    let message = text("message").or_else(|| error.get("error")?.as_str().map(str::to_owned));
    let kind = text("code").and_then(|code| Kind::ALL.into_iter().find(|kind| kind.code() == code));
    let exit = match status {
        _ if kind.is_some() => kind.map_or(Exit::Failed, Exit::from),
        400..=404 | 405 | 413 | 415 | 422 => Exit::Usage,
        503 => Exit::NoAnswer,
        _ => Exit::Failed,
    };
    let message = match (message, status) {
        (Some(message), _) => message,
        (None, 401) => "the job asks for a token; set TIDEMARK_HTTP__TOKEN".to_owned(),
        (None, _) => format!("the job answered with status {status}"),
    };
    Refusal { exit, code: text("code").unwrap_or_else(|| format!("http-{status}")), message }
}

/// `segment` as one segment of a path.
pub(crate) fn segment(segment: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    segment
        .bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[cfg(test)]
mod tests;
