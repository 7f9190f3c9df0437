//! TLS: whom the client trusts, and how it proves itself. Nothing is trusted that was not asked for.

use std::sync::Arc;

use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, ErrorKind};
use crate::wire::Wire;

/// What connects by TLS.
pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// As the builder was told. PEM, not yet read.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// The only roots that are trusted; without them, the machine's.
    pub(crate) roots: Option<Vec<u8>>,
    /// The client's certificate chain and its private key.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// A private key is not shown.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("roots", &self.roots.is_some()).field("identity", &self.identity.is_some()).finish()
    }
}

impl Settings {
    pub(crate) fn connector(self, wire: Wire, http: HttpConnector) -> Result<Connector, Error> {
        let secure = HttpsConnectorBuilder::new().with_tls_config(self.config()?).https_only();
        Ok(match wire {
            Wire::Http => secure.enable_http1().wrap_connector(http),
            #[cfg(feature = "grpc")]
            Wire::Grpc => secure.enable_http2().wrap_connector(http),
        })
    }

    fn config(self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let versions = versions.map_err(|cause| unusable("TLS cannot be set up", cause))?;
        let trusting = match &self.roots {
            None => versions.with_native_roots().map_err(|cause| unusable("machine has no trusted root certificates", cause))?,
            Some(pem) => versions.with_root_certificates(roots(pem)?),
        };
        match &self.identity {
            None => Ok(trusting.with_no_client_auth()),
            Some((chain, key)) => {
                let chain = certificates(chain)?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|cause| unusable("private key of the client is not PEM", cause))?;
                trusting.with_client_auth_cert(chain, key).map_err(|cause| unusable("certificate and key of the client do not fit", cause))
            }
        }
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store.add(certificate).map_err(|cause| unusable("trusted root is no certificate", cause))?;
    }
    Ok(store)
}

/// One at least.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|cause| unusable("certificates are not PEM", cause))?;
    if read.is_empty() { Err(Error::new(ErrorKind::Configuration, "there is no certificate in the PEM")) } else { Ok(read) }
}

fn unusable(message: &'static str, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::because(ErrorKind::Configuration, message, cause)
}
