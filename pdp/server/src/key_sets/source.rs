//! One place that keys come from, and one look at it: a file, or a URL that is asked in bounded time and space.

use std::path::PathBuf;
use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode, header};
use bytes::Bytes;

use crate::files;
use crate::outbound::{AskError, Bounds, Endpoint, UrlError, UrlOptions};

/// The largest key set.
const LARGEST: usize = 1024 * 1024;
/// The same of a file.
const LARGEST_FILE: u64 = LARGEST as u64;

/// Where the keys of an issuer come from.
#[derive(Debug)]
pub struct Source(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    File(PathBuf),
    Url(Box<Endpoint>),
}

/// Why a look at a source brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("cannot read `{}`: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("endpoint answered with status {0}")]
    Status(StatusCode),
    #[error("endpoint answered with something else than JSON")]
    Type,
    #[error("{0}")]
    KeySet(String),
    #[error("key set holds no key that can be used")]
    NoKey,
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
    pub fn url(url: &str, options: &UrlOptions) -> Result<Self, UrlError> {
        Ok(Self(Kind::Url(Box::new(Endpoint::new(url, options)?))))
    }

    /// One look.
    pub(super) async fn fetch(&self, within: Duration) -> Result<Bytes, FetchError> {
        match &self.0 {
            Kind::File(path) => read(path.clone()).await,
            Kind::Url(endpoint) => ask(endpoint, within).await,
        }
    }
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

async fn ask(endpoint: &Endpoint, within: Duration) -> Result<Bytes, FetchError> {
    let request = endpoint.request(Method::GET);
    let request = request.header(header::ACCEPT, "application/jwk-set+json, application/json").header(header::ACCEPT_ENCODING, "identity");
    let answer = endpoint.ask(request, Bytes::new(), Bounds { within, most: LARGEST }).await?;
    if answer.status != StatusCode::OK {
        return Err(FetchError::Status(answer.status));
    }
    if is_json(&answer.headers) { Ok(answer.body) } else { Err(FetchError::Type) }
}

/// `application/json` or another JSON type (RFC 6839), not compressed.
fn is_json(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default().to_ascii_lowercase());
    let plain = text(header::CONTENT_ENCODING).is_none_or(|encoding| encoding == "identity");
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    plain && (kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json"))
}
