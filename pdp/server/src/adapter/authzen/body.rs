//! A body as every API takes it: strict JSON, an object, and members of their types. Members that nobody knows are ignored, as the specification has it.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use countersign_sdk_types::strict::{self, Limits};
use countersign_sdk_types::{Action, Entity, EvaluationRequest};
use serde_json::{Map, Value};

use super::Refusal;

/// The object that a request brings.
#[derive(Debug)]
pub(super) struct Document(pub(super) Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Document {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        check_type(request.headers())?;
        let bytes = Bytes::from_request(request, state).await.map_err(|rejected| match rejected.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(),
            status => Refusal::new(status, "the body broke off"),
        })?;
        Self::read(&bytes)
    }
}

fn too_large() -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {} bytes", Limits::REQUEST.bytes))
}

impl Document {
    fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        match strict::value(bytes, Limits::REQUEST) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(Refusal::malformed("the body is no JSON object")),
            Err(error) => Err(Refusal::malformed(error.to_string())),
        }
    }
}

/// `application/json`, in UTF-8 where a charset is named (RFC 8259 §8.1).
fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let refused = || Refusal::malformed("the content type is not `application/json`");
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let given = types.next().filter(|_| types.next().is_none()).and_then(|given| given.to_str().ok()).ok_or_else(refused)?;
    let mut parts = given.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let is_utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8"),
        _ => true,
    };
    if is_json && parts.all(is_utf8) { Ok(()) } else { Err(refused()) }
}

/// The members of a question. Each has one type; `null` is a value of another type and no absence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Members<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Members<'a> {
    /// A whole question.
    pub(super) fn question(self) -> Result<EvaluationRequest, Refusal> {
        let (subject, action) = (self.entity("subject")?, self.action()?);
        Ok(EvaluationRequest { subject, action, resource: self.entity("resource")?, context: self.context()? })
    }

    pub(super) fn entity(self, name: &str) -> Result<Entity, Refusal> {
        let members = self.required(name)?;
        let id = text(members, name, "id")?;
        Ok(Entity { id, ..self.kind(name)? })
    }

    /// An entity that is searched for: it has a type, and an id is ignored.
    pub(super) fn kind(self, name: &str) -> Result<Entity, Refusal> {
        let members = self.required(name)?;
        let (kind, properties) = (text(members, name, "type")?, object(members, "properties", &format!("{name}."))?);
        Ok(Entity { kind, id: String::new(), properties: properties.cloned().unwrap_or_default() })
    }

    pub(super) fn action(self) -> Result<Action, Refusal> {
        let members = self.required("action")?;
        let properties = object(members, "properties", "action.")?;
        Ok(Action { name: text(members, "action", "name")?, properties: properties.cloned().unwrap_or_default() })
    }

    pub(super) fn context(self) -> Result<Map<String, Value>, Refusal> {
        Ok(self.object("context")?.cloned().unwrap_or_default())
    }

    pub(super) fn object(self, name: &str) -> Result<Option<&'a Map<String, Value>>, Refusal> {
        object(self.0, name, "")
    }

    fn required(self, name: &str) -> Result<&'a Map<String, Value>, Refusal> {
        self.object(name)?.ok_or_else(|| Refusal::malformed(format!("`{name}` is missing")))
    }
}

fn object<'a>(members: &'a Map<String, Value>, name: &str, within: &str) -> Result<Option<&'a Map<String, Value>>, Refusal> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(Refusal::malformed(format!("`{within}{name}` is no object"))),
    }
}

fn text(members: &Map<String, Value>, within: &str, name: &str) -> Result<String, Refusal> {
    match members.get(name) {
        None => Err(Refusal::malformed(format!("`{within}.{name}` is missing"))),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(Refusal::malformed(format!("`{within}.{name}` is no text"))),
    }
}

#[cfg(test)]
mod tests;
