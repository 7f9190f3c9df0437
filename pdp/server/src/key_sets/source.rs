//! One place that keys come from, and one look at it: a file, or a URL that is asked without redirects, in bounded time and space.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::{Scheme, Uri};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};

use super::address::{Reach, Resolver};
use crate::{files, tls};

/// The largest key set.
const LARGEST: usize = 1024 * 1024;
/// The same of a file, and of CA certificates.
const LARGEST_FILE: u64 = LARGEST as u64;

/// Where the keys of an issuer come from.
#[derive(Debug)]
pub struct Source(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    File(PathBuf),
    Url(Box<Endpoint>),
}

/// What may be said of a URL.
#[derive(Debug, Clone, Default)]
pub struct UrlOptions {
    /// A file with the CA certificates that vouch for the endpoint, in PEM, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// The endpoint may be at an address that is private, local or set aside.
    pub dangerous_private_address: bool,
}

/// Why a source cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Not a URL with scheme and host.
    #[error("`{0}` is not a URL of a key set")]
    Url(String),
    /// Neither `https`, nor `http` to this machine.
    #[error("a key set is fetched by `https`, or by `http` from `localhost` or a loopback address")]
    Scheme,
    /// The URL names a private address.
    #[error("`{0}` is a private, local or reserved address")]
    Address(String),
    /// The CA certificates cannot be used.
    #[error("cannot use the CA certificates of `{}`: {reason}", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system has no CA certificates.
    #[error("the system has no CA certificates: {0}")]
    NoRoots(String),
}

/// Why a look at a source brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("cannot read `{}`: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("fetch took too long")]
    Late,
    #[error("endpoint could not be asked: {0}")]
    Unreachable(String),
    #[error("endpoint answered with status {0}")]
    Status(StatusCode),
    #[error("endpoint answered with something else than JSON")]
    Type,
    #[error("answer broke off or is larger than 1 MiB")]
    Body,
    #[error("{0}")]
    KeySet(String),
    #[error("key set holds no key that can be used")]
    NoKey,
}

type Connector = HttpsConnector<HttpConnector<Resolver>>;

/// A URL and the client that asks it.
#[derive(Debug)]
pub(super) struct Endpoint {
    url: Uri,
    client: Client<Connector, Empty<Bytes>>,
}

impl Source {
    /// A file, which is read again and again.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::File(path.into()))
    }

    /// A URL.
    ///
    /// # Errors
    /// When it is none that keys may be fetched from, or no CA certificate could vouch for it.
    pub fn url(url: &str, options: &UrlOptions) -> Result<Self, SourceError> {
        let malformed = || SourceError::Url(shown(url));
        let uri: Uri = url.parse().map_err(|_| malformed())?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return Err(malformed()) };
        if authority.as_str().contains('@') || url.contains('#') || authority.host().is_empty() {
            return Err(malformed());
        }
        let reach = reach(scheme, authority.host(), options)?;
        let client = client(reach, scheme, options.ca_file.as_deref())?;
        Ok(Self(Kind::Url(Box::new(Endpoint { url: uri, client }))))
    }

    /// One look.
    pub(super) async fn fetch(&self, within: Duration) -> Result<Bytes, FetchError> {
        match &self.0 {
            Kind::File(path) => read(path.clone()).await,
            Kind::Url(endpoint) => tokio::time::timeout(within, endpoint.ask()).await.map_err(|_| FetchError::Late)?,
        }
    }
}

/// The URL as an error may show it: what stands before an `@` may be a secret.
fn shown(url: &str) -> String {
    let shown = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
    shown.chars().take(200).collect()
}

/// How far a URL's host may lead. A name is checked when it is resolved, an address here.
fn reach(scheme: &Scheme, host: &str, options: &UrlOptions) -> Result<Reach, SourceError> {
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    if *scheme == Scheme::HTTP {
        let local = host.eq_ignore_ascii_case("localhost") || literal.is_some_and(|address| Reach::Loopback.allows(address));
        return if local { Ok(Reach::Loopback) } else { Err(SourceError::Scheme) };
    }
    if *scheme != Scheme::HTTPS {
        return Err(SourceError::Scheme);
    }
    let reach = if options.dangerous_private_address { Reach::Anywhere } else { Reach::Public };
    match literal {
        Some(address) if !reach.allows(address) => Err(SourceError::Address(host.to_owned())),
        _ => Ok(reach),
    }
}

fn client(reach: Reach, scheme: &Scheme, ca_file: Option<&Path>) -> Result<Client<Connector, Empty<Bytes>>, SourceError> {
    let mut tcp = HttpConnector::new_with_resolver(Resolver::new(reach));
    tcp.enforce_http(false);
    let builder = HttpsConnectorBuilder::new().with_tls_config(trust(scheme, ca_file)?);
    let builder = if *scheme == Scheme::HTTPS { builder.https_only() } else { builder.https_or_http() };
    let connector = builder.enable_http1().wrap_connector(tcp);
    let mut client = Client::builder(TokioExecutor::new());
    // Every fetch resolves and connects anew; they are minutes apart.
    client.pool_max_idle_per_host(0).retry_canceled_requests(false).http1_max_headers(100);
    Ok(client.build(connector))
}

fn trust(scheme: &Scheme, ca_file: Option<&Path>) -> Result<ClientConfig, SourceError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| SourceError::NoRoots(error.to_string()))?;
    let builder = match ca_file {
        Some(path) => builder.with_root_certificates(roots(path)?),
        None if *scheme == Scheme::HTTP => builder.with_root_certificates(RootCertStore::empty()),
        None => builder.with_native_roots().map_err(|error| SourceError::NoRoots(error.to_string()))?,
    };
    Ok(builder.with_no_client_auth())
}

fn roots(path: &Path) -> Result<RootCertStore, SourceError> {
    let refused = |reason: String| SourceError::Ca { path: path.to_owned(), reason };
    let pem = files::read(path, LARGEST_FILE).map_err(|error| refused(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in tls::certificates(&pem).ok_or_else(|| refused("no certificate in PEM".to_owned()))? {
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    Ok(roots)
}

async fn read(path: PathBuf) -> Result<Bytes, FetchError> {
    let named = path.clone();
    let read = tokio::task::spawn_blocking(move || files::read(&path, LARGEST_FILE)).await;
    let failed = |reason: String| FetchError::File { path: named, reason };
    match read {
        Ok(Ok(content)) => Ok(content.into()),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

impl Endpoint {
    async fn ask(&self) -> Result<Bytes, FetchError> {
        let request = Request::get(&self.url)
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::USER_AGENT, "countersign")
            .body(Empty::new())
            .map_err(|error| FetchError::Unreachable(error.to_string()))?;
        let answer = self.client.request(request).await.map_err(|error| FetchError::Unreachable(causes(&error)))?;
        let (parts, body) = answer.into_parts();
        // A redirect is a status like any other: nobody follows it.
        if parts.status != StatusCode::OK {
            return Err(FetchError::Status(parts.status));
        }
        if !is_json(&parts.headers) {
            return Err(FetchError::Type);
        }
        let collected = Limited::new(body, LARGEST).collect().await;
        Ok(collected.map_err(|_| FetchError::Body)?.to_bytes())
    }
}

/// The client's own error says little; what it wraps says the rest.
fn causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        said = format!("{said}: {cause}");
        source = cause.source();
    }
    said
}

/// `application/json` or another JSON type (RFC 6839), not compressed.
fn is_json(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default().to_ascii_lowercase());
    let plain = text(header::CONTENT_ENCODING).is_none_or(|encoding| encoding == "identity");
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    plain && (kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json"))
}

#[cfg(test)]
mod tests;
