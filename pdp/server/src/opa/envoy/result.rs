//! From the value of a document to an answer: a boolean, or an object whose `allowed` is one. Whatever else it is, and whatever in it is not of its shape,
//! refuses.

use axum::http::{HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::Refused;
use crate::ext_authz::{
    AppendAction, CheckResponse, DeniedHttpResponse, HeaderValue as WireHeader, HeaderValueOption, HttpResponse, HttpStatus,
    OkHttpResponse, QueryParameter, Status, Struct, code,
};

/// # Errors
/// When the value is no decision.
pub(super) fn response(decision: Value) -> Result<CheckResponse, Refused> {
    match decision {
        Value::Bool(true) => Ok(respond(HttpResponse::Ok(OkHttpResponse::default()), None)),
        Value::Bool(false) => Ok(refusal(StatusCode::FORBIDDEN)),
        Value::Object(members) => Decision(members).response(),
        _ => Err(shape("the document is neither a boolean nor an object")),
    }
}

pub(super) fn refusal(status: StatusCode) -> CheckResponse {
    let denied = DeniedHttpResponse { status: Some(wire(status)), ..DeniedHttpResponse::default() };
    respond(HttpResponse::Denied(denied), None)
}

fn respond(response: HttpResponse, dynamic_metadata: Option<Struct>) -> CheckResponse {
    let code = match response {
        HttpResponse::Ok(_) => code::OK,
        HttpResponse::Denied(_) => code::PERMISSION_DENIED,
    };
    CheckResponse { status: Some(Status { code, message: String::new() }), http_response: Some(response), dynamic_metadata }
}

struct Decision(Map<String, Value>);

impl Decision {
    fn response(&self) -> Result<CheckResponse, Refused> {
        let allowed = self.0.get("allowed").and_then(Value::as_bool).ok_or_else(|| shape("`allowed` is not a boolean"))?;
        let response = if allowed { HttpResponse::Ok(self.ok()?) } else { HttpResponse::Denied(self.denied()?) };
        Ok(respond(response, self.dynamic_metadata()?))
    }

    fn ok(&self) -> Result<OkHttpResponse, Refused> {
        Ok(OkHttpResponse {
            headers: self.headers("headers")?,
            headers_to_remove: self.texts("request_headers_to_remove")?,
            response_headers_to_add: self.headers("response_headers_to_add")?,
            query_parameters_to_set: self.query_parameters_to_set()?,
            query_parameters_to_remove: self.texts("query_parameters_to_remove")?,
        })
    }

    fn denied(&self) -> Result<DeniedHttpResponse, Refused> {
        let body = match self.0.get("body") {
            None => Bytes::new(),
            Some(Value::String(text)) => text.clone().into(),
            Some(_) => return Err(shape("`body` is no text")),
        };
        Ok(DeniedHttpResponse { status: Some(wire(self.status()?)), headers: self.headers("headers")?, body })
    }

    /// What is no refusal would be none to a client.
    fn status(&self) -> Result<StatusCode, Refused> {
        let Some(status) = self.0.get("http_status") else { return Ok(StatusCode::FORBIDDEN) };
        let status = status.as_u64().and_then(|status| u16::try_from(status).ok()).and_then(|status| StatusCode::from_u16(status).ok());
        status.filter(|status| status.canonical_reason().is_some()).ok_or_else(|| shape("`http_status` is not the status of an answer"))
    }

    /// An object, or a list of objects, of texts or lists of texts.
    fn headers(&self, member: &str) -> Result<Vec<HeaderValueOption>, Refused> {
        let objects: Vec<&Value> = match self.0.get(member) {
            None => Vec::new(),
            Some(Value::Array(objects)) => objects.iter().collect(),
            Some(object) => vec![object],
        };
        let mut headers: Vec<HeaderValueOption> = Vec::new();
        for object in objects {
            let object = object.as_object().ok_or_else(|| shape(&format!("`{member}` is no object of headers")))?;
            for (name, value) in object {
                let values = texts(value).ok_or_else(|| shape(&format!("a value of `{member}` is no text")))?;
                for value in values {
                    headers.push(header(name, value).ok_or_else(|| shape(&format!("`{member}` holds what is no header")))?);
                }
            }
        }
        Ok(headers)
    }

    fn texts(&self, member: &str) -> Result<Vec<String>, Refused> {
        let Some(value) = self.0.get(member) else { return Ok(Vec::new()) };
        let list = value.is_array().then(|| texts(value)).flatten();
        let list = list.ok_or_else(|| shape(&format!("`{member}` is no list of texts")))?;
        Ok(list.into_iter().map(ToOwned::to_owned).collect())
    }

    fn query_parameters_to_set(&self) -> Result<Vec<QueryParameter>, Refused> {
        let wrong = || shape("`query_parameters_to_set` is no object of texts");
        let Some(value) = self.0.get("query_parameters_to_set") else { return Ok(Vec::new()) };
        let mut parameters = Vec::new();
        for (key, value) in value.as_object().ok_or_else(wrong)? {
            let values = texts(value).ok_or_else(wrong)?.into_iter();
            parameters.extend(values.map(|value| QueryParameter { key: key.clone(), value: value.to_owned() }));
        }
        Ok(parameters)
    }

    fn dynamic_metadata(&self) -> Result<Option<Struct>, Refused> {
        match self.0.get("dynamic_metadata") {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(members.clone().into())),
            Some(_) => Err(shape("`dynamic_metadata` is no object")),
        }
    }
}

/// A text, or a list of texts.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// The plugin says neither to append nor to overwrite; Envoy then overwrites.
fn header(name: &str, value: &str) -> Option<HeaderValueOption> {
    HeaderName::from_bytes(name.as_bytes()).ok()?;
    HeaderValue::from_str(value).ok()?;
    let header = WireHeader { key: name.to_owned().into(), value: value.to_owned().into(), raw_value: Bytes::new() };
    Some(HeaderValueOption { header: Some(header), append_action: AppendAction::AppendIfExistsOrAdd.into() })
}

fn wire(status: StatusCode) -> HttpStatus {
    HttpStatus { code: i32::from(status.as_u16()) }
}

fn shape(why: &str) -> Refused {
    Refused::Shape(why.to_owned())
}
