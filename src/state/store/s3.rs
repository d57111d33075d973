//! A store in Amazon S3 or in what speaks like it. Its settings come ready; it reads no environment and no file.
//!
//! Two clients see the same objects: one tries reads, deletions and plain writes again for a bounded time, the other, for
//! conditional creates, asks once.

mod answer;
mod told;

use super::{Place, Store, probe};
use crate::error::{Error, Result};
use answer::Connector;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey as Key};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// What the URL of such a store begins with.
const SCHEME: &str = "s3://";
/// The longest wait for a connection, within the limit of a request.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// More tries than there is time for: time is the bound.
const TRIES_MAX: usize = 10_000;
/// The longest pause between two tries of one call.
const BACKOFF_MAX: Duration = Duration::from_secs(3);

/// Where the store is and how it is spoken to.
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects begin with; may be empty.
    pub prefix: String,
    /// The server's URL; Amazon's for the region if absent.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: String,
    /// Who asks.
    pub credentials: Credentials,
    /// Whether HTTP without encryption is allowed.
    pub allow_http: bool,
    /// Whether the bucket is in the path of a request, else in the host name.
    pub path_style: bool,
    /// Limit of one request with its answer.
    pub timeout: Duration,
    /// How long a call that may be tried again is.
    pub retry_time: Duration,
}

/// Who asks. It does not show itself: it may have a secret.
#[derive(Clone)]
pub enum Credentials {
    /// A key.
    Key {
        /// Its public part.
        id: String,
        /// Its secret part.
        secret: String,
        /// The token of a session, for a key that ends with it.
        token: Option<String>,
    },
    /// A role of Amazon's, by a token in a file (Kubernetes).
    WebIdentity {
        /// The file.
        token_file: String,
        /// The role.
        role: String,
        /// The session's name, for Amazon's records.
        session: Option<String>,
    },
    /// A task of Amazon's container service: the path of its key.
    Task(String),
    /// A pod of Amazon's Kubernetes service.
    Pod {
        /// Where its key is.
        uri: String,
        /// The file of the token that is asked for there.
        token_file: String,
    },
    /// The role of the machine, by Amazon's metadata service.
    Machine,
}

/// What messages say of the store.
pub(super) struct Target {
    bucket: String,
    prefix: Path,
    /// The URL that keys are appended to.
    base: String,
    region: String,
    timeout: Duration,
}

impl S3 {
    /// The bucket and the prefix in `s3://bucket/prefix`, or `None` if the URL is of another kind.
    ///
    /// # Errors
    /// `Config` if it names no bucket, or more than that and a prefix.
    pub fn parts(url: &str) -> Result<Option<(String, String)>> {
        let Some(rest) = url.strip_prefix(SCHEME) else { return Ok(None) };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b);
        let refuse = |what: String| {
            Err(Error::config(format!("the state store {url:?} {what}; write s3://BUCKET/PREFIX")))
        };
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(known) {
            return refuse(format!(
                "names no bucket: {bucket:?} is not made of 3 to 63 small letters, digits, dots and hyphens"
            ));
        }
        if let Err(e) = Path::parse(prefix) {
            return refuse(format!("has no usable prefix: {e}"));
        }
        Ok(Some((bucket.to_owned(), prefix.to_owned())))
    }

    /// `scheme://host[:port]` of the server and, before the key, what the URL of each object begins with.
    fn urls(&self) -> (String, String) {
        let endpoint = match &self.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://s3.{}.amazonaws.com", self.region),
        };
        if self.path_style {
            let base = format!("{endpoint}/{}", self.bucket);
            return (endpoint, base);
        }
        let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", &endpoint));
        let base = format!("{scheme}://{}.{host}", self.bucket);
        (base.clone(), base)
    }

    fn client(&self, retry: RetryConfig, shared: Option<&AmazonS3>) -> Result<AmazonS3> {
        let (endpoint, base) = self.urls();
        let options = ClientOptions::new()
            .with_allow_http(self.allow_http)
            .with_timeout(self.timeout)
            .with_connect_timeout(self.timeout.min(CONNECT_TIME_MAX));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_endpoint(endpoint)
            .with_virtual_hosted_style_request(!self.path_style)
            .with_http_connector(Connector::new(&base))
            .with_client_options(options)
            .with_retry(retry);
        builder = match shared {
            Some(shared) => builder.with_credentials(Arc::clone(shared.credentials())),
            None => self.credentials.give(builder),
        };
        builder.build().map_err(|e| {
            Error::config(format!("the bucket {} at {base} can't be spoken to: {e}", self.bucket))
        })
    }
}

impl Credentials {
    fn give(&self, builder: AmazonS3Builder) -> AmazonS3Builder {
        let (needed, other): (Vec<(Key, &String)>, _) = match self {
            Credentials::Key { id, secret, token } => (
                vec![(Key::AccessKeyId, id), (Key::SecretAccessKey, secret)],
                token.as_ref().map(|token| (Key::Token, token)),
            ),
            Credentials::WebIdentity { token_file, role, session } => (
                vec![(Key::WebIdentityTokenFile, token_file), (Key::RoleArn, role)],
                session.as_ref().map(|session| (Key::RoleSessionName, session)),
            ),
            Credentials::Task(path) => (vec![(Key::ContainerCredentialsRelativeUri, path)], None),
            Credentials::Pod { uri, token_file } => (
                vec![
                    (Key::ContainerCredentialsFullUri, uri),
                    (Key::ContainerAuthorizationTokenFile, token_file),
                ],
                None,
            ),
            Credentials::Machine => (Vec::new(), None),
        };
        needed.into_iter().chain(other).fold(builder, |b, (key, text)| b.with_config(key, text))
    }
}

impl Store {
    /// The store in a bucket, once it has shown that it makes an object only if it is absent.
    ///
    /// # Errors
    /// `Config` if the settings are wrong, the store refuses, or it is of a kind that is not safe here; `Retry` or `Undecided`
    /// if it did not answer.
    pub fn in_s3(s3: &S3) -> Result<Store> {
        let store = Store::s3_unprobed(s3)?;
        probe::probe(&store)?;
        Ok(store)
    }

    fn s3_unprobed(s3: &S3) -> Result<Store> {
        // The process may have one already, and any will do.
        drop(rustls::crypto::ring::default_provider().install_default());
        let again = RetryConfig {
            backoff: BackoffConfig { max_backoff: BACKOFF_MAX, ..BackoffConfig::default() },
            max_retries: TRIES_MAX,
            retry_timeout: s3.retry_time,
        };
        let once = RetryConfig { max_retries: 0, ..again.clone() };
        let objects = s3.client(again, None)?;
        let creates = s3.client(once, Some(&objects))?;
        let prefix = Path::parse(&s3.prefix)
            .map_err(|e| Error::config(format!("the prefix {:?} is unusable: {e}", s3.prefix)))?;
        let slash = if s3.prefix.is_empty() { "" } else { "/" };
        let url = format!("{SCHEME}{}{slash}{}", s3.bucket, s3.prefix);
        let target = Target {
            bucket: s3.bucket.clone(),
            prefix: prefix.clone(),
            base: s3.urls().1,
            region: s3.region.clone(),
            timeout: s3.timeout,
        };
        Store::new(
            url,
            Arc::new(PrefixStore::new(objects, prefix.clone())),
            Arc::new(PrefixStore::new(creates, prefix)),
            Place::S3(Arc::new(target)),
        )
    }
}

#[cfg(test)]
mod tests;
