//! The other end of gRPC, for tests.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use prost::Message;
use serde_json::{Map, Value, json};

use super::message::{EvaluateRequest, EvaluateResponse, EvaluationsRequest, EvaluationsResponse, object_out, read};
use super::{framed, unframed};

/// Answers a call: one message and a status in the trailers, or a status in the head.
pub(crate) fn answer(
    body: &Bytes,
    path: &str,
    mut answer: impl FnMut(Value) -> Result<Value, Option<u16>>,
) -> Response<BoxBody<Bytes, Infallible>> {
    let message = unframed(body).unwrap();
    let mut one = |asked: EvaluateRequest| answer(asked_value(asked)).map(said_message);
    let said = match path {
        super::ONE => one(EvaluateRequest::decode(message).unwrap()).map(|said| framed(&said).unwrap()),
        super::MANY => {
            let asked = EvaluationsRequest::decode(message).unwrap().evaluations.into_iter();
            let said: Result<Vec<_>, _> = asked.map(one).collect();
            said.map(|evaluations| framed(&EvaluationsResponse { evaluations }).unwrap())
        }
        other => panic!("{other}"),
    };
    let builder = Response::builder().header("content-type", "application/grpc");
    match said {
        Ok(bytes) => {
            let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
            let frames = stream::iter([Ok(Frame::data(bytes)), Ok(Frame::trailers(trailers))]);
            builder.body(BodyExt::boxed(StreamBody::new(frames))).unwrap()
        }
        Err(status) => builder.header("grpc-status", status.unwrap().to_string()).body(Full::default().boxed()).unwrap(),
    }
}

fn asked_value(asked: EvaluateRequest) -> Value {
    let properties = |properties: Option<super::message::Struct>| properties.map_or_else(Map::new, |own| read(own, 32).unwrap());
    let entity =
        |entity: super::message::NamedEntity| json!({"type": entity.kind, "id": entity.id, "properties": properties(entity.properties)});
    let action = asked.action.unwrap();
    json!({
        "subject": entity(asked.subject.unwrap()),
        "action": {"name": action.name, "properties": properties(action.properties)},
        "resource": entity(asked.resource.unwrap()),
        "context": properties(asked.context),
    })
}

fn said_message(said: Value) -> EvaluateResponse {
    let context = said["context"].as_object().map(|context| object_out(context, 32).unwrap());
    EvaluateResponse { decision: said["decision"].as_bool().unwrap(), context }
}
