//! The secret that the processes of a cluster share, and what is proved with it. It is never sent or shown.

use crate::error::{Error, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;

/// Bytes of a code that proves the secret (HMAC-SHA256).
pub(super) const MAC_BYTES: usize = 32;

/// Fewer bytes could be guessed by whoever hears a handshake.
const BYTES_MIN: usize = 16;

/// The secret of a cluster; it does not show itself.
#[derive(Clone)]
pub(crate) struct Secret(Arc<[u8]>);

impl Secret {
    /// The secret with these bytes.
    ///
    /// # Errors
    /// `Config` if there are fewer than 16.
    pub(crate) fn new(bytes: &[u8]) -> Result<Secret> {
        if bytes.len() < BYTES_MIN {
            return Err(Error::config(format!(
                "the secret of the cluster has {} bytes; at least {BYTES_MIN} are needed, drawn at random \
                 (`openssl rand -hex 32` makes some)",
                bytes.len()
            )));
        }
        Ok(Secret(bytes.into()))
    }

    /// The code of these parts, one after the other.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
        self.hash(parts).finalize().into_bytes().into()
    }

    /// Whether `mac` is the code of these parts; takes the same time wherever it differs.
    pub(super) fn proves(&self, parts: &[&[u8]], mac: &[u8; MAC_BYTES]) -> bool {
        self.hash(parts).verify_slice(mac).is_ok()
    }

    fn hash(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut hash =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length will do");
        for part in parts {
            hash.update(part);
        }
        hash
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
