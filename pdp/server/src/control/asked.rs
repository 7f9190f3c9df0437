//! What operators send, read strictly: bodies, names in the path, questions in the query.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{SubjectId, Tenant};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::problem::Problem;

const BODY: Limits = Limits { bytes: 64 * 1024, depth: 8, values: 1_000 };
/// For the pasts of many subjects.
pub(crate) const LARGE_BODY: Limits = Limits { bytes: 1024 * 1024, depth: 8, values: 100_000 };

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        body(request, BODY).await.map(Self)
    }
}

/// A large JSON body.
pub(super) struct LargeBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for LargeBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        body(request, LARGE_BODY).await.map(Self)
    }
}

async fn body<T: DeserializeOwned>(request: Request, limits: Limits) -> Result<T, Problem> {
    let bytes = axum::body::to_bytes(request.into_body(), limits.bytes).await;
    let bytes = bytes.map_err(|_| Problem::malformed(&format!("the body is larger than {} bytes, or did not arrive", limits.bytes)))?;
    strict::from_slice(&bytes, limits).map_err(|error| Problem::malformed(&error.to_string()))
}

/// The name in the path.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = Path::<T>::from_request_parts(parts, state).await;
        named.map(|Path(named)| Self(named)).map_err(|error: PathRejection| Problem::malformed(&error.body_text()))
    }
}

/// The query.
pub(super) struct Question<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Question<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let question = Query::<T>::try_from_uri(&parts.uri);
        question.map(|Query(question)| Self(question)).map_err(|error| Problem::malformed(&error.body_text()))
    }
}

/// One line of text: not blank, at most 512 bytes, no control characters, which could forge a line of a log or move a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Line(String);

impl TryFrom<String> for Line {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match () {
            () if text.trim().is_empty() => Err("a text is blank"),
            () if text.len() > 512 => Err("a text is longer than 512 bytes"),
            () if text.chars().any(char::is_control) => Err("a text has control characters"),
            () => Ok(Self(text)),
        }
    }
}

impl PartialSchema for Line {
    fn schema() -> RefOr<Schema> {
        crate::openapi::line().into()
    }
}

impl ToSchema for Line {}

impl From<Line> for String {
    fn from(line: Line) -> Self {
        line.0
    }
}

impl Line {
    /// A text that is in the state already. It is shown whatever it is.
    pub(super) fn stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A subject as operators name it: the tenant is the service's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Who {
    /// The issuer of its tokens.
    pub(crate) iss: Line,
    /// Its name there.
    pub(crate) sub: Line,
}

impl Who {
    pub(super) fn stored(subject: SubjectId) -> Self {
        Self { iss: Line::stored(subject.iss), sub: Line::stored(subject.sub) }
    }

    pub(super) fn of(self, tenant: &Tenant) -> SubjectId {
        SubjectId { tenant: tenant.clone(), iss: self.iss.into(), sub: self.sub.into() }
    }
}

/// The subject for a log.
pub(super) fn name(subject: &SubjectId) -> String {
    format!("{} of {}", subject.sub, subject.iss)
}

/// The most entries of a list.
pub(crate) const LISTED: usize = 1_000;

/// How many entries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// The most that are listed.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

impl Page {
    pub(super) fn size(&self) -> Result<usize, Problem> {
        size(self.limit)
    }
}

/// How many entries a list may have.
pub(super) fn size(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(LISTED);
    if (1..=LISTED).contains(&limit) { Ok(limit) } else { Err(Problem::malformed("`limit` is a number from 1 to 1000")) }
}

/// Shortens a list, and says whether it did.
pub(super) fn cut<T>(mut list: Vec<T>, size: usize) -> (Vec<T>, bool) {
    let is_cut = list.len() > size;
    list.truncate(size);
    (list, is_cut)
}
