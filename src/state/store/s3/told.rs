//! What a failed call means and what to do about it. Pure: an error in, an error out.

use super::Target;
use super::answer::{NO_SUCH_BUCKET, Refusal, Silence};
use crate::error::{Error, Kind};
use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error as Cause;

const CREDENTIALS: &str = "name a key with s3.access_key_id and s3.secret_access_key, or give the process one as \
    doc/operating/objectstore.md says";

impl Target {
    /// The object, for messages: with bucket, key and server.
    pub(in super::super) fn place_of(&self, name: &str) -> String {
        let slash = if self.prefix.as_ref().is_empty() || name.is_empty() { "" } else { "/" };
        format!("s3://{}/{}{slash}{name} at {}", self.bucket, self.prefix, self.base)
    }

    /// The error of a call on the object `name`; `lost` is its kind if the call may have been done.
    pub(in super::super) fn error(
        &self,
        name: &str,
        lost: Kind,
        error: &object_store::Error,
    ) -> Error {
        let (kind, what) = self.told(lost, error);
        Error::new(kind, what).at(self.place_of(name))
    }

    fn told(&self, lost: Kind, error: &object_store::Error) -> (Kind, String) {
        if let Some(refusal) = found::<Refusal>(error) {
            return self.refused(refusal);
        }
        let silence = found::<Silence>(error);
        let Some(http) = found::<HttpError>(error) else { return (lost, error.to_string()) };
        let cause = deepest(error);
        if let Some(Silence { host, .. }) = silence {
            // The request itself was never made.
            return (
                Kind::Retry,
                format!("no credentials: {host} does not give them ({cause}); {CREDENTIALS}"),
            );
        }
        match http.kind() {
            // Nothing was sent.
            HttpErrorKind::Connect => (
                Kind::Retry,
                format!(
                    "no connection: {cause}; see that the store runs and can be reached from here, and that s3.endpoint and \
                     s3.region are right"
                ),
            ),
            HttpErrorKind::Timeout => (
                lost,
                format!(
                    "no answer within s3.timeout = {:?}; see to the store and the network",
                    self.timeout
                ),
            ),
            _ => (lost, format!("the connection was lost: {cause}")),
        }
    }

    fn refused(&self, refusal: &Refusal) -> (Kind, String) {
        if let Some(host) = &refusal.elsewhere {
            return (Kind::Config, format!("no credentials: {host} says {refusal}; {CREDENTIALS}"));
        }
        let elsewhere = refusal.region.as_ref().filter(|region| **region != self.region);
        let advice = match (refusal.status, refusal.code.as_str()) {
            // Two creates of one object met, and this one was not done.
            (409, _) | (_, "RequestTimeout") => {
                return (Kind::Retry, format!("the store says {refusal}; it may be tried again"));
            }
            (_, NO_SUCH_BUCKET) => {
                format!("there is no bucket {}; make it, or correct `state`", self.bucket)
            }
            (_, "RequestTimeTooSkewed") => {
                "the clocks of this machine and of the store differ; set this machine's clock"
                    .into()
            }
            (_, "InvalidAccessKeyId") => {
                "the store does not know this key; correct s3.access_key_id".into()
            }
            (_, "SignatureDoesNotMatch") => {
                "the secret is not that of this key; correct s3.secret_access_key".into()
            }
            (_, "ExpiredToken" | "InvalidToken") => {
                "the key's session has ended; give a new key with its s3.session_token".into()
            }
            (301 | 307 | 400 | 403, _) if elsewhere.is_some() => {
                let region = elsewhere.map_or("", String::as_str);
                format!(
                    "the bucket is in another region than {}; set s3.region = {region:?}",
                    self.region
                )
            }
            (300..=400, _) => format!(
                "the request is not for this server; see that s3.endpoint, s3.region = {:?} and s3.path_style are right",
                self.region
            ),
            (401 | 403, _) => format!(
                "access denied; let this key have s3:ListBucket of {}, and s3:GetObject, s3:PutObject and s3:DeleteObject of what is \
                 below {}/{}",
                self.bucket, self.bucket, self.prefix
            ),
            _ => "the server does not do what a state store needs; name another one".into(),
        };
        (Kind::Config, format!("{advice} (the store says {refusal})"))
    }
}

/// The error of this type among the causes of `error`.
fn found<T: Cause + 'static>(error: &object_store::Error) -> Option<&T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The last cause, which says most in the fewest words.
fn deepest(error: &object_store::Error) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

fn causes(error: &object_store::Error) -> impl Iterator<Item = &(dyn Cause + 'static)> {
    let first: &(dyn Cause + 'static) = error;
    std::iter::successors(Some(first), |&cause| cause.source())
}
