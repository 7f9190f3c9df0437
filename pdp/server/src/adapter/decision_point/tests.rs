//! Nothing is lost between a message and its members, what would be is refused, and no error is an allow.

use countersign_sdk_types::{DenialCode, Fault};
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Map, Number, Value, json};

use super::message::{Entity, Field, Kind, ListValue, Struct};
use super::*;

fn context(members: &Value) -> EvaluateRequest {
    let context = members::message(members.as_object().unwrap()).unwrap();
    EvaluateRequest { context: Some(context), ..EvaluateRequest::default() }
}

/// Over the wire and back.
fn round(members: &Value) -> Result<Value, Status> {
    let wire = context(members).encode_to_vec();
    let read = members::question(EvaluateRequest::decode(wire.as_slice()).unwrap())?;
    Ok(read["context"].clone())
}

fn number(number: f64) -> Result<Value, Status> {
    let value = message::Value { kind: Some(Kind::Number(number)) };
    let fields = vec![Field { name: "n".to_owned(), value: Some(value) }];
    members::question(EvaluateRequest { context: Some(Struct { fields }), ..EvaluateRequest::default() })
        .map(|members| members["context"]["n"].clone())
}

#[test]
fn numbers_are_exact_or_refused() {
    for (given, read) in [
        (0.0, json!(0)),
        (-0.0, json!(0)),
        (30_000.0, json!(30_000)),
        (-7.0, json!(-7)),
        (0.5, json!(0.5)),
        (9_007_199_254_740_992.0, json!(9_007_199_254_740_992_i64)),
        (-9_007_199_254_740_992.0, json!(-9_007_199_254_740_992_i64)),
    ] {
        assert_eq!(number(given).unwrap(), read, "{given}");
    }
    for refused in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 9_007_199_254_740_994.0, -1e300, f64::MAX] {
        assert_eq!(number(refused).unwrap_err().code(), Code::InvalidArgument, "{refused}");
    }
    for inexact in [json!({"n": 9_007_199_254_740_993_i64}), json!({"n": u64::MAX}), json!({"n": [{"m": i64::MIN}]})] {
        assert_eq!(members::message(inexact.as_object().unwrap()), Err(members::Inexact), "{inexact}");
    }
}

#[test]
fn what_a_map_would_hide_is_refused() {
    let text = |text: &str| Some(message::Value { kind: Some(Kind::Text(text.to_owned())) });
    let field = |name: &str, value| Field { name: name.to_owned(), value };
    let ask = |fields: Vec<Field>| members::question(EvaluateRequest { context: Some(Struct { fields }), ..EvaluateRequest::default() });
    assert!(ask(vec![field("a", text("x")), field("b", text("x"))]).is_ok());
    assert_eq!(ask(vec![field("a", text("x")), field("a", text("y"))]).unwrap_err().code(), Code::InvalidArgument);
    for nothing in [None, Some(message::Value { kind: None })] {
        assert_eq!(ask(vec![field("a", nothing)]).unwrap_err().code(), Code::InvalidArgument);
    }
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let depth = Limits::REQUEST.depth;
    assert!(round(&json!({"a": nested(depth - 3)})).is_ok());
    assert_eq!(round(&json!({"a": nested(depth - 2)})).unwrap_err().code(), Code::InvalidArgument);
    let list = |length: usize| {
        let values = vec![message::Value { kind: Some(Kind::Null(0)) }; length];
        let value = Some(message::Value { kind: Some(Kind::List(ListValue { values })) });
        let properties = Some(Struct { fields: vec![Field { name: "a".to_owned(), value }] });
        let subject = Entity { kind: "user".to_owned(), id: "a".to_owned(), properties };
        members::question(EvaluateRequest { subject: Some(subject), ..EvaluateRequest::default() })
    };
    assert!(list(Limits::REQUEST.values - 1).is_ok());
    assert_eq!(list(Limits::REQUEST.values).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn a_semantic_that_nobody_knows_is_refused() {
    let asked = |semantic: i32| members::questions(EvaluationsRequest { semantic, ..EvaluationsRequest::default() });
    for (semantic, name) in [(0, "execute_all"), (1, "execute_all"), (2, "deny_on_first_deny"), (3, "permit_on_first_permit")] {
        assert_eq!(asked(semantic).unwrap()["options"]["evaluations_semantic"], name);
    }
    assert_eq!(asked(4).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn an_error_is_a_status_and_no_answer() {
    for code in DenialCode::ALL.iter().filter(|code| matches!(code.fault(), Fault::Malformed | Fault::Unavailable)) {
        let http = if code.fault() == Fault::Malformed { StatusCode::BAD_REQUEST } else { StatusCode::SERVICE_UNAVAILABLE };
        let refused = status(Refusal { status: http, message: code.as_str().to_owned(), decided: Some("main.1.7".to_owned()) });
        assert!(matches!(refused.code(), Code::InvalidArgument | Code::Unavailable), "{refused:?}");
        assert_eq!(refused.metadata().get(DECISION).unwrap(), "main.1.7");
    }
    for odd in [StatusCode::OK, StatusCode::IM_A_TEAPOT, StatusCode::INTERNAL_SERVER_ERROR] {
        let refused = status(Refusal { status: odd, message: String::new(), decided: None });
        assert_eq!(refused.code(), Code::Internal);
    }
}

fn values() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        (-9_007_199_254_740_992_i64..=9_007_199_254_740_992).prop_map(Number::from),
        any::<f64>().prop_filter_map("fractions", |number| Number::from_f64(number).filter(|_| number.trunc() != number)),
    ];
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number.prop_map(Value::Number),
        ".{0,8}".prop_map(Value::String)
    ];
    scalar.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map(".{0,5}", inner, 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn members_come_back_as_they_were(members in prop::collection::btree_map(".{0,5}", values(), 0..5)) {
        let members = Value::Object(members.into_iter().collect::<Map<_, _>>());
        prop_assert_eq!(round(&members).unwrap(), members);
    }
}
