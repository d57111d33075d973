//! Answers of the server that no second try would change, kept whole: status, code, message, region. It decides nothing.
//!
//! `object_store` makes text of an answer; what to do about it depends on the parts.

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use std::fmt;

/// What the server refused, as it said it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// `AccessDenied`, for instance; empty if the answer has no body, as to HEAD.
    pub(super) code: String,
    /// For people.
    pub(super) message: String,
    /// Where the bucket is, if the server says so.
    pub(super) region: Option<String>,
    /// The host, if it is not the store's: one that gives credentials.
    pub(super) elsewhere: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        for part in [&self.code, &self.message] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

/// No answer from a host that is not the store's.
#[derive(Debug)]
pub(super) struct Silence {
    pub(super) host: String,
    cause: HttpError,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.host, self.cause)
    }
}

impl std::error::Error for Silence {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// Makes clients that keep refusals.
#[derive(Debug)]
pub(super) struct Connector {
    host: String,
}

impl Connector {
    /// For a store whose URLs begin with `base`.
    pub(super) fn new(base: &str) -> Connector {
        let host = base.split_once("://").map_or(base, |(_, rest)| rest);
        Connector { host: host.split('/').next().unwrap_or_default().to_owned() }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Client { inner, host: self.host.clone() }))
    }
}

#[derive(Debug)]
struct Client {
    inner: HttpClient,
    host: String,
}

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().authority().map(|host| host.as_str().to_owned());
        let elsewhere = host.filter(|host| *host != self.host);
        let answer = match (self.inner.execute(request).await, &elsewhere) {
            (Err(cause), Some(host)) => {
                let kind = cause.kind();
                return Err(HttpError::new(kind, Silence { host: host.clone(), cause }));
            }
            (answer, _) => answer?,
        };
        let status = answer.status().as_u16();
        if !may_be_refusal(status) {
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let bytes = body.bytes().await?;
        let region = parts.headers.get("x-amz-bucket-region").and_then(|r| r.to_str().ok());
        let refusal =
            Refusal { elsewhere, ..read(status, region, &String::from_utf8_lossy(&bytes)) };
        // Of an object that is not there, or of a bucket: only the second is refused.
        if status == NOT_FOUND && refusal.code != NO_SUCH_BUCKET && refusal.elsewhere.is_none() {
            return Ok(HttpResponse::from_parts(parts, bytes.into()));
        }
        Err(HttpError::new(HttpErrorKind::Unknown, refusal))
    }
}

const NOT_FOUND: u16 = 404;
pub(super) const NO_SUCH_BUCKET: &str = "NoSuchBucket";

/// Whether an answer with this status may say that the request as it is will never do. Not so: success, `not modified` and
/// `precondition failed`, with which a condition is answered, a range beyond the end, and what passes.
fn may_be_refusal(status: u16) -> bool {
    match status {
        0..=299 | 304 | 408 | 412 | 416 | 429 => false,
        // "Not implemented" does not pass.
        500.. => status == 501,
        _ => true,
    }
}

/// The parts of an answer: pure.
fn read(status: u16, region: Option<&str>, body: &str) -> Refusal {
    let part = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
    };
    Refusal {
        status,
        code: part("Code").unwrap_or_default(),
        message: part("Message").unwrap_or_default(),
        region: region.map(str::to_owned).or_else(|| part("Region")),
        elsewhere: None,
    }
}
