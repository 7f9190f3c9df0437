//! How questions cross the network: the same questions and answers as JSON or as gRPC.

#[cfg(feature = "grpc")]
mod grpc;
mod http;

use ::http::{HeaderMap, Request, Response, Uri};
use bytes::Bytes;
use countersign_sdk_types::{EvaluationRequest, EvaluationResponse};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde_json::Value;

#[cfg(all(test, feature = "grpc"))]
pub(crate) use self::grpc::fake::answer as fake_grpc;
pub(crate) use self::http::check_status;

use crate::answer::MAX_BYTES;
use crate::error::{Error, ErrorKind};

/// The largest answer to many questions that is read, in bytes.
const MAX_MANY: usize = 1024 * 1024;

/// An answer to each question, in its place.
pub(crate) type Said = Vec<Result<EvaluationResponse, Error>>;

/// One form of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// AuthZEN over HTTP/1.1.
    Http,
    /// `countersign.v1` over HTTP/2.
    #[cfg(feature = "grpc")]
    Grpc,
}

impl Wire {
    /// A request that asks all of these at the address `base`.
    pub(crate) fn request(self, base: &Uri, credentials: &HeaderMap, asked: &[EvaluationRequest]) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = match self {
            Self::Http => http::request(base, asked),
            #[cfg(feature = "grpc")]
            Self::Grpc => grpc::request(base, asked),
        }?;
        request.headers_mut().extend(credentials.iter().map(|(name, value)| (name.clone(), value.clone())));
        Ok(request)
    }

    /// What was answered to so many questions.
    pub(crate) async fn said(self, response: Response<Incoming>, count: usize) -> Result<Said, Error> {
        let said = match self {
            Self::Http => http::said(response, count).await,
            #[cfg(feature = "grpc")]
            Self::Grpc => grpc::said(response, count).await,
        }?;
        if said.len() == count { Ok(said) } else { Err(Error::new(ErrorKind::Malformed, "there are not as many answers as questions")) }
    }
}

/// The most bytes of an answer to so many questions.
const fn most(count: usize) -> usize {
    if count == 1 { MAX_BYTES } else { MAX_MANY }
}

async fn body(response: Response<Incoming>, most: usize) -> Result<http_body_util::Collected<Bytes>, Error> {
    let body = Limited::new(response.into_body(), most).collect().await;
    body.map_err(|cause| Error::because(ErrorKind::Malformed, "answer is too large or broke off", cause))
}

/// What would have been an error of its own, in its place among other answers.
fn item(response: EvaluationResponse) -> Result<EvaluationResponse, Error> {
    match response.context.get("error") {
        None => Ok(response),
        Some(error) => match error.get("status").and_then(Value::as_u64) {
            Some(400..500) => Err(Error::new(ErrorKind::Refused, "decision point refused the question")),
            _ => Err(Error::new(ErrorKind::Unavailable, "decision point cannot answer now")),
        },
    }
}

/// The address of a path at a base, which has no path of its own.
pub(crate) fn at(base: &Uri, path: &str) -> Result<Uri, Error> {
    let mut parts = base.clone().into_parts();
    let unsendable = |cause| Error::because(ErrorKind::Configuration, "address cannot be written", cause);
    parts.path_and_query = Some(path.parse().map_err(|cause| unsendable(::http::Error::from(cause)))?);
    Uri::from_parts(parts).map_err(|cause| unsendable(cause.into()))
}
