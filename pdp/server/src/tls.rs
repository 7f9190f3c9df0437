//! TLS of the listeners: 1.3 and 1.2 by rustls, certificates that are read again when their files change, and client certificates when a CA for them is named.
//!
//! There is no early data: a request that can be replayed is no request to decide on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::crypto::aws_lc_rs as provider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::files;
use crate::front_door::Protocol;

/// The largest certificate or key file.
const LARGEST: u64 = 1024 * 1024;

/// The client certificate of a connection, verified: SHA-256 of its DER in base64url, as `x5t#S256` has it (RFC 8705 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate(pub String);

/// Why TLS cannot be served with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read.
    #[error("cannot read `{}`: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// No certificate in it.
    #[error("`{}` holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    /// No key in it.
    #[error("`{}` holds no private key in PEM", .0.display())]
    NoKey(PathBuf),
    /// The key belongs to another certificate.
    #[error("the key in `{}` does not fit the certificate", .0.display())]
    KeyDoesNotFit(PathBuf),
    /// A certificate in it cannot vouch for anybody.
    #[error("`{}` holds a certificate that cannot be a client CA: {reason}", path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Anything else that rustls refuses.
    #[error("the certificate in `{}` cannot be used: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why a peer got no TLS connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// It took too long.
    #[error("handshake took too long")]
    Late,
    /// It failed; a peer that speaks no TLS ends here.
    #[error("handshake failed: {0}")]
    Failed(#[source] std::io::Error),
}

/// Certificate, key and client CA of a listener.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    seen: Mutex<blake3::Hash>,
    configs: ArcSwap<Configs>,
}

/// The same certificate, once for each protocol that a listener may speak.
#[derive(Debug)]
struct Configs {
    http1: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
}

impl From<ServerConfig> for Configs {
    fn from(config: ServerConfig) -> Self {
        let speaking = |alpn: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![alpn.to_vec()];
            Arc::new(config)
        };
        Self { http1: speaking(b"http/1.1"), http2: speaking(b"h2") }
    }
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads certificate chain and key in PEM. With a client CA, a peer without a certificate of it gets no connection.
    ///
    /// # Errors
    /// When a file cannot be read, holds no such thing, or the key does not fit.
    pub fn load(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, TlsError> {
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned(), client_ca: client_ca.map(ToOwned::to_owned) };
        let contents = files.read()?;
        let config = files.configure(&contents)?;
        Ok(Self { seen: Mutex::new(contents.digest()), configs: ArcSwap::from_pointee(config.into()), files })
    }

    /// Reads the files again; new connections get what is new in them. True when something changed.
    ///
    /// # Errors
    /// As [`Tls::load`]; the last good certificate stays.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let contents = self.files.read()?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == contents.digest() {
            return Ok(false);
        }
        self.configs.store(Arc::new(self.files.configure(&contents)?.into()));
        *seen = contents.digest();
        Ok(true)
    }

    /// Shakes hands with a peer, and says who it proved to be.
    ///
    /// # Errors
    /// When the peer fails, or takes longer than this.
    pub async fn accept(
        &self,
        stream: TcpStream,
        protocol: Protocol,
        within: Duration,
    ) -> Result<(TlsStream<TcpStream>, Option<ClientCertificate>), HandshakeError> {
        let configs = self.configs.load();
        let config = match protocol {
            Protocol::Http1 => &configs.http1,
            Protocol::Http2 => &configs.http2,
        };
        let acceptor = TlsAcceptor::from(Arc::clone(config));
        drop(configs);
        let shaken = tokio::time::timeout(within, acceptor.accept(stream)).await.map_err(|_| HandshakeError::Late)?;
        let stream = shaken.map_err(HandshakeError::Failed)?;
        let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = leaf.map(|leaf| ClientCertificate(thumbprint(leaf)));
        Ok((stream, certificate))
    }
}

/// SHA-256 of a certificate, as `x5t#S256` has it.
pub(crate) fn thumbprint(certificate: &CertificateDer<'_>) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, certificate))
}

impl Files {
    fn read(&self) -> Result<Contents, TlsError> {
        let read = |path: &PathBuf| {
            files::read(path, LARGEST).map_err(|error| TlsError::Unreadable { path: path.clone(), reason: error.to_string() })
        };
        let client_ca = self.client_ca.as_ref().map(read).transpose()?;
        Ok(Contents { certificate: read(&self.certificate)?, key: read(&self.key)?, client_ca })
    }

    fn configure(&self, contents: &Contents) -> Result<ServerConfig, TlsError> {
        let unusable = |error: rustls::Error| TlsError::Unusable { path: self.certificate.clone(), reason: error.to_string() };
        let chain = certificates(&contents.certificate).ok_or_else(|| TlsError::NoCertificate(self.certificate.clone()))?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| TlsError::NoKey(self.key.clone()))?;
        let builder = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(unusable)?;
        let builder = match (&self.client_ca, &contents.client_ca) {
            (Some(path), Some(pem)) => builder.with_client_cert_verifier(client_verifier(path, pem)?),
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::KeyDoesNotFit(self.key.clone()),
            other => unusable(other),
        })?;
        config.max_early_data_size = 0;
        if self.client_ca.is_some() {
            // A resumed session would outlive the certificate that it was opened with.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(config)
    }
}

impl Contents {
    /// Tells contents apart; keyed by nothing, kept in memory only.
    fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for part in [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten() {
            hasher.update(blake3::hash(part).as_bytes());
        }
        hasher.finalize()
    }
}

/// Every certificate of a PEM file, when there is one and all can be read.
pub(crate) fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().ok()?;
    (!all.is_empty()).then_some(all)
}

fn client_verifier(path: &Path, pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let refused = |reason: String| TlsError::ClientCa { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).ok_or_else(|| TlsError::NoCertificate(path.to_owned()))? {
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider::default_provider()))
        .build()
        .map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
pub(crate) mod tests;
