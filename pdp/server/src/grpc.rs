//! gRPC on a listener of its own: calls are routes, messages are read within a bound, and what became of reading one is a value, so that a service may answer
//! also what it could not read.

pub mod health;

use std::future::ready;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream::{self, Stream};
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, EncodeBody, Streaming};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// The largest message that is read of a caller that proved itself.
pub(crate) const LARGEST: usize = 1024 * 1024;

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");

/// Reads the one message of a call. Compression is not offered.
///
/// # Errors
/// When there is none, it is too large, compressed, cut short, or no such message.
pub(crate) async fn read<M: Message + Default + 'static>(request: Request, largest: usize) -> Result<M, Status> {
    if request.headers().get(header::CONTENT_TYPE).is_none_or(|kind| !kind.as_bytes().starts_with(CONTENT_TYPE.as_bytes())) {
        return Err(Status::invalid_argument("the content is not application/grpc"));
    }
    let decoder = ProstDecoder::<M>::new(BufferSettings::default());
    let mut messages = Streaming::new_request(decoder, request.into_body(), None, Some(largest));
    messages.message().await?.ok_or_else(|| Status::invalid_argument("the call has no message"))
}

/// One message and the status `OK`.
pub(crate) fn reply<M: Message + 'static>(message: M) -> Response {
    replies(stream::once(ready(Ok(message))))
}

/// Messages as they come.
pub(crate) fn replies<M: Message + 'static>(messages: impl Stream<Item = Result<M, Status>> + Send + 'static) -> Response {
    let encoder = ProstEncoder::<M>::new(BufferSettings::default());
    let body = EncodeBody::new_server(encoder, messages, None, Default::default(), None);
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, CONTENT_TYPE);
    response
}

/// A status and no message.
pub(crate) fn refuse(status: Status) -> Response {
    status.into_http()
}

/// What is called and not here.
pub(crate) async fn unknown() -> Response {
    refuse(Status::unimplemented("no such method here"))
}
