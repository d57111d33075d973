//! The state store that the configuration names, opened.

use crate::config::{S3 as Section, Secret, Settings};
use crate::error::Result;
use crate::state::store::Store;
use crate::state::store::s3::{Credentials, S3};

/// Where requests are signed for if nobody says anything.
const REGION: &str = "us-east-1";

/// Opens it once. What `[s3]` leaves open is taken from `environment`.
///
/// # Errors
/// `Config` if it can't be used as it is named; `Retry` or `Undecided` if it did not answer.
pub(super) fn open(
    settings: &Settings,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Store> {
    let Some((bucket, prefix)) = S3::parts(&settings.state)? else {
        return Store::open(&settings.state);
    };
    let section = &settings.s3;
    let (credentials, whence) = credentials(section, environment)?;
    let (region, said) = region(section, environment);
    let endpoint = section.endpoint.clone();
    tracing::info!(
        "state in the bucket {bucket} at {}, region {region} ({said}), as {whence}",
        endpoint.as_deref().unwrap_or("Amazon S3")
    );
    Store::in_s3(&S3 {
        bucket,
        prefix,
        endpoint,
        region,
        credentials,
        allow_http: section.allow_http,
        path_style: section.path_style,
        timeout: section.timeout,
        retry_time: section.retry_time,
    })
}

/// The region, and who named it.
fn region(section: &Section, environment: &dyn Fn(&str) -> Option<String>) -> (String, String) {
    if let Some(region) = &section.region {
        return (region.clone(), "s3.region".into());
    }
    ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .iter()
        .find_map(|name| Some((environment(name)?, format!("environment {name}"))))
        .unwrap_or_else(|| (REGION.into(), "default".into()))
}

/// Who asks, and in words, which of the places it is from.
fn credentials(
    section: &Section,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(Credentials, String)> {
    let revealed = |key: &str, secret: &Secret| {
        let text = secret.reveal().map_err(|e| e.at(format_args!("s3.{key}")))?;
        Ok(text.expose().to_owned())
    };
    if let (Some(id), Some(secret)) = (&section.access_key_id, &section.secret_access_key) {
        let token = section.session_token.as_ref();
        let key = Credentials::Key {
            id: revealed("access_key_id", id)?,
            secret: revealed("secret_access_key", secret)?,
            token: token.map(|token| revealed("session_token", token)).transpose()?,
        };
        return Ok((key, "the key in [s3]".into()));
    }
    let both = |one: &str, other: &str| Some((environment(one)?, environment(other)?));
    if let Some((id, secret)) = both("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") {
        let key = Credentials::Key { id, secret, token: environment("AWS_SESSION_TOKEN") };
        return Ok((key, "the key in the environment AWS_ACCESS_KEY_ID".into()));
    }
    if let Some((token_file, role)) = both("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN") {
        let whence = format!("the role {role} of the environment AWS_ROLE_ARN");
        let session = environment("AWS_ROLE_SESSION_NAME");
        return Ok((Credentials::WebIdentity { token_file, role, session }, whence));
    }
    if let Some(path) = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        return Ok((Credentials::Task(path), "the role of the container's task".into()));
    }
    if let Some((uri, token_file)) =
        both("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    {
        return Ok((Credentials::Pod { uri, token_file }, "the role of the pod".into()));
    }
    Ok((Credentials::Machine, "the role of this machine (no key is named anywhere)".into()))
}

#[cfg(test)]
mod tests;
