//! Messages as the JSON members that the HTTP door reads, and back: nothing is lost on the way, and what would be is refused.

use countersign_sdk_types::strict::Limits;
use serde_json::{Map, Number, Value, json};
use tonic::Status;

use super::message::{self, Action, Entity, EvaluateRequest, EvaluationsRequest, Field, Kind, ListValue, Semantic, Struct};

/// Whole numbers up to here are exact in a double, and each has one.
const EXACT: i64 = 1 << 53;

/// A question.
pub(super) fn question(asked: EvaluateRequest) -> Result<Map<String, Value>, Status> {
    let mut budget = Budget::new();
    budget.question(asked)
}

/// Questions with what they have in common.
pub(super) fn questions(asked: EvaluationsRequest) -> Result<Map<String, Value>, Status> {
    let semantic = match Semantic::try_from(asked.semantic) {
        Ok(Semantic::Unspecified | Semantic::ExecuteAll) => "execute_all",
        Ok(Semantic::DenyOnFirstDeny) => "deny_on_first_deny",
        Ok(Semantic::PermitOnFirstPermit) => "permit_on_first_permit",
        Err(_) => return Err(Status::invalid_argument("`semantic` is not one that is known")),
    };
    let EvaluationsRequest { subject, action, resource, context, evaluations, .. } = asked;
    let mut budget = Budget::new();
    let mut members = budget.question(EvaluateRequest { subject, action, resource, context })?;
    let items = evaluations.into_iter().map(|item| budget.question(item).map(Value::Object)).collect::<Result<_, _>>()?;
    members.insert("evaluations".to_owned(), Value::Array(items));
    members.insert("options".to_owned(), json!({ "evaluations_semantic": semantic }));
    Ok(members)
}

/// What is left of the bounds of a document.
struct Budget {
    values: usize,
}

impl Budget {
    const fn new() -> Self {
        Self { values: Limits::REQUEST.values }
    }

    fn question(&mut self, asked: EvaluateRequest) -> Result<Map<String, Value>, Status> {
        let EvaluateRequest { subject, action, resource, context } = asked;
        let mut members = Map::new();
        for (name, entity) in [("subject", subject), ("resource", resource)] {
            if let Some(entity) = entity {
                members.insert(name.to_owned(), Value::Object(self.entity(entity)?));
            }
        }
        if let Some(action) = action {
            members.insert("action".to_owned(), Value::Object(self.action(action)?));
        }
        if let Some(context) = context {
            members.insert("context".to_owned(), Value::Object(self.object(context, depth())?));
        }
        Ok(members)
    }

    fn entity(&mut self, entity: Entity) -> Result<Map<String, Value>, Status> {
        self.named([("type", entity.kind), ("id", entity.id)], entity.properties)
    }

    fn action(&mut self, action: Action) -> Result<Map<String, Value>, Status> {
        self.named([("name", action.name)], action.properties)
    }

    /// An empty text is one that was not given: the HTTP door says what is missing.
    fn named<const N: usize>(&mut self, texts: [(&str, String); N], properties: Option<Struct>) -> Result<Map<String, Value>, Status> {
        let given = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let mut members: Map<String, Value> = given.map(|(name, text)| (name.to_owned(), Value::String(text))).collect();
        if let Some(properties) = properties {
            members.insert("properties".to_owned(), Value::Object(self.object(properties, depth() - 1)?));
        }
        Ok(members)
    }

    fn object(&mut self, object: Struct, depth: usize) -> Result<Map<String, Value>, Status> {
        let mut members = Map::new();
        for Field { name, value } in object.fields {
            let value = self.value(value.and_then(|value| value.kind), depth)?;
            if members.insert(name, value).is_some() {
                return Err(Status::invalid_argument("a name comes twice in a Struct"));
            }
        }
        Ok(members)
    }

    fn value(&mut self, kind: Option<Kind>, depth: usize) -> Result<Value, Status> {
        let depth = depth.checked_sub(1).ok_or_else(|| Status::invalid_argument("a Struct is nested too deeply"))?;
        self.values = self.values.checked_sub(1).ok_or_else(|| Status::invalid_argument("there are too many values"))?;
        match kind {
            Some(Kind::Null(_)) => Ok(Value::Null),
            Some(Kind::Number(number)) => exact(number).map(Value::Number),
            Some(Kind::Text(text)) => Ok(Value::String(text)),
            Some(Kind::Flag(flag)) => Ok(Value::Bool(flag)),
            Some(Kind::Struct(object)) => self.object(object, depth).map(Value::Object),
            Some(Kind::List(list)) => {
                let values = list.values.into_iter().map(|value| self.value(value.kind, depth));
                values.collect::<Result<_, _>>().map(Value::Array)
            }
            None => Err(Status::invalid_argument("a Value is of no kind")),
        }
    }
}

/// Of a context, whose object is within the question.
const fn depth() -> usize {
    Limits::REQUEST.depth - 2
}

/// A whole number as such, so that a question means the same over both wires.
fn exact(number: f64) -> Result<Number, Status> {
    if number.trunc() != number || !number.is_finite() {
        return Number::from_f64(number).ok_or_else(|| Status::invalid_argument("a number is not finite"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "what does not fit saturates, and is beyond the bound")]
    let whole = number as i64;
    if whole.unsigned_abs() > EXACT.unsigned_abs() {
        return Err(Status::invalid_argument("a whole number beyond 2^53 may not be the one that was meant"));
    }
    Ok(Number::from(whole))
}

/// A number that no double is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inexact;

/// An answer's context.
pub(super) fn message(members: &Map<String, Value>) -> Result<Struct, Inexact> {
    let field = |(name, value): (&String, &Value)| Ok(Field { name: name.clone(), value: Some(self::value(value)?) });
    Ok(Struct { fields: members.iter().map(field).collect::<Result<_, _>>()? })
}

fn value(value: &Value) -> Result<message::Value, Inexact> {
    let kind = match value {
        Value::Null => Kind::Null(0),
        Value::Bool(flag) => Kind::Flag(*flag),
        Value::Number(number) => Kind::Number(double(number)?),
        Value::String(text) => Kind::Text(text.clone()),
        Value::Array(values) => Kind::List(ListValue { values: values.iter().map(self::value).collect::<Result<_, _>>()? }),
        Value::Object(members) => Kind::Struct(message(members)?),
    };
    Ok(message::Value { kind: Some(kind) })
}

fn double(number: &Number) -> Result<f64, Inexact> {
    let is_exact = number.is_f64() || number.as_i64().is_some_and(|whole| whole.unsigned_abs() <= EXACT.unsigned_abs());
    number.as_f64().filter(|_| is_exact).ok_or(Inexact)
}
