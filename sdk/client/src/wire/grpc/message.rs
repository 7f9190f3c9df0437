//! The messages, and `google.protobuf.Struct`, as far as a client needs them. A whole number crosses only where a double holds it; a repeated name is refused.

use countersign_sdk_types::{Action, Entity, EvaluationRequest, EvaluationResponse};
use serde_json::{Map, Number, Value};

use crate::error::{Error, ErrorKind};

/// What a document may be at most.
const DEPTH: usize = 32;

/// 2^53: up to here, on either side of zero, a double tells whole numbers apart.
const EXACT: i64 = 1 << 53;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EvaluateRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) subject: Option<NamedEntity>,
    #[prost(message, optional, tag = "2")]
    pub(super) action: Option<NamedAction>,
    #[prost(message, optional, tag = "3")]
    pub(super) resource: Option<NamedEntity>,
    #[prost(message, optional, tag = "4")]
    pub(super) context: Option<Struct>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NamedEntity {
    #[prost(string, tag = "1")]
    pub(super) kind: String,
    #[prost(string, tag = "2")]
    pub(super) id: String,
    #[prost(message, optional, tag = "3")]
    pub(super) properties: Option<Struct>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NamedAction {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) properties: Option<Struct>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EvaluateResponse {
    #[prost(bool, tag = "1")]
    pub(super) decision: bool,
    #[prost(message, optional, tag = "2")]
    pub(super) context: Option<Struct>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EvaluationsRequest {
    #[prost(message, repeated, tag = "5")]
    pub(super) evaluations: Vec<EvaluateRequest>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EvaluationsResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) evaluations: Vec<EvaluateResponse>,
}

/// A map on the wire is a list of entries; as a list, a repeated name is seen.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Struct {
    #[prost(message, repeated, tag = "1")]
    pub(super) fields: Vec<Field>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Field {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Any {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub(super) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Kind {
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(List),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct List {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<Any>,
}

impl TryFrom<&EvaluationRequest> for EvaluateRequest {
    type Error = Error;

    fn try_from(asked: &EvaluationRequest) -> Result<Self, Error> {
        Ok(Self {
            subject: Some(entity(&asked.subject)?),
            action: Some(action(&asked.action)?),
            resource: Some(entity(&asked.resource)?),
            context: written(&asked.context, DEPTH)?,
        })
    }
}

impl TryFrom<EvaluateResponse> for EvaluationResponse {
    type Error = Error;

    fn try_from(said: EvaluateResponse) -> Result<Self, Error> {
        let context = said.context.map(|context| read(context, DEPTH)).transpose()?.unwrap_or_default();
        Ok(Self { decision: said.decision, context })
    }
}

fn entity(entity: &Entity) -> Result<NamedEntity, Error> {
    Ok(NamedEntity { kind: entity.kind.clone(), id: entity.id.clone(), properties: written(&entity.properties, DEPTH)? })
}

fn action(action: &Action) -> Result<NamedAction, Error> {
    Ok(NamedAction { name: action.name.clone(), properties: written(&action.properties, DEPTH)? })
}

/// None for what has no members, as JSON leaves it out.
fn written(object: &Map<String, Value>, depth: usize) -> Result<Option<Struct>, Error> {
    if object.is_empty() { Ok(None) } else { object_out(object, depth).map(Some) }
}

pub(super) fn object_out(object: &Map<String, Value>, depth: usize) -> Result<Struct, Error> {
    let field = |(key, value): (&String, &Value)| Ok(Field { key: key.clone(), value: Some(value_out(value, depth)?) });
    Ok(Struct { fields: object.iter().map(field).collect::<Result<_, Error>>()? })
}

fn value_out(value: &Value, depth: usize) -> Result<Any, Error> {
    let depth = depth.checked_sub(1).ok_or(Error::new(ErrorKind::Configuration, "question is nested too deeply"))?;
    let kind = match value {
        Value::Null => Kind::Null(0),
        Value::Bool(value) => Kind::Bool(*value),
        Value::Number(number) => Kind::Number(number_out(number)?),
        Value::String(text) => Kind::Text(text.clone()),
        Value::Array(items) => Kind::List(List { values: items.iter().map(|item| value_out(item, depth)).collect::<Result<_, _>>()? }),
        Value::Object(object) => Kind::Struct(object_out(object, depth)?),
    };
    Ok(Any { kind: Some(kind) })
}

/// A whole number that a double would change is refused: it could be an account, and would name another one.
fn number_out(number: &Number) -> Result<f64, Error> {
    let is_exact = if number.is_f64() { true } else { number.as_i64().is_some_and(|whole| whole.abs_diff(0) <= EXACT.unsigned_abs()) };
    let double = number.as_f64().filter(|double| is_exact && double.is_finite());
    double.ok_or(Error::new(ErrorKind::Configuration, "question holds a number that gRPC cannot carry"))
}

pub(super) fn read(object: Struct, depth: usize) -> Result<Map<String, Value>, Error> {
    let malformed = |message| Error::new(ErrorKind::Malformed, message);
    let mut map = Map::new();
    for Field { key, value } in object.fields {
        let value = value_in(value.ok_or(malformed("answer has a member without a value"))?, depth)?;
        if map.insert(key, value).is_some() {
            return Err(malformed("answer repeats the name of a member"));
        }
    }
    Ok(map)
}

fn value_in(value: Any, depth: usize) -> Result<Value, Error> {
    let malformed = |message| Error::new(ErrorKind::Malformed, message);
    let depth = depth.checked_sub(1).ok_or(malformed("answer is nested too deeply"))?;
    Ok(match value.kind.ok_or(malformed("answer has a value of no kind"))? {
        Kind::Null(_) => Value::Null,
        Kind::Bool(value) => Value::Bool(value),
        Kind::Number(double) => Value::Number(number_in(double).ok_or(malformed("answer has a number that is none"))?),
        Kind::Text(text) => Value::String(text),
        Kind::List(list) => Value::Array(list.values.into_iter().map(|item| value_in(item, depth)).collect::<Result<_, _>>()?),
        Kind::Struct(object) => Value::Object(read(object, depth)?),
    })
}

/// What is whole is read as a whole number.
fn number_in(double: f64) -> Option<Number> {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within 2^53")]
    let whole = (double.fract() == 0.0 && double.abs() <= EXACT as f64).then_some(double as i64);
    whole.map(Number::from).or_else(|| Number::from_f64(double))
}
