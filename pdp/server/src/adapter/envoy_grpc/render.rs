//! From an answer to a `CheckResponse`. A refusal is always a `denied_response`: also what is our own fault, which as an error could be let pass.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use countersign_pdp_engine::decide::Decision;
use countersign_sdk_types::RiskLevel;
use serde_json::{Map, Value, json};

use crate::adapter::PEP_HEADER;
use crate::adapter::answer::{Refusal, Reply};
use crate::adapter::identity::IdentityHeaders;
use crate::ext_authz::{
    AppendAction, CheckResponse, DeniedHttpResponse, HeaderValue as WireHeader, HeaderValueOption, HttpResponse, HttpStatus,
    OkHttpResponse, Status, code,
};
use crate::pipeline::Answer;

/// What Envoy and later filters may log and read, under `envoy.filters.http.ext_authz`: the id by which operators find the record, and nothing that they
/// could not show. The subject is named only where it is let in.
pub(super) fn metadata(answer: &Answer) -> Map<String, Value> {
    let allowed = matches!(answer.decision, Decision::Allow(_));
    let members = [
        ("decision_id", Some(json!(answer.id))),
        ("effect", Some(json!(answer.decision.effect()))),
        ("code", answer.code().map(|code| json!(code))),
        ("risk_level", answer.level.map(|level: RiskLevel| json!(level))),
        ("subject", answer.subject.as_ref().filter(|_| allowed).map(|subject| json!(subject.sub))),
    ];
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

pub(super) fn render(reply: Reply, metadata: Map<String, Value>, identity: &IdentityHeaders) -> CheckResponse {
    let (code, response) = match reply {
        Reply::Pass(headers) => (code::OK, HttpResponse::Ok(pass(&headers, identity))),
        Reply::Refuse(refusal) => (code_of(refusal.status()), HttpResponse::Denied(refuse(&refusal))),
    };
    respond(code, response, metadata)
}

/// More came than can be answered in time. Nothing is recorded: that would be work, too.
pub(super) fn overloaded() -> CheckResponse {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let headers = HeaderMap::from_iter([(axum::http::header::RETRY_AFTER, HeaderValue::from_static("1"))]);
    let denied = DeniedHttpResponse { status: Some(wire_status(status)), headers: overwrite(&headers), body: Bytes::new() };
    respond(code_of(status), HttpResponse::Denied(denied), Map::new())
}

fn respond(code: i32, response: HttpResponse, metadata: Map<String, Value>) -> CheckResponse {
    CheckResponse {
        status: Some(Status { code, message: String::new() }),
        http_response: Some(response),
        dynamic_metadata: (!metadata.is_empty()).then(|| metadata.into()),
    }
}

/// What the application is told. Envoy leaves in place what a client sent and we leave alone, so what is empty is removed, and so is every other spelling.
fn pass(headers: &HeaderMap, identity: &IdentityHeaders) -> OkHttpResponse {
    let set: HeaderMap = headers.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.clone(), value.clone())).collect();
    let empty = headers.keys().filter(|name| !set.contains_key(*name));
    let gone = empty.chain(identity.aliases()).map(HeaderName::as_str).chain([PEP_HEADER]);
    let headers_to_remove = gone.map(ToOwned::to_owned).collect();
    OkHttpResponse { headers: overwrite(&set), headers_to_remove, ..OkHttpResponse::default() }
}

fn refuse(refusal: &Refusal) -> DeniedHttpResponse {
    DeniedHttpResponse {
        status: Some(wire_status(refusal.status())),
        headers: overwrite(refusal.headers()),
        body: Bytes::copy_from_slice(refusal.body().as_bytes()),
    }
}

fn overwrite(headers: &HeaderMap) -> Vec<HeaderValueOption> {
    let option = |(name, value): (&HeaderName, &HeaderValue)| HeaderValueOption {
        header: Some(WireHeader {
            key: Bytes::copy_from_slice(name.as_str().as_bytes()),
            value: Bytes::copy_from_slice(value.as_bytes()),
            raw_value: Bytes::new(),
        }),
        append_action: AppendAction::OverwriteIfExistsOrAdd.into(),
    };
    headers.iter().map(option).collect()
}

fn wire_status(status: StatusCode) -> HttpStatus {
    HttpStatus { code: i32::from(status.as_u16()) }
}

/// Any code but `OK` refuses; which one, is for people who read logs.
const fn code_of(status: StatusCode) -> i32 {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FOUND | StatusCode::SEE_OTHER => code::UNAUTHENTICATED,
        StatusCode::SERVICE_UNAVAILABLE => code::UNAVAILABLE,
        _ => code::PERMISSION_DENIED,
    }
}
