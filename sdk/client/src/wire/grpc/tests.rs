//! What crosses gRPC unchanged, and what is refused.

use countersign_sdk_types::{Action, Entity, EvaluationRequest, EvaluationResponse};
use prost::Message;
use serde_json::{Map, Value, json};

use super::message::{Any, EvaluateRequest, EvaluateResponse, Field, Kind, Struct};
use super::*;

fn asked(context: Value) -> EvaluationRequest {
    let entity = |kind: &str| Entity { kind: kind.to_owned(), id: "i".to_owned(), properties: Map::new() };
    let action = Action { name: "a".to_owned(), properties: Map::new() };
    let Value::Object(context) = context else { panic!("no object") };
    EvaluationRequest { subject: entity("s"), action, resource: entity("r"), context }
}

/// There and back.
fn round(context: Value) -> Result<Value, ErrorKind> {
    let message = EvaluateRequest::try_from(&asked(context)).map_err(|error| error.kind())?;
    let message = EvaluateRequest::decode(message.encode_to_vec().as_slice()).unwrap();
    let said = EvaluateResponse { decision: true, context: message.context };
    let said = EvaluationResponse::try_from(said).map_err(|error| error.kind())?;
    assert!(said.decision);
    Ok(Value::Object(said.context))
}

#[test]
fn documents_cross_unchanged() {
    for context in [
        json!({}),
        json!({"a": null, "b": true, "c": "text", "d": [1, "x", {"e": []}], "f": {"g": -7}}),
        json!({"a": 1.5, "b": 9_007_199_254_740_992_i64, "c": -9_007_199_254_740_992_i64, "d": 0}),
    ] {
        assert_eq!(round(context.clone()), Ok(context));
    }
}

#[test]
fn a_number_that_a_double_would_change_is_not_sent() {
    for number in [json!(9_007_199_254_740_993_i64), json!(-9_007_199_254_740_993_i64), json!(u64::MAX)] {
        assert_eq!(round(json!({"account": number})), Err(ErrorKind::Configuration));
    }
}

#[test]
fn a_repeated_name_and_what_is_no_value_are_refused() {
    let field = |value| Field { key: "a".to_owned(), value };
    let truth = || Some(Any { kind: Some(Kind::Bool(true)) });
    for fields in [
        vec![field(truth()), field(truth())],
        vec![field(None)],
        vec![field(Some(Any { kind: None }))],
        vec![field(Some(Any { kind: Some(Kind::Number(f64::NAN)) }))],
    ] {
        let said = EvaluateResponse { decision: true, context: Some(Struct { fields }) };
        assert_eq!(EvaluationResponse::try_from(said).unwrap_err().kind(), ErrorKind::Malformed);
    }
}

#[test]
fn depth_is_bounded() {
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(round(json!({"a": deep})), Err(ErrorKind::Configuration));
}

#[test]
fn a_frame_holds_one_whole_message_that_is_not_compressed() {
    let framed = framed(&EvaluateResponse { decision: true, context: None }).unwrap();
    assert_eq!(decoded::<EvaluateResponse>(unframed(&framed).unwrap()).unwrap().decision, true);
    let mut compressed = framed.to_vec();
    compressed[0] = 1;
    for bytes in [Vec::new(), framed[..4].to_vec(), framed[..6].to_vec(), [&framed[..], &framed[..]].concat(), compressed] {
        assert_eq!(unframed(&Bytes::from(bytes)).unwrap_err().kind(), ErrorKind::Malformed);
    }
}

#[test]
fn only_ok_is_an_answer() {
    let kind = |status: u16| check(Some(status)).map_err(|error| error.kind());
    assert_eq!(kind(0), Ok(()));
    for refused in [3, 5, 7, 9, 12, 16] {
        assert_eq!(kind(refused), Err(ErrorKind::Refused), "{refused}");
    }
    for unavailable in [1, 2, 4, 8, 10, 13, 14, 15] {
        assert_eq!(kind(unavailable), Err(ErrorKind::Unavailable), "{unavailable}");
    }
    assert_eq!(kind(17), Err(ErrorKind::Malformed));
    assert_eq!(check(None).unwrap_err().kind(), ErrorKind::Malformed);
}
