//! Certificates of the processes: each shows one, and takes only those of one authority. TLS 1.3 with the `ring` provider, no
//! resumption. That a process also knows the secret is proved afterwards, inside ([`super::handshake`]).

use super::hall::Guest;
use super::pump::Pumps;
use super::refusal::Refusal;
use super::socket::Socket;
use super::wire::MAGIC;
use crate::error::{Error, Result};
use crate::time::clock;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

/// The first byte of an alert, with which a session that can't be begins its only record.
pub(super) const ALERT: u8 = 0x15;
/// The first byte of a session.
pub(super) const HANDSHAKE: u8 = 0x16;

/// What a process shows and what it asks of others, in PEM.
pub(crate) struct Pem<'a> {
    /// Its certificate, then those between it and the authority.
    pub(crate) certificate: &'a [u8],
    /// Its private key: PKCS #8, PKCS #1 or SEC1.
    pub(crate) key: &'a [u8],
    /// The authorities that certify the processes.
    pub(crate) authority: &'a [u8],
}

/// How the connections of a process are encrypted.
#[derive(Clone)]
pub(crate) struct Tls {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(tls)")
    }
}

impl Tls {
    /// From what stands in files.
    ///
    /// # Errors
    /// `Config` naming what of it is no PEM, is missing, or does not fit the rest.
    pub(crate) fn new(pem: &Pem<'_>) -> Result<Tls> {
        let chain = certificates("cluster.tls_certificate", pem.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(pem.key)
            .map_err(|e| Error::config(format!("cluster.tls_key: no private key in PEM: {e}")))?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates("cluster.tls_authority", pem.authority)? {
            roots.add(certificate).map_err(|e| {
                Error::config(format!("cluster.tls_authority: a certificate can't be used: {e}"))
            })?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let failed = |e: rustls::Error| {
            Error::config(format!(
                "cluster.tls_certificate and cluster.tls_key can't be used together: {e}"
            ))
        };
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .map_err(|e| Error::config(format!("cluster.tls_authority can't be used: {e}")))?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(failed)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(failed)?;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(failed)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(failed)?;
        client.resumption = Resumption::disabled();
        Ok(Tls { server: Arc::new(server), client: Arc::new(client) })
    }

    /// Begins a session with who accepted `stream` under the name in `address`, which is `host:port`; it has until then.
    ///
    /// # Errors
    /// [`NoSession`].
    pub(super) fn dial(
        &self,
        stream: TcpStream,
        address: &str,
        until: Instant,
        pumps: &Pumps,
    ) -> Result<Socket, NoSession> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|e| NoSession::Refused(format!("{host:?} is no name of a host: {e}")))?;
        let session = ClientConnection::new(Arc::clone(&self.client), name);
        let mut session = session.map_err(|e| NoSession::Refused(e.to_string()))?;
        while session.is_handshaking() || session.wants_write() {
            let left = until.saturating_duration_since(clock::instant());
            if left.is_zero() {
                return Err(NoSession::Broken(io::ErrorKind::TimedOut.into()));
            }
            if session.wants_write() {
                stream.set_write_timeout(Some(left))?;
                session.write_tls(&mut &stream)?;
                continue;
            }
            stream.set_read_timeout(Some(left))?;
            if session.read_tls(&mut &stream)? == 0 {
                return Err(NoSession::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
            if let Err(error) = session.process_new_packets() {
                // The other side is told why; whether it hears it is its affair.
                let _ = session.write_tls(&mut &stream);
                return Err(match error {
                    rustls::Error::InvalidMessage(_) => NoSession::Plain,
                    error => NoSession::Refused(error.to_string()),
                });
            }
        }
        stream.set_nodelay(true)?;
        Ok(pumps.start(stream, session)?)
    }

    /// Goes on with the session of one who was accepted.
    pub(super) fn accept(&self, stream: TcpStream) -> io::Result<Sealing> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let session = ServerConnection::new(Arc::clone(&self.server)).map_err(io::Error::other)?;
        Ok(Sealing { stream, session, greeted: false, why: String::new() })
    }
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if found.is_empty() => {
            Err(Error::config(format!("{what}: there is no certificate in PEM")))
        }
        Ok(found) => Ok(found),
        Err(e) => Err(Error::config(format!("{what}: not PEM: {e}"))),
    }
}

/// Why a dialer has no session.
#[derive(Debug)]
pub(super) enum NoSession {
    /// The connection broke or the time was over.
    Broken(io::Error),
    /// What listens there does not encrypt.
    Plain,
    /// One side does not take the certificate of the other.
    Refused(String),
}

impl From<io::Error> for NoSession {
    fn from(error: io::Error) -> NoSession {
        NoSession::Broken(error)
    }
}

/// The acceptor's side of a session that begins, which never waits.
pub(super) struct Sealing {
    stream: TcpStream,
    session: ServerConnection,
    /// The other side has begun as a session does.
    greeted: bool,
    /// What was wrong.
    why: String,
}

impl Sealing {
    /// The plain end, once the session is there.
    pub(super) fn into_socket(self, pumps: &Pumps) -> io::Result<Socket> {
        pumps.start(self.stream, self.session)
    }

    /// What was wrong, in words.
    pub(super) fn why(&self) -> &str {
        &self.why
    }

    /// Whether the other side has begun a handshake without a session; then it is told what is expected here.
    fn is_plain(&self) -> io::Result<bool> {
        let mut first = [0];
        let plain = self.stream.peek(&mut first)? > 0 && first[0] == MAGIC[0];
        if plain {
            // What is left unread would take the alert with it.
            let _ = (&self.stream).read(&mut [0; 64]);
            // The rest of the record says: fatal, decode_error.
            let _ = (&self.stream).write(&[ALERT, 3, 3, 0, 2, 2, 50]);
        }
        Ok(plain)
    }

    fn write(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut &self.stream)?;
        }
        Ok(())
    }

    fn step(&mut self) -> io::Result<Option<Result<(), Refusal>>> {
        loop {
            self.write()?;
            if !self.session.is_handshaking() {
                return Ok(Some(Ok(())));
            }
            if !self.greeted && self.is_plain()? {
                return Ok(Some(Err(Refusal::Plain)));
            }
            if self.session.read_tls(&mut &self.stream)? == 0 {
                return Ok(Some(Err(Refusal::Silence)));
            }
            if let Err(error) = self.session.process_new_packets() {
                self.why = error.to_string();
                // What it hears of it is its affair.
                let _ = self.write();
                let garbage = !self.greeted;
                return Ok(Some(Err(if garbage {
                    Refusal::Garbage
                } else {
                    Refusal::Certificate
                })));
            }
            self.greeted |= self.session.wants_write();
        }
    }
}

impl Guest for Sealing {
    type Proof = ();

    fn has_greeted(&self) -> bool {
        self.greeted
    }

    fn go_on(&mut self) -> Option<Result<(), Refusal>> {
        match self.step() {
            Ok(outcome) => outcome,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => None,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => None,
            Err(_) => Some(Err(Refusal::Silence)),
        }
    }
}

#[cfg(test)]
mod tests;
