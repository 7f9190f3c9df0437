//! Where a bundle comes from, and one look at it: a folder, an archive on the disk, or a URL that is asked whether it has another one.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::header::{ACCEPT_ENCODING, AUTHORIZATION, ETAG, HeaderValue, IF_NONE_MATCH};
use axum::http::{Method, StatusCode};
use bytes::Bytes;

use super::LARGEST;
use crate::files;
use crate::outbound::{AskError, Bounds, Endpoint};
use crate::policies::{self, Files, Listed};

/// How long one download may take.
const WITHIN: Duration = Duration::from_secs(60);
/// The largest file with a token.
const LARGEST_TOKEN: u64 = 16 * 1024;
/// The longest entity tag that is repeated.
const LONGEST_TAG: usize = 512;

/// Where a bundle comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A folder of modules and data.
    Folder(PathBuf),
    /// A `.tar.gz`.
    File(PathBuf),
    /// A URL that serves one.
    Url(Box<Remote>),
}

/// A URL, and what it is asked with.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) endpoint: Endpoint,
    /// A file with the bearer token, read again for each request.
    pub(crate) token: Option<PathBuf>,
}

/// What says that nothing changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    Listing(Vec<Listed>),
    Stamp(Stamp),
    Tag(HeaderValue),
}

/// Changes with the content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// What a look brought.
#[derive(Debug)]
pub(crate) enum Found {
    /// What there was before.
    Unchanged,
    /// Something else, and how to recognise it.
    New(Content, Option<Mark>),
}

/// A bundle before anything looked into it.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Files(Files),
    Archive(Bytes),
}

/// Why a look brought nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    #[error("{0}")]
    Folder(String),
    #[error("cannot read `{}`: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("request failed: {0}")]
    Ask(#[from] AskError),
    #[error("server replied with {0}")]
    Status(StatusCode),
}

impl Origin {
    /// Looks whether there is something else than what the mark stands for.
    pub(crate) async fn look(&self, before: Option<Mark>) -> Result<Found, LookError> {
        match self {
            Self::Folder(path) => {
                let path = path.clone();
                blocking(move || folder(&path, before.as_ref())).await
            }
            Self::File(path) => {
                let path = path.clone();
                blocking(move || file(&path, before.as_ref())).await
            }
            Self::Url(remote) => remote.look(before).await,
        }
    }

    /// Whether looking costs somebody else something.
    pub(crate) const fn is_remote(&self) -> bool {
        matches!(self, Self::Url(_))
    }
}

async fn blocking(look: impl FnOnce() -> Result<Found, LookError> + Send + 'static) -> Result<Found, LookError> {
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|error| Err(LookError::Folder(error.to_string())))
}

fn folder(path: &Path, before: Option<&Mark>) -> Result<Found, LookError> {
    let listing = Mark::Listing(policies::list(path).map_err(LookError::Folder)?);
    if before == Some(&listing) {
        return Ok(Found::Unchanged);
    }
    Ok(Found::New(Content::Files(policies::read(path).map_err(LookError::Folder)?), Some(listing)))
}

fn file(path: &Path, before: Option<&Mark>) -> Result<Found, LookError> {
    let failed = |error: std::io::Error| LookError::File { path: path.to_owned(), reason: error.to_string() };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    let stamp = Stamp { inode: metadata.ino(), size: metadata.len(), changed: (metadata.ctime(), metadata.ctime_nsec()) };
    let mark = Mark::Stamp(stamp);
    if before == Some(&mark) {
        return Ok(Found::Unchanged);
    }
    let bytes = files::read(path, LARGEST as u64).map_err(failed)?;
    Ok(Found::New(Content::Archive(bytes.into()), Some(mark)))
}

impl Remote {
    async fn look(&self, before: Option<Mark>) -> Result<Found, LookError> {
        let mut request = self.endpoint.request(Method::GET).header("prefer", "modes=snapshot").header(ACCEPT_ENCODING, "identity");
        if let Some(token) = bearer(self.token.as_deref())? {
            request = request.header(AUTHORIZATION, token);
        }
        if let Some(Mark::Tag(tag)) = before {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let answer = self.endpoint.ask(request, Bytes::new(), Bounds { within: WITHIN, most: LARGEST }).await?;
        match answer.status {
            StatusCode::NOT_MODIFIED => Ok(Found::Unchanged),
            StatusCode::OK => {
                let tag = answer.headers.get(ETAG).filter(|tag| tag.len() <= LONGEST_TAG).cloned();
                Ok(Found::New(Content::Archive(answer.body), tag.map(Mark::Tag)))
            }
            status => Err(LookError::Status(status)),
        }
    }
}

/// The header for a token in a file: its first line.
pub(crate) fn bearer(file: Option<&Path>) -> Result<Option<HeaderValue>, LookError> {
    let Some(file) = file else { return Ok(None) };
    let failed = |reason: String| LookError::File { path: file.to_owned(), reason };
    let text = files::read(file, LARGEST_TOKEN).map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(text).map_err(|_| failed("it is not UTF-8".to_owned()))?;
    let token = text.lines().next().unwrap_or_default().trim();
    let header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| failed("its first line is no token".to_owned()))?;
    Ok(Some({
        let mut header = header;
        header.set_sensitive(true);
        header
    }))
}
