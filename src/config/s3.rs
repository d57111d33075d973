//! The server of a store in S3, and what its keys ask of each other.

use super::kinds::Typed;
use super::layers::Section;
use super::resolve::Resolved;
use super::units::serialize_duration;
use super::value::Secret;
use serde::Serialize;
use std::time::Duration;

/// `[s3]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct S3 {
    /// The server's URL; Amazon's if absent.
    pub endpoint: Option<String>,
    /// The region, if it is said.
    pub region: Option<String>,
    /// The key's public part; it and the secret part are both there or both absent.
    pub access_key_id: Option<Secret>,
    /// The key's secret part.
    pub secret_access_key: Option<Secret>,
    /// The token of the key's session.
    pub session_token: Option<Secret>,
    /// Whether HTTP without encryption is allowed.
    pub allow_http: bool,
    /// Whether the bucket is in the path.
    pub path_style: bool,
    /// Limit of one request.
    #[serde(serialize_with = "serialize_duration")]
    pub timeout: Duration,
    /// How long a call is tried again.
    #[serde(serialize_with = "serialize_duration")]
    pub retry_time: Duration,
}

/// What is wrong with keys that depend on each other, one sentence each.
pub(super) fn problems(resolved: &Resolved) -> Vec<String> {
    let (top, log, s3) =
        (Section::new("", None), Section::new("log", None), Section::new("s3", None));
    let mut problems = Vec::new();
    let is_set = |key| resolved.typed(&s3, key).is_some();
    for (key, needs) in [
        ("access_key_id", "secret_access_key"),
        ("secret_access_key", "access_key_id"),
        ("session_token", "access_key_id"),
    ] {
        if is_set(key) && !is_set(needs) {
            problems.push(format!("{} needs s3.{needs}", resolved.said(&s3, key)));
        }
    }
    if let Some(Typed::Text(endpoint)) = resolved.typed(&s3, "endpoint") {
        let said = resolved.said(&s3, "endpoint");
        let host = endpoint.split_once("://").map_or("", |(_, host)| host);
        if host.is_empty() || !["http", "https"].iter().any(|s| endpoint.starts_with(s)) {
            problems.push(format!(
                "{said} is no URL of a server; write https://HOST or https://HOST:PORT"
            ));
        } else if endpoint.starts_with("http://")
            && resolved.typed(&s3, "allow_http") != Some(&Typed::Bool(true))
        {
            problems.push(format!(
                "{said} is not encrypted: everybody on the way can read and change the state; write https://, or s3.allow_http = true"
            ));
        }
    }
    let in_s3 = matches!(resolved.typed(&top, "state"), Some(Typed::Text(state)) if state.starts_with("s3://"));
    let file = matches!(resolved.typed(&log, "kind"), Some(Typed::Text(kind)) if kind == "file");
    if in_s3 && file && resolved.typed(&log, "path").is_none() {
        problems.push(format!(
            "{} is a file, and {} is no place for it; set log.kind = \"store\", or say log.path",
            resolved.said(&log, "kind"),
            resolved.said(&top, "state")
        ));
    }
    problems
}

#[cfg(test)]
mod tests;
