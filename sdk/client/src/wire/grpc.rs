//! `countersign.v1` (`sdk/proto/countersign/v1/decision_point.proto`), framed by hand over HTTP/2: one message there, one message back, and a status.

#[cfg(test)]
pub(crate) mod fake;
mod message;

use bytes::{BufMut, Bytes, BytesMut};
use countersign_sdk_types::EvaluationRequest;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use prost::Message;

use super::{Said, at, body, item, most};
use crate::error::{Error, ErrorKind};
use message::{EvaluateRequest, EvaluateResponse, EvaluationsRequest, EvaluationsResponse};

const ONE: &str = "/countersign.v1.DecisionPoint/Evaluate";
const MANY: &str = "/countersign.v1.DecisionPoint/Evaluations";

/// A byte that says whether the message is compressed, and its length.
const PREFIX: usize = 5;

pub(super) fn request(base: &Uri, asked: &[EvaluationRequest]) -> Result<Request<Full<Bytes>>, Error> {
    let (path, body) = match asked {
        [one] => (ONE, framed(&EvaluateRequest::try_from(one)?)?),
        many => {
            let evaluations = many.iter().map(EvaluateRequest::try_from).collect::<Result<_, _>>()?;
            (MANY, framed(&EvaluationsRequest { evaluations })?)
        }
    };
    Request::builder()
        .method(Method::POST)
        .uri(at(base, path)?)
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .body(Full::new(body))
        .map_err(|cause| Error::because(ErrorKind::Configuration, "question cannot be written", cause))
}

fn framed(message: &impl Message) -> Result<Bytes, Error> {
    let length = message.encoded_len();
    let mut body = BytesMut::with_capacity(PREFIX + length);
    body.put_u8(0);
    body.put_u32(u32::try_from(length).map_err(|cause| Error::because(ErrorKind::Configuration, "question is too large", cause))?);
    message.encode(&mut body).map_err(|cause| Error::because(ErrorKind::Configuration, "question cannot be written", cause))?;
    Ok(body.freeze())
}

pub(super) async fn said(response: Response<Incoming>, count: usize) -> Result<Said, Error> {
    if response.status() != StatusCode::OK {
        return Err(super::http::check_status(response.status()).err().unwrap_or(malformed("answer is no gRPC")));
    }
    let is_grpc = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/grpc");
    if !response.headers().get(CONTENT_TYPE).is_some_and(is_grpc) {
        return Err(malformed("answer is no gRPC"));
    }
    let head = response.headers().clone();
    let whole = body(response, most(count) + PREFIX).await?;
    // An answer that is only a status has it in its head.
    check(status(whole.trailers()).or_else(|| status(Some(&head))))?;
    let bytes = whole.to_bytes();
    let message = unframed(&bytes)?;
    if count == 1 {
        return Ok(vec![item(decoded::<EvaluateResponse>(message)?.try_into()?)]);
    }
    let answers = decoded::<EvaluationsResponse>(message)?.evaluations.into_iter();
    answers.map(|answer| Ok(item(answer.try_into()?))).collect()
}

fn status(fields: Option<&HeaderMap>) -> Option<u16> {
    fields?.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// Only `OK` is an answer. Everything that says what is wrong with the call is the caller's.
fn check(status: Option<u16>) -> Result<(), Error> {
    match status {
        Some(0) => Ok(()),
        // INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, FAILED_PRECONDITION, OUT_OF_RANGE, UNIMPLEMENTED, UNAUTHENTICATED
        Some(3 | 5 | 6 | 7 | 9 | 11 | 12 | 16) => Err(Error::new(ErrorKind::Refused, "decision point refused the question or the caller")),
        Some(1..=16) => Err(Error::new(ErrorKind::Unavailable, "decision point cannot answer now")),
        _ => Err(malformed("answer has no status")),
    }
}

/// Exactly one message, not compressed.
fn unframed(bytes: &Bytes) -> Result<&[u8], Error> {
    let (prefix, message) = bytes.split_at_checked(PREFIX).ok_or(malformed("answer is cut short"))?;
    let [0, a, b, c, d] = *prefix else { return Err(malformed("answer is compressed, which was not offered")) };
    let is_whole = usize::try_from(u32::from_be_bytes([a, b, c, d])).is_ok_and(|length| length == message.len());
    if is_whole { Ok(message) } else { Err(malformed("answer is not one message")) }
}

fn decoded<M: Message + Default>(message: &[u8]) -> Result<M, Error> {
    M::decode(message).map_err(|cause| Error::because(ErrorKind::Malformed, "answer is no message", cause))
}

const fn malformed(message: &'static str) -> Error {
    Error::new(ErrorKind::Malformed, message)
}

#[cfg(test)]
mod tests;
