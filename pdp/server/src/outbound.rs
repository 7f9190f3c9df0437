//! Asks a URL that an operator wrote: no redirects, no address that the name should not lead to, in bounded time and space.

mod address;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Builder;
use axum::http::uri::{Scheme, Uri};
use axum::http::{HeaderMap, Method, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};

use self::address::{Reach, Resolver};
use crate::{files, tls};

/// The largest file of CA certificates.
const LARGEST_CA: u64 = 1024 * 1024;

/// What may be said of a URL.
#[derive(Debug, Clone, Default)]
pub struct UrlOptions {
    /// A file with the CA certificates that vouch for the endpoint, in PEM, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// The endpoint may be at an address that is private, local or set aside.
    pub dangerous_private_address: bool,
}

/// Why a URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// Not a URL with scheme and host.
    #[error("`{0}` is not a URL with a scheme and a host")]
    Url(String),
    /// Neither `https`, nor `http` to this machine.
    #[error("a URL is `https`, or `http` to `localhost` or a loopback address")]
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

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("fetch took too long")]
    Late,
    #[error("endpoint could not be asked: {0}")]
    Unreachable(String),
    #[error("answer broke off or is larger than {} KiB", .0 >> 10)]
    Body(usize),
}

/// What an answer may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Until its last byte is there.
    pub(crate) within: Duration,
    /// Bytes of its body.
    pub(crate) most: usize,
}

/// An answer. A redirect is a status like any other: nobody follows it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Read for a success only.
    pub(crate) body: Bytes,
}

type Connector = HttpsConnector<HttpConnector<Resolver>>;

/// A URL and the client that asks it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    url: Uri,
    client: Client<Connector, Full<Bytes>>,
}

impl Endpoint {
    /// A URL.
    ///
    /// # Errors
    /// When it is none that may be asked, or no CA certificate could vouch for it.
    pub(crate) fn new(url: &str, options: &UrlOptions) -> Result<Self, UrlError> {
        let malformed = || UrlError::Url(shown(url));
        let uri: Uri = url.parse().map_err(|_| malformed())?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return Err(malformed()) };
        if authority.as_str().contains('@') || url.contains('#') || authority.host().is_empty() {
            return Err(malformed());
        }
        let reach = reach(scheme, authority.host(), options)?;
        let client = client(reach, scheme, options.ca_file.as_deref())?;
        Ok(Self { url: uri, client })
    }

    /// The start of a request to this URL.
    pub(crate) fn request(&self, method: Method) -> Builder {
        Request::builder().method(method).uri(&self.url).header(header::USER_AGENT, "countersign")
    }

    /// The start of a request to what lies below this URL.
    pub(crate) fn request_below(&self, method: Method, below: &str) -> Builder {
        let url = self.url.to_string();
        Request::builder().method(method).uri(format!("{}/{below}", url.trim_end_matches('/')))
    }

    /// Asks once, and leaves it to the caller to read the answer bit by bit, in bounded time and space.
    pub(crate) async fn open(&self, request: Builder, content: Bytes) -> Result<Response<Incoming>, AskError> {
        let request = request.body(Full::new(content)).map_err(|error| AskError::Unreachable(error.to_string()))?;
        self.client.request(request).await.map_err(|error| AskError::Unreachable(causes(&error)))
    }

    /// Asks once.
    pub(crate) async fn ask(&self, request: Builder, content: Bytes, bounds: Bounds) -> Result<Answer, AskError> {
        let request = request.body(Full::new(content)).map_err(|error| AskError::Unreachable(error.to_string()))?;
        tokio::time::timeout(bounds.within, self.answer(request, bounds.most)).await.map_err(|_| AskError::Late)?
    }

    async fn answer(&self, request: Request<Full<Bytes>>, most: usize) -> Result<Answer, AskError> {
        let answer = self.client.request(request).await.map_err(|error| AskError::Unreachable(causes(&error)))?;
        let (parts, body) = answer.into_parts();
        let (status, headers) = (parts.status, parts.headers);
        if !status.is_success() {
            return Ok(Answer { status, headers, body: Bytes::new() });
        }
        let body = Limited::new(body, most).collect().await.map_err(|_| AskError::Body(most))?.to_bytes();
        Ok(Answer { status, headers, body })
    }
}

/// The URL as an error may show it: what stands before an `@` may be a secret.
fn shown(url: &str) -> String {
    let shown = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
    shown.chars().take(200).collect()
}

/// How far a URL's host may lead. A name is checked when it is resolved, an address here.
fn reach(scheme: &Scheme, host: &str, options: &UrlOptions) -> Result<Reach, UrlError> {
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    if *scheme == Scheme::HTTP {
        let local = host.eq_ignore_ascii_case("localhost") || literal.is_some_and(|address| Reach::Loopback.allows(address));
        return if local { Ok(Reach::Loopback) } else { Err(UrlError::Scheme) };
    }
    if *scheme != Scheme::HTTPS {
        return Err(UrlError::Scheme);
    }
    let reach = if options.dangerous_private_address { Reach::Anywhere } else { Reach::Public };
    match literal {
        Some(address) if !reach.allows(address) => Err(UrlError::Address(host.to_owned())),
        _ => Ok(reach),
    }
}

fn client(reach: Reach, scheme: &Scheme, ca_file: Option<&Path>) -> Result<Client<Connector, Full<Bytes>>, UrlError> {
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

fn trust(scheme: &Scheme, ca_file: Option<&Path>) -> Result<ClientConfig, UrlError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| UrlError::NoRoots(error.to_string()))?;
    let builder = match ca_file {
        Some(path) => builder.with_root_certificates(roots(path)?),
        None if *scheme == Scheme::HTTP => builder.with_root_certificates(RootCertStore::empty()),
        None => builder.with_native_roots().map_err(|error| UrlError::NoRoots(error.to_string()))?,
    };
    Ok(builder.with_no_client_auth())
}

fn roots(path: &Path) -> Result<RootCertStore, UrlError> {
    let refused = |reason: String| UrlError::Ca { path: path.to_owned(), reason };
    let pem = files::read(path, LARGEST_CA).map_err(|error| refused(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in tls::certificates(&pem).ok_or_else(|| refused("no certificate in PEM".to_owned()))? {
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    Ok(roots)
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

#[cfg(test)]
mod tests;
